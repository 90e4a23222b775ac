"""From the ledger to the commands that ran, for a counterfactual replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policies.ledger import TurnRecord
from sandbox.replay import Step

_SHELL = ("bash", "--login", "-c")
_NOTHING = {"submit"}  # tools that do nothing in the box
_SECONDS = 180  # for one command: what a tool's own limit ended goes on no longer here


class NotReplayable(ValueError):
    """A run whose actions cannot be repeated; one line that says why."""


def steps(turns: Iterable[TurnRecord]) -> tuple[Step, ...]:
    """What the executed tool calls did in the agent's box, in order.

    Inspect's own `bash` and `python` are known by name and argument, and so are tools that are
    called alike.

    Raises:
        NotReplayable: A tool was called that is not known.
    """
    return tuple(step for call in _calls(turns) if (step := step_of(call)) is not None)


def executed(turns: Iterable[TurnRecord]) -> tuple[str, ...]:
    """Every argument of the executed tool calls, whatever the tool: what the agent typed."""
    return tuple(str(value) for call in _calls(turns) for value in call["arguments"].values())


def _calls(turns: Iterable[TurnRecord]) -> Iterator[Mapping[str, Any]]:
    for turn in turns:
        for draw in turn.draws:
            if (draw.turn, draw.draw) == (turn.index, turn.executed):
                yield from draw.calls


def step_of(call: Mapping[str, Any]) -> Step | None:
    """What one tool call did in the agent's box; None when it did nothing there.

    Args:
        call: its `function` and `arguments`.

    Raises:
        NotReplayable: The tool is not known.
    """
    function, arguments = str(call["function"]), call["arguments"]
    if function in _NOTHING:
        return None
    match function.lower(), arguments:
        case "bash", {"command": str(text)} | {"cmd": str(text)}:
            return Step((*_SHELL, text), timeout=_SECONDS)
        case "python", {"code": str(text)}:
            return Step((*_SHELL, "python3 -"), stdin=text.encode(), timeout=_SECONDS)
        case _:
            raise NotReplayable(f"not replayable: what {function} did is not known here")
