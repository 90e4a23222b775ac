"""Names for protocols, monitors and attacks, as typed on the command line or in a file.

A *spec* is a name (`trusted_monitoring`) or a mapping with a name and arguments
(`{name: trusted_monitoring, threshold: 0.3}`); an argument may be a spec itself, so that one wraps
another. A name is that of a registered factory, of a spec in the library, a YAML file's path, or
`FILE.py@NAME`. Factories are checked by their annotations, so a wrong argument is an error before
any sample starts.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, validate_call

from policies.paths import typed
from policies.specfile import (
    SpecError,
    SpecFile,
    import_file,
    is_file,
    library_names,
    read_spec,
)

__all__ = ["Entry", "Fraction", "Registry", "Resolved", "Spec", "SpecError", "label"]

T = TypeVar("T")

Fraction: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number from 0 to 1."""

Spec: TypeAlias = str | Mapping[str, Any]


# Of unions: pydantic adds them to the path of a mistake.
_TAGS = ("a number", "a budget", "a calibration", "a word")
_SHOWN = 80  # characters of a wrong value that fit in one line
_open: ContextVar[tuple[Path, ...]] = ContextVar("sallyport_open_specs", default=())


@dataclass(frozen=True)
class Resolved(Generic[T]):
    """What a spec stands for.

    Attributes:
        name: the registered name.
        arguments: every argument, defaults included; a spec in it is a mapping with its name.
        value: the protocol or monitor.
        roles: the model roles that it asks, with those of what it wraps; a protocol's are beside
            the untrusted model, which all of them ask.
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
        return label(self.spec)


def label(spec: Mapping[str, Any]) -> str:
    """A full spec (`Resolved.spec`) in one line, the same for the same name and arguments."""
    return json.dumps(spec, sort_keys=True) if len(spec) > 1 else str(spec["name"])


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered factory.

    Attributes:
        name: what it is called by.
        factory: makes the protocol or monitor.
        roles: see `Resolved`; with the defaults of an argument called `role`, which replaces them.
        arguments: what it takes, with defaults, types and ranges.
        declared: what else it says of itself, such as what an attack knows.
    """

    name: str
    factory: Callable[..., T]
    roles: frozenset[str]
    arguments: type[BaseModel]
    declared: Mapping[str, str]

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

    def __init__(self, noun: str, library: Path | None = None) -> None:
        """Make an empty registry.

        Args:
            noun: what it holds, for the error messages.
            library: the folder of its YAML files that are found by name.
        """
        self._noun = noun
        self._a_noun = f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
        self._library = library
        self._entries: dict[str, Entry[T]] = {}

    def register(
        self, *, roles: tuple[str, ...] = (), **declared: str
    ) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """A decorator for a factory; its function's name is the registered name.

        Args:
            roles: see `Entry`.
            declared: see `Entry`.
        """

        def add(factory: Callable[..., T]) -> Callable[..., T]:
            check = validate_call(config=ConfigDict(validate_default=True))
            checked: Callable[..., T] = check(factory)
            name = factory.__name__
            taken = self._entries.get(name)
            if taken is not None and _file(taken.factory) != _file(factory):
                raise SpecError(
                    f"{self._noun} {name} is there already, from {_file(taken.factory)}: "
                    "give this one another name"
                )
            arguments = _arguments(factory)
            self._entries[name] = Entry(name, factory, frozenset(roles), arguments, declared)
            return checked

        return add

    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._entries))

    def library(self) -> tuple[SpecFile, ...]:
        """The specs that are found by name, sorted.

        Raises:
            SpecError: one is malformed.
        """
        if self._library is None:
            return ()
        return tuple(read_spec(self._library / f"{n}.yaml") for n in library_names(self._library))

    def is_spec(self, name: str) -> bool:
        """Whether a name is that of a YAML file or of the library, rather than of a factory."""
        return self._file(name) is not None

    def entry(self, name: str) -> Entry[T]:
        """What is registered under a name, or defined in the file of `FILE.py@NAME`.

        Raises:
            SpecError: nothing is.
        """
        if isinstance(name, str) and ".py@" in name:
            short, path = import_file(name)
            found = self._entries.get(short)
            if found is None or _file(found.factory) != str(path):
                raise SpecError(f"{name}: the file has no {self._noun} {short!r}", ("name",))
            return found
        if not isinstance(name, str) or name not in self._entries:
            known = ", ".join(self.names())
            presets = ", ".join(library_names(self._library)) if self._library else ""
            raise SpecError(
                f"unknown {self._noun} {name!r}: use one of {known}"
                + (f"; from the library {presets}" if presets else "")
                + "; or a file of your own, FILE.yaml or FILE.py@NAME",
                ("name",),
            )
        return self._entries[name]

    def resolve(self, spec: Spec) -> Resolved[T]:
        """Make what `spec` stands for.

        Raises:
            SpecError: unknown name or argument, or a value that does not fit.
        """
        given = {"name": spec} if isinstance(spec, str) else dict(spec)
        if "name" not in given:
            raise SpecError(
                f"{self._a_noun} needs a name: use NAME or '{{name: NAME, argument: value}}', "
                "with a space after each colon"
            )
        name = given.pop("name")
        path = self._file(name)
        if path is None:
            return self._make(self.entry(name), given)
        return self.resolve_file(path, given)

    def resolve_file(self, path: Path, given: Mapping[str, Any] | None = None) -> Resolved[T]:
        """Make what a YAML file stands for, whatever it is called.

        Args:
            path: the file.
            given: arguments that go before the file's own.

        Raises:
            SpecError: the file is malformed, or its spec cannot be resolved.
        """
        given = given or {}
        with _opened(path) as file:
            try:
                return self.resolve({**file.spec, **given})
            except SpecError as error:
                if error.path and error.path[0] in given:
                    raise
                raise file.locate(error) from error

    def _file(self, name: Any) -> Path | None:
        """The YAML file that a name means, if it means one."""
        if not isinstance(name, str) or name in self._entries:
            return None
        if is_file(name):
            return beside(name)
        in_library = self._library is not None and name in library_names(self._library)
        return self._library / f"{name}.yaml" if self._library and in_library else None

    def _make(self, entry: Entry[T], given: Mapping[str, Any]) -> Resolved[T]:
        unknown = sorted(set(given) - set(entry.arguments.model_fields), key=str)
        if unknown:
            known = ", ".join(entry.arguments.model_fields) or "none"
            raise SpecError(
                f"{self._noun} {entry.name} has no argument {unknown[0]!r}: "
                f"its arguments are {known}",
                (unknown[0],),
            )
        try:
            taken = dict(entry.arguments.model_validate(given))
            value = entry.factory(**taken)
        except ValidationError as error:
            raise _spec_error(f"{self._noun} {entry.name}", error) from error
        except ValueError as error:
            raise SpecError(f"{self._noun} {entry.name}: {error}") from error
        inner = [one for one in _flat(taken.values()) if isinstance(one, Resolved)]
        own = frozenset({taken["role"]}) if "role" in taken else entry.roles
        roles = own.union(*(one.roles for one in inner))
        arguments = {name: _plain(one) for name, one in taken.items()}
        return Resolved(entry.name, arguments, value, roles)

    def inner(self, spec: Any) -> Resolved[T]:
        """For the annotation of an argument that is a spec: `BeforeValidator(registry.inner)`.

        Raises:
            SpecError: as for `resolve`, and when it is neither a name nor a mapping.
        """
        if isinstance(spec, Resolved):
            return spec
        if not isinstance(spec, str | Mapping):
            raise SpecError(f"{spec!r} is not {self._a_noun}: use NAME or a mapping with a name")
        return self.resolve(spec)


