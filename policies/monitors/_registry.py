"""The registry that the monitors' files share."""

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, SkipValidation, WithJsonSchema

from policies.registry import Registry, Resolved
from policies.turn import Judge

monitors: Registry[Judge] = Registry("monitor")
monitor = monitors.register

InnerMonitor: TypeAlias = Annotated[
    SkipValidation[Resolved[Judge]],
    BeforeValidator(monitors.inner),
    WithJsonSchema({"type": "monitor"}),
]
"""The type of an argument that is another monitor, which `.value` is."""
