"""The registry that the protocols' files share."""

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, SkipValidation, WithJsonSchema

from policies.registry import Registry, Resolved
from policies.specfile import LIBRARY
from policies.turn import ControlProtocol

protocols: Registry[ControlProtocol] = Registry("protocol", library=LIBRARY)
protocol = protocols.register

Inner: TypeAlias = Annotated[
    SkipValidation[Resolved[ControlProtocol]],
    BeforeValidator(protocols.inner),
    WithJsonSchema({"type": "protocol"}),
]
"""The type of an argument that is another protocol, which `.value` is."""

NONE: Any = "none"
"""The default of such an argument: no control by an inner protocol."""
