"""Names for protocols and monitors, as typed on the command line or in a file.

A *spec* is a name (`trusted_monitoring`) or a mapping with a name and arguments
(`{name: trusted_monitoring, threshold: 0.3}`); an argument may be a spec itself, so that one wraps
another. Factories are checked by their annotations, so a wrong argument is an error before any
sample starts.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, validate_call

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
        arguments: every argument, defaults included; a spec in it is a mapping with its name.
        value: the protocol or monitor.
        roles: the model roles that it asks (`trusted`, `monitor`), beside the untrusted model, with
            those of what it wraps.
    """

    name: str
    arguments: Mapping[str, Any]
    value: T
    roles: frozenset[str]

    @property
    def spec(self) -> dict[str, Any]:
        """The spec in full: name and every argument, as JSON values."""
        return {"name": self.name, **self.arguments}

    @property
    def label(self) -> str:
        """The spec in one line, the same for the same name and arguments."""
        return json.dumps(self.spec, sort_keys=True) if self.arguments else self.name


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered factory.

    Attributes:
        name: what it is called by.
        factory: makes the protocol or monitor.
        roles: see `Resolved`.
        arguments: what it takes, with defaults, types and ranges.
    """

    name: str
    factory: Callable[..., T]
    roles: frozenset[str]
    arguments: type[BaseModel]

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.factory) or "").partition("\n")[0]

    @property
    def source(self) -> str:
        """The first line of its file's documentation, which cites the paper."""
        module = inspect.getmodule(inspect.unwrap(self.factory))
        return (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")


class Registry(Generic[T]):
    """Factories by name."""

    def __init__(self, noun: str) -> None:
        """Make an empty registry.

        Args:
            noun: what it holds, for the error messages.
        """
        self._noun = noun
        self._entries: dict[str, Entry[T]] = {}

    def register(
        self, *, roles: tuple[str, ...] = ()
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """A decorator for a factory; its function's name is the registered name."""

        def add(factory: Callable[..., T]) -> Callable[..., T]:
            check = validate_call(config=ConfigDict(validate_default=True))
            checked: Callable[..., T] = check(factory)
            name = factory.__name__
            self._entries[name] = Entry(name, factory, frozenset(roles), _arguments(factory))
            return checked

        return add

    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._entries))

    def entry(self, name: str) -> Entry[T]:
        """What is registered under a name.

        Raises:
            SpecError: nothing is.
        """
        if name not in self._entries:
            known = ", ".join(self.names())
            raise SpecError(f"unknown {self._noun} {name!r}: use one of {known}")
        return self._entries[name]

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
        entry = self.entry(given.pop("name"))
        unknown = sorted(set(given) - set(entry.arguments.model_fields))
        if unknown:
            known = ", ".join(entry.arguments.model_fields) or "none"
            raise SpecError(
                f"{self._noun} {entry.name} has no argument {unknown[0]!r}: "
                f"its arguments are {known}"
            )
        try:
            taken = dict(entry.arguments.model_validate(given))
            value = entry.factory(**taken)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            what = f"{where}={first['input']!r}: {first['msg']}"
            raise SpecError(f"{self._noun} {entry.name}: {what}") from error
        except ValueError as error:
            raise SpecError(f"{self._noun} {entry.name}: {error}") from error
        inner = [one for one in _flat(taken.values()) if isinstance(one, Resolved)]
        roles = entry.roles.union(*(one.roles for one in inner))
        arguments = {name: _plain(one) for name, one in taken.items()}
        return Resolved(entry.name, arguments, value, roles)

    def inner(self, spec: Any) -> Resolved[T]:
        """For the annotation of an argument that is a spec: `BeforeValidator(registry.inner)`."""
        return spec if isinstance(spec, Resolved) else self.resolve(spec)


def _arguments(factory: Callable[..., Any]) -> type[BaseModel]:
    """A model of a factory's arguments."""
    hints = get_type_hints(factory, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if one.default is one.empty else one.default)
        for name, one in inspect.signature(factory).parameters.items()
    }
    config = ConfigDict(validate_default=True, arbitrary_types_allowed=True)
    make = partial(create_model, factory.__name__, __config__=config)
    return make(**fields)


def _flat(values: Any) -> list[Any]:
    return [
        item
        for value in values
        for item in (_flat(value) if isinstance(value, list | tuple) else [value])
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Resolved):
        return value.spec
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
