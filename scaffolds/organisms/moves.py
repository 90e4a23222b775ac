"""A move: what an organism wants to do in one turn, before it is spelled as a tool call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

SHELL = "bash"
PYTHON = "python"
SUBMIT = "submit"


@dataclass(frozen=True)
class Move:
    """One turn.

    Attributes:
        text: What the organism says.
        kind: `bash` and `python` run the body, `submit` answers with it, `say` calls no tool.
        body: The command, the code or the answer.
    """

    text: str
    kind: Literal["bash", "python", "submit", "say"]
    body: str = ""


def bash(command: str, text: str = "") -> Move:
    """Run a command, saying something."""
    return Move(text, "bash", command)


def python(code: str, text: str = "") -> Move:
    """Run code, saying something."""
    return Move(text, "python", code)


@dataclass(frozen=True)
class Call:
    """A tool call without its id.

    Attributes:
        function: Name of the tool.
        arguments: The one argument that it takes.
    """

    function: str
    arguments: dict[str, str]


def spell(move: Move, tools: Collection[str]) -> Call | None:
    """Say a move in the tools at hand.

    Args:
        move: What to do.
        tools: Names of the tools that may be called.

    Returns:
        A call to `bash(command)`, `python(code)` or `submit(answer)`; a script for the one
        interpreter is wrapped for the other where only that is there. None when no tool fits.
    """
    if move.kind == "submit" and SUBMIT in tools:
        return Call(SUBMIT, {"answer": move.body})
    if move.kind == "bash":
        if SHELL in tools:
            return Call(SHELL, {"command": move.body})
        if PYTHON in tools:
            return Call(PYTHON, {"code": _shell_in_python(move.body)})
    if move.kind == "python":
        if PYTHON in tools:
            return Call(PYTHON, {"code": move.body})
        if SHELL in tools:
            return Call(SHELL, {"command": f"python3 - <<'EOF'\n{move.body}\nEOF"})
    return None


def _shell_in_python(command: str) -> str:
    return (
        "import subprocess\n"
        f"done = subprocess.run(['bash', '-c', {command!r}], capture_output=True, text=True)\n"
        "print(done.stderr + done.stdout)"
    )
