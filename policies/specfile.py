"""Specs and factories from files: `NAME.yaml` in the library, a user's `FILE.yaml`, `FILE.py@NAME`.

A YAML file holds one spec: a mapping with a name and arguments, and if wanted a `title` and a
`comment`, which say nothing to the program. Errors carry the file and the line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from policies.paths import typed

LIBRARY = Path(__file__).with_name("library")
"""The papers' own choices of parameters, by name."""

Key: TypeAlias = str | int
_NOTES = ("title", "comment")


class SpecError(ValueError):
    """A spec that names nothing, or has wrong arguments; one line that names the right ones.

    Attributes:
        path: the keys that lead to what is wrong.
    """

    def __init__(self, message: str, path: tuple[Key, ...] = ()) -> None:
        """Say what is wrong, and where in the spec."""
        super().__init__(message)
        self.path = path


@dataclass(frozen=True)
class YamlFile:
    """A YAML file that was read.

    Attributes:
        path: the file.
        content: what it holds.
        lines: the line, from 1, of each key by the keys that lead to it.
    """

    path: Path
    content: Any
    lines: Mapping[tuple[Key, ...], int]

    def locate(self, error: SpecError) -> SpecError:
        """The same error with the file and the line of the key that it is about."""
        keys = error.path
        while keys not in self.lines:
            keys = keys[:-1]
        return SpecError(f"{self.path}:{self.lines[keys]}: {error}")


class SpecFile(YamlFile):
    """A spec that was read from a file."""

    @property
    def title(self) -> str:
        """What the file calls itself; its name when it does not say."""
        return str(self.content.get("title", self.path.stem))

    @property
    def spec(self) -> dict[str, Any]:
        """Name and arguments."""
        return {key: value for key, value in self.content.items() if key not in _NOTES}


def is_file(name: str) -> bool:
    """Whether a name means a YAML file rather than an entry."""
    return name.endswith((".yaml", ".yml"))


def library_names(library: Path) -> list[str]:
    """The names of the specs in a library."""
    return sorted(path.stem for path in library.glob("*.yaml"))


def read_spec(path: Path) -> SpecFile:
    """Read a spec.

    Raises:
        SpecError: no such file, no YAML, not a mapping, no name, a key given twice.
    """
    file = read_yaml(path)
    if not isinstance(file.content, dict) or not isinstance(file.content.get("name"), str):
        raise SpecError(f"{path}:1: needs the key `name`, and under it arguments as further keys")
    return SpecFile(file.path, file.content, file.lines)


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file.

    Raises:
        SpecError: no such file, no YAML, a key given twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise SpecError(f"{path}: cannot be read: {reason}") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}:{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-40
        raise SpecError(f"{path}:1: not YAML: {_one_line(error)}") from error
    lines: dict[tuple[Key, ...], int] = {(): 1}
    for keys, where in _keys(node, ()):
        if keys in lines:
            raise SpecError(f"{path}:{where}: the key {keys[-1]!r} is given twice")
        lines[keys] = where
    return YamlFile(path, content, lines)


def _keys(node: yaml.Node | None, above: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            keys = (*above, str(key.value))
            yield keys, key.start_mark.line + 1
            yield from _keys(value, keys)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield (*above, number), item.start_mark.line + 1
            yield from _keys(item, (*above, number))


def import_file(name: str) -> tuple[str, Path]:
    """Import the file of `FILE.py@NAME`, once.

    Returns:
        The name and the file's full path.

    Raises:
        SpecError: no such file, or it raises when it is imported.
    """
    file, _, entry = name.rpartition("@")
    path = typed(file).resolve()
    module_name = f"sallyport_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if module_name in sys.modules:
        return entry, path
    module_spec = importlib.util.spec_from_file_location(module_name, path)
    if not path.is_file() or module_spec is None or module_spec.loader is None:
        raise SpecError(f"{file}: no such Python file: use FILE.py@NAME")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module  # its annotations are looked up there
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise SpecError(f"{file}: {type(error).__name__}: {_one_line(error)}") from error
    return entry, path


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
