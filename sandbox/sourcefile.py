"""What a setting's own Python files define."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from sandbox.settingspec import SettingError


def function(path: Path, name: str) -> Any:
    """What a file defines under a name.

    Raises:
        SettingError: The file cannot be loaded, or defines no such thing.
    """
    spec = importlib.util.spec_from_file_location(f"setting_{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # holds for every .py path
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (OSError, ImportError, SyntaxError) as error:
        raise SettingError(f"{path} is needed and cannot be loaded: {error}") from error
    if not hasattr(module, name):
        raise SettingError(f"{path} has no {name}")
    return getattr(module, name)


def optional(path: Path, name: str) -> Any | None:
    """The same, or None where there is no such file."""
    return function(path, name) if path.is_file() else None
