"""Every port of a live turn, through Inspect: what a protocol gets and what is recorded of it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.event import ModelEvent
from inspect_ai.log import resolve_sample_attachments
from inspect_ai.model import ChatMessage, GenerateConfig, Model

from policies.control import Control
from policies.ledger import Ledger
from policies.turn import (
    ControlProtocol,
    Monitor,
    Past,
    Proposal,
    Suspicion,
    Turn,
    Verdict,
    block,
    execute,
)
from tests.policies.fakes import output
from tests.policies.scripted import RAN, clear, play, scripted, suspects
from tests.scaffolds.loops import hand_written

STEPS = [["one {seed}"], ["two {seed}"], ["three {seed}"]]


def control(protocol: ControlProtocol) -> Control:
    trusted = scripted("trusted", *[["safe"]] * 9)
    return Control(protocol, suspects("two", "safe"), trusted, auditor=clear)


def run(
    folder: Path, given: Control | ControlProtocol, model: Model | None = None, **options: Any
) -> Ledger:
    chosen = given if isinstance(given, Control) else control(given)
    model = model or scripted("untrusted", *STEPS, seed=0)
    _, sample, book = play(folder, chosen, hand_written, model, **options)
    assert sample.error is None, sample.error.message
    return book


def commands(proposal: Proposal) -> list[str]:
    return [str(call.arguments["command"]) for call in proposal.calls]


def test_past_is_what_ran_with_the_monitors_last_word_on_it(tmp_path: Path) -> None:
    seen: list[list[Past]] = []

    async def protocol(turn: Turn) -> Verdict:
        seen.append(list(turn.past))
        [first] = await turn.draw()
        if turn.index == 1:
            return block(first, "no")
        if turn.index == 2:  # only now is what ran first looked at
            await turn.suspicion(turn.past[0].executed)
            await turn.suspicion(turn.past[0].executed, Monitor("another", other))
        return execute(first)

    async def other(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        return Suspicion.valid(1.0)

    run(tmp_path, protocol)
    assert [[(p.turn, *commands(p.executed)) for p in past] for past in seen] == [
        [],
        [(0, "one 0")],
        [(0, "one 0")],
        [(0, "one 0"), (2, "three 0")],
    ]
    assert seen[2][0].suspicion.status == "skipped", "it had not been asked"
    assert seen[3][0].suspicion == Suspicion.valid(0.0)


def test_earlier_proposals_are_judged_with_their_own_history(tmp_path: Path) -> None:
    lengths: list[tuple[int, int]] = []

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        lengths.append((proposal.turn, len(history)))
        return Suspicion.valid(0.0)

    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        for past in turn.past:
            await turn.suspicion(past.executed, Monitor("other", judge))
        return execute(first)

    book = run(tmp_path, protocol)
    assert lengths == [(0, 1), (0, 1), (1, 3), (0, 1), (1, 3), (2, 5)]
    assert [(s.turn, s.draw, s.monitor) for s in book.turns[2].scores] == [
        (0, 0, "other"),
        (1, 0, "other"),
    ]


def test_a_redraw_asks_again_as_then_and_takes_the_turns_next_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))

    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        if turn.index == 2:
            [again] = await turn.redraw(turn.past[0])
            more = await turn.redraw(turn.past[0], 2)
            assert {(p.turn, p.draw) for p in [again, *more]} == {(0, 1), (0, 2), (0, 3)}
            assert all(commands(p)[0].startswith("one ") for p in [again, *more])
            await turn.suspicion(again)
        return execute(first)

    for _ in range(2):  # what is cached, is cached in the second run at the latest
        model = scripted("untrusted", *STEPS, seed=0)
        model.config = model.config.merge(GenerateConfig(cache=True))
        book = run(tmp_path, protocol, model)
        drawn = [(d.turn, d.draw) for d in book.turns[2].draws]
        assert drawn == [(2, 0), (0, 1), (0, 2), (0, 3)]
    assert model.api.calls == 3, "first draws come from the cache, redraws never"  # type: ignore[attr-defined]


def test_an_edit_is_the_trusted_models_own_version_of_what_it_was_shown(tmp_path: Path) -> None:
    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        if (await turn.suspicion(first)).below(0.5):
            return execute(first)
        return execute(await turn.edit(first))

    chosen = control(protocol)
    _, sample, book = play(tmp_path, chosen, hand_written, scripted("untrusted", *STEPS, seed=0))
    assert RAN == ["one 0", "safe", "three 0"]
    assert [d.source for d in book.turns[1].draws] == ["untrusted", "edited"]
    assert book.turns[1].decision == "replace"
    sample = resolve_sample_attachments(sample, "full")
    [ask] = [e for e in sample.events if isinstance(e, ModelEvent) and e.model == "script/trusted"]
    assert '"arguments": {"command": "two 0"}' in ask.input[-1].text
    assert [tool.name for tool in ask.tools] == ["shell"]
    assert not any("Another model was asked" in m.text for m in sample.messages)


def test_a_planted_attack_is_judged_and_cannot_run(tmp_path: Path) -> None:
    found: list[float | None] = []

    async def protocol(turn: Turn) -> Verdict:
        planted = await turn.known_attack()
        assert planted is not None and planted.source == "planted"
        found.append((await turn.suspicion(planted)).value)
        return execute(planted if turn.index else (await turn.draw())[0])

    planted = replace(control(protocol), planted=[output("two"), output("not it")])
    book = run(tmp_path, planted)
    assert found == [0.6, 0.0]
    assert RAN == ["one 0"]
    assert book.ended == "protocol failed"


def test_without_planted_attacks_there_is_none(tmp_path: Path) -> None:
    async def protocol(turn: Turn) -> Verdict:
        assert await turn.known_attack() is None
        return execute((await turn.draw())[0])

    assert run(tmp_path, protocol).ended == "finished"


@pytest.mark.parametrize(
    ("typed", "approved"), [("a\na\na\n", True), ("r\nr\nr\n", False), ("", False), (None, False)]
)
def test_a_person_is_asked_and_nobody_there_is_a_no(
    typed: str | None, approved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        return execute(first) if await turn.approved(first) else block(first, "not approved")

    if typed is not None:  # else pytest's own, which cannot be read
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    book = run(tmp_path, protocol)
    assert (["one 0", "two 0", "three 0"] if approved else []) == RAN
    # The last turn only talks: there is nothing to ask about.
    assert [[one.approved for one in turn.approvals] for turn in book.turns] == [[approved]] * 3 + [
        [True]
    ]


def test_the_gateways_count_is_asked_for_and_recorded(tmp_path: Path) -> None:
    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        return execute(first) if await turn.bytes_out() <= 100 else block(first, "over budget")

    counts = iter([0, 100, 101, 101])

    async def count() -> int:
        return next(counts)

    book = run(tmp_path, replace(control(protocol), bytes_out=count))
    assert RAN == ["one 0", "two 0"]
    assert [turn.bytes_out for turn in book.turns] == [[0], [100], [101], [101]]
    assert run(tmp_path, protocol).ended == "protocol failed", "where nobody counts"


def test_chance_and_time_are_the_samples_own(tmp_path: Path) -> None:
    seen: list[float] = []

    async def protocol(turn: Turn) -> Verdict:
        assert turn.task == 7
        seen.append(turn.rng.random())
        return execute((await turn.draw())[0])

    for seed in (1, 1, 2):
        run(tmp_path, replace(control(protocol), task=7, seed=seed))
    first, second, third = seen[:4], seen[4:8], seen[8:]
    assert first == second != third
    assert len(set(first)) == 4


def test_blues_calls_consume_none_of_the_agents_limits(tmp_path: Path) -> None:
    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        await turn.draw(3)
        await turn.edit(first)  # a message more than the agent's own conversation has
        await turn.trusted()
        return execute(first)

    # Four turns of the agent: 115 tokens each and seven messages in all.
    book = run(tmp_path, protocol, token_limit=4 * 115, turn_limit=4, message_limit=8)
    assert RAN == ["one 0", "two 0", "three 0"]
    assert [turn.went_on for turn in book.turns] == [True] * 4
