"""Paths as users type them."""

from __future__ import annotations

from pathlib import Path

_BEGAN = Path.cwd()


def typed(path: str | Path) -> Path:
    """A path that may be relative to where the process began.

    That is where it was typed: Inspect makes a file's tasks in that file's folder.

    Returns:
        The path from there when it leads to something; else as it is, from the working directory.
    """
    there = _BEGAN / path
    return there if there.exists() else Path(path)
