"""Names for protocols and monitors, as typed on the command line or in a file.

A *spec* is a name (`trusted_monitoring`) or a mapping with a name and arguments
(`{name: trusted_monitoring, threshold: 0.3}`). Factories are checked by their annotations, so a
wrong argument is an error before any sample starts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from pydantic import Field, ValidationError, validate_call

T = TypeVar("T")

Fraction: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number from 0 to 1."""

Spec: TypeAlias = str | Mapping[str, Any]


class SpecError(ValueError):
    """A spec that names nothing, or has wrong arguments; one line that names the right ones."""


@dataclass(frozen=True)
class Resolved(Generic[T]):
    """What a spec stands for.

    Attributes:
        name: the registered name.
        arguments: every argument, defaults included.
        value: the protocol or monitor.
        roles: the model roles that it asks (`trusted`, `monitor`), beside the untrusted model.
    """

    name: str
    arguments: Mapping[str, Any]
    value: T
    roles: frozenset[str]


@dataclass(frozen=True)
class _Entry(Generic[T]):
    factory: Callable[..., T]
    roles: frozenset[str]


class Registry(Generic[T]):
    """Factories by name."""

    def __init__(self, noun: str) -> None:
        """Make an empty registry.

        Args:
            noun: what it holds, for the error messages.
        """
        self._noun = noun
        self._entries: dict[str, _Entry[T]] = {}

    def register(
        self, *, roles: tuple[str, ...] = ()
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """A decorator for a factory; its function's name is the registered name."""

        def add(factory: Callable[..., T]) -> Callable[..., T]:
            checked = validate_call(factory)
            self._entries[factory.__name__] = _Entry(checked, frozenset(roles))
            return checked

        return add

    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._entries))

    def resolve(self, spec: Spec) -> Resolved[T]:
        """Make what `spec` stands for.

        Raises:
            SpecError: unknown name or argument, or a value that does not fit.
        """
        given = {"name": spec} if isinstance(spec, str) else dict(spec)
        if "name" not in given:
            raise SpecError(
                f"a {self._noun} needs a name: use NAME or '{{name: NAME, argument: value}}', "
                "with a space after each colon"
            )
        name = given.pop("name")
        if name not in self._entries:
            known = ", ".join(self.names())
            raise SpecError(f"unknown {self._noun} {name!r}: use one of {known}")
        entry = self._entries[name]
        signature = inspect.signature(entry.factory)
        unknown = sorted(set(given) - set(signature.parameters))
        if unknown:
            known = ", ".join(signature.parameters) or "none"
            raise SpecError(
                f"{self._noun} {name} has no argument {unknown[0]!r}: its arguments are {known}"
            )
        try:
            value = entry.factory(**given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            what = f"{where}={first['input']!r}: {first['msg']}"
            raise SpecError(f"{self._noun} {name}: {what}") from error
        except ValueError as error:
            raise SpecError(f"{self._noun} {name}: {error}") from error
        bound = signature.bind(**given)
        bound.apply_defaults()
        return Resolved(name, dict(bound.arguments), value, entry.roles)