def beside(name: str) -> Path:
    """Where a YAML file is that a spec names by a relative path.

    Beside the spec's own file when it is there, else where `typed` finds it.
    """
    specs = _open.get()
    near = specs[-1].parent / name if specs else None
    return near if near and near.exists() else typed(name)


@contextmanager
def _opened(path: Path) -> Iterator[SpecFile]:
    """Read a file that may lead to other files, but not back to itself."""
    path_in_full, above = path.resolve(), _open.get()
    if path_in_full in above:
        raise SpecError(f"{path} leads back to itself", ("name",))
    token = _open.set((*above, path_in_full))
    try:
        yield read_spec(path)
    finally:
        _open.reset(token)


def _spec_error(what: str, error: ValidationError) -> SpecError:
    """The first mistake in one line; that of an inner spec is told in its own words."""
    first = error.errors()[0]
    keys = tuple(key for key in first["loc"] if key not in _TAGS)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, SpecError):
        return SpecError(f"{what}, {keys[0]}: {cause}", (*keys, *cause.path))
    where = ".".join(str(key) for key in keys)
    told = first["msg"].removeprefix("Value error, ")
    shown = repr(first["input"])
    if len(shown) > _SHOWN:
        return SpecError(f"{what}: {where}: {told}", keys)
    return SpecError(f"{what}: {where}={shown}: {told}", keys)


def _file(factory: Callable[..., Any]) -> str:
    return inspect.getsourcefile(inspect.unwrap(factory)) or ""


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
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
