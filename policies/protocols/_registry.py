"""The registry that the protocols' files share."""

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, SkipValidation

from policies.registry import Registry, Resolved
from policies.turn import ControlProtocol

protocols: Registry[ControlProtocol] = Registry("protocol")
protocol = protocols.register

Inner: TypeAlias = Annotated[
    SkipValidation[Resolved[ControlProtocol]], BeforeValidator(protocols.inner)
]
"""The type of an argument that is another protocol, which `.value` is."""
