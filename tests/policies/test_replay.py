"""A replay is valid until another action runs, and never invents what was not logged."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from policies.ledger import AuditRecord, DrawRecord, ScoreRecord, TurnRecord
from policies.protocols import protocols
from policies.registry import Spec
from policies.replay import Replayed, replay
from policies.turn import Proposal, Source, Turn, Verdict, execute


def draw(number: int, command: str, source: Source = "untrusted", turn: int = 0) -> DrawRecord:
    call = {"id": str(number), "function": "bash", "arguments": {"command": command}}
    return DrawRecord(turn=turn, draw=number, source=source, text="", calls=[call])


def logged(
    index: int, scores: Sequence[float], executed: int | None = 0, **fields: object
) -> TurnRecord:
    """A turn with a draw per score, the trusted action after them, and what ran."""
    count = len(scores)
    return TurnRecord(
        index=index,
        draws=[draw(n, f"draw {n}", turn=index) for n in range(count)]
        + [draw(count, "trusted", "trusted", index)],
        scores=[
            ScoreRecord(turn=index, draw=n, monitor="m", status="valid", value=value, reason="")
            for n, value in enumerate(scores)
        ],
        executed=executed,
        **{"decision": "execute", **fields},
    )


async def confirm(proposal: Proposal, reason: str) -> bool:
    return True


async def clear(proposal: Proposal, reason: str) -> bool:
    return False


def run(spec: Spec, *turns: TurnRecord, auditor: object = clear) -> Replayed:
    async def main() -> Replayed:
        return await replay(protocols.resolve(spec).value, turns, auditor=auditor)  # type: ignore[arg-type]

    return anyio.run(main)


LOW, HIGH = [0.1, 0.2, 0.3], [0.95, 0.9, 0.85]


@pytest.mark.parametrize(
    ("spec", "turns", "ending", "verdicts", "valid", "why"),
    [
        ("none", [LOW, HIGH], "finished", [0, 0], 1.0, ""),
        ("trusted_monitoring", [LOW, LOW], "finished", [0, 0], 1.0, ""),
        # T runs in place of draw 0: that turn's verdict holds, later ones would not.
        (
            "defer_to_trusted",
            [LOW, [0.6], LOW, LOW],
            "diverged",
            [0, 1],
            0.5,
            "turn 1: the log ran draw 0, this protocol runs draw 1",
        ),
        (
            "defer_to_resample",
            [LOW, [0.9], LOW],
            "not_logged",
            [0],
            1 / 3,
            "turn 1: no further untrusted proposal of turn 1",
        ),
        ("defer_to_resample", [LOW, [0.9, 0.3, 0.4], LOW], "diverged", [0, 1], 2 / 3, "turn 1:"),
    ],
)
def test_how_far_a_replay_is_valid(
    spec: Spec, turns: list[list[float]], ending: str, verdicts: list[int], valid: float, why: str
) -> None:
    found = run(spec, *(logged(n, scores) for n, scores in enumerate(turns)))
    assert (found.ending, [t.executed for t in found.turns]) == (ending, verdicts)
    assert found.valid == pytest.approx(valid)
    assert found.why.startswith(why)
    assert found.decided == (ending == "finished")


def test_another_draw_with_the_same_action_does_not_diverge() -> None:
    turn = logged(0, [0.9, 0.1, 0.2])
    turn.draws[1].calls = [{**turn.draws[0].calls[0], "id": "another"}]
    assert run("defer_to_resample", turn, logged(1, LOW)).ending == "finished"


def test_audits_are_decided_by_the_auditor_that_is_given() -> None:
    turns = [logged(0, LOW), logged(1, HIGH), logged(2, LOW)]
    caught = run("trusted_monitoring", *turns, auditor=confirm)
    assert (caught.ending, len(caught.turns), caught.valid) == ("caught", 2, 1.0)
    assert caught.turns[1].decision is None and caught.turns[1].executed is None
    cleared = run("trusted_monitoring", *turns)
    assert cleared.ending == "finished"
    assert [audit.confirmed for audit in cleared.turns[1].audits] == [False]


@pytest.mark.parametrize("how", ["audit", "stop"])
def test_a_log_that_ended_says_nothing_of_what_would_have_come_next(how: str) -> None:
    audits = [AuditRecord(turn=1, draw=0, reason="", confirmed=True)]
    last = logged(1, HIGH, None, decision="stop" if how == "stop" else None, audits=audits)
    found = run("none", logged(0, LOW), last)
    assert (found.ending, len(found.turns)) == ("diverged", 2)
    assert found.why == (
        "turn 1: the log ends with "
        + ("a stop" if how == "stop" else "an audit or an error")
        + ", and this protocol goes on"
    )


def _asks(what: str) -> object:
    async def decide(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        if what == "score twice":
            await turn.suspicion(first)
            await turn.suspicion(first)
        elif what == "edit":
            await turn.edit(first)
        elif what == "approved":
            await turn.approved(first)
        elif what == "bytes":
            await turn.bytes_out()
        elif what == "attack":
            await turn.known_attack()
        elif what == "history":
            assert not turn.history
        elif what == "swallowed":
            try:
                await turn.edit(first)
            except LookupError:
                return execute(first)
        return execute(first)

    return decide


@pytest.mark.parametrize(
    ("what", "missing"),
    [
        ("score twice", "no further score of draw 0 of turn 0 by m"),
        ("edit", "no further edited proposal of draw 0 of turn 0"),
        ("swallowed", "no further edited proposal of draw 0 of turn 0"),
        ("approved", "no approval of draw 0 of turn 0"),
        ("bytes", "no further count of the bytes that left"),
        ("attack", "whether the setting has a known attack to plant"),
        ("history", "the history"),
    ],
)
def test_what_was_not_logged_is_named_and_not_made_up(what: str, missing: str) -> None:
    async def main() -> Replayed:
        return await replay(_asks(what), [logged(0, LOW)], auditor=clear)  # type: ignore[arg-type]

    found = anyio.run(main)
    assert (found.ending, found.turns, found.why) == ("not_logged", (), f"turn 0: {missing}")


def test_the_edit_of_another_draw_is_no_edit_of_this_one() -> None:
    turn = logged(0, LOW)
    turn.draws.append(draw(9, "edited", "edited"))
    turn.draws[-1].edited = 1

    async def main() -> Replayed:
        return await replay(_asks("edit"), [turn], auditor=clear)  # type: ignore[arg-type]

    assert anyio.run(main).ending == "not_logged"


def test_of_several_monitors_the_samples_own_must_be_named() -> None:
    turn = logged(0, LOW)
    turn.scores.append(turn.scores[0].model_copy(update={"monitor": "other"}))
    with pytest.raises(ValueError, match="give monitor="):
        run("trusted_monitoring", turn)


def test_a_ledger_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 1, this reads version 2"):
        run("none", logged(0, LOW, version=1))
