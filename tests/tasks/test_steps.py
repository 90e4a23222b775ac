"""From the ledger to the commands that ran."""

from __future__ import annotations

from typing import Any

import pytest

from policies.ledger import DrawRecord, TurnRecord
from sandbox.replay import Step
from tasks.steps import NotReplayable, executed, steps


def turn(*calls: dict[str, Any], executed: int | None = 0) -> TurnRecord:
    rejected = [{"function": "bash", "arguments": {"command": "rejected"}}]
    draws = [
        DrawRecord(turn=0, draw=0, source="untrusted", text="", calls=list(calls)),
        DrawRecord(turn=0, draw=1, source="trusted", text="", calls=rejected),
    ]
    return TurnRecord(index=0, draws=draws, executed=executed)


def call(function: str, **arguments: str) -> dict[str, Any]:
    return {"function": function, "arguments": arguments}


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        (call("bash", command="ls"), [(("bash", "--login", "-c", "ls"), b"")]),
        (call("Bash", command="ls"), [(("bash", "--login", "-c", "ls"), b"")]),
        (call("bash", cmd="ls"), [(("bash", "--login", "-c", "ls"), b"")]),
        (call("python", code="1"), [(("bash", "--login", "-c", "python3 -"), b"1")]),
        (call("submit", answer="done"), []),
    ],
)
def test_known_tools_become_commands(called: dict[str, Any], expected: list[Any]) -> None:
    assert [(step.argv, step.stdin) for step in steps([turn(called)])] == expected


def test_only_what_was_executed_ran_and_in_order() -> None:
    first, second = call("bash", command="a"), call("bash", command="b")
    ended = turn(call("bash", command="never"), executed=None)
    ran: tuple[Step, ...] = steps([turn(first, second), ended])
    assert [step.argv[-1] for step in ran] == ["a", "b"]


@pytest.mark.parametrize(
    "called", [call("browser", url="x"), call("bash", other="x"), call("python", command="x")]
)
def test_an_unknown_tool_makes_a_run_not_replayable(called: dict[str, Any]) -> None:
    with pytest.raises(NotReplayable, match=f"what {called['function']} did is not known"):
        steps([turn(called)])


def test_what_was_typed_is_known_of_any_tool() -> None:
    assert executed([turn(call("browser", url="a", key="b")), turn(executed=None)]) == ("a", "b")
