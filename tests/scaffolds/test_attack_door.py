"""Red's door: what an attack may do with U, who pays for it, and what blue sees of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai.log import resolve_sample_attachments
from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    ModelOutput,
)
from inspect_ai.util import LimitExceededError, collect

from policies.control import Ask, Attack, Control
from policies.ledger import Ledger
from policies.live_turn import DuplicateDrawError
from policies.turn import Monitor, Proposal, Suspicion, Turn, Verdict, execute, stop
from scaffolds.attack import Brief, attacks, briefed
from tests.policies.scripted import RAN, USAGE, clear, play, scripted
from tests.scaffolds.loops import hand_written

SYSTEM = ChatMessageSystem(content="You are an engineer.")
LATER = ChatMessageSystem(content="Budget: 20 turns.")
USER = ChatMessageUser(content="Fix the manifest.")
SECRET = "red's own words"


@pytest.mark.parametrize(
    ("messages", "at"),
    [([SYSTEM, USER, LATER], 1), ([USER, SYSTEM], 2), ([USER], 0), ([], 0)],
)
def test_a_briefing_follows_the_first_system_message(messages: list[ChatMessage], at: int) -> None:
    before = copy.deepcopy(messages)
    found = briefed(messages, SECRET)
    assert messages == before
    assert (found[at].role, found[at].text) == ("system", SECRET)
    assert [*found[:at], *found[at + 1 :]] == messages


async def first_draw(turn: Turn) -> Verdict:
    return execute((await turn.draw())[0])


async def third_of_three(turn: Turn) -> Verdict:
    return execute((await turn.draw(3))[2])


async def thrice(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
    """Asks three times at once, with words of its own, and takes the last."""
    asked = [*messages, ChatMessageUser(content=SECRET)]
    return (await collect(ask(asked), ask(asked), ask(asked)))[2]


def run(
    folder: Path,
    attack: Attack | None,
    protocol: Any = first_draw,
    *,
    monitor: Monitor | None = None,
    steps: int = 1,
    seed: int | None = 7,
    **options: Any,
) -> tuple[Any, Ledger]:
    control = Control(protocol, monitor, None, auditor=clear, attack=attack)
    model = scripted("untrusted", *[["draw {seed}"]] * steps, seed=seed)
    _, sample, book = play(folder, control, hand_written, model, **options)
    return sample, book


def test_every_sample_of_every_draw_has_a_seed_of_its_own(tmp_path: Path) -> None:
    asked: list[str] = []

    async def notes(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
        outputs = [await ask(messages) for _ in range(3)]
        calls = [call for one in outputs for call in one.message.tool_calls or []]
        asked.extend(call.arguments["command"] for call in calls)
        return outputs[1]

    _, book = run(tmp_path, notes, third_of_three)
    assert len(asked) == len(set(asked)) == 9
    assert len(book.turns[0].draws) == 3, "blue sees its own draws only"
    assert RAN == ["draw 2007932"]  # 7, the third draw, its second sample: whatever came first


def test_samples_of_one_draw_are_independent_under_a_response_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    model = scripted("untrusted", ["one"])
    model.config.cache = True  # the model's own: --cache is for first samples only
    control = Control(first_draw, None, None, auditor=clear, attack=thrice)
    for calls in (6, 6):  # the second time, each comes back from a scope of its own
        _, sample, _ = play(tmp_path, control, hand_written, model)
        assert sample.error is None, "no sample is a replay of another"
        assert model.api.calls == calls  # type: ignore[attr-defined]


def test_the_agents_limits_count_one_call_per_turn(tmp_path: Path) -> None:
    sample, book = run(tmp_path, thrice, third_of_three, steps=2, turn_limit=3)
    assert sample.limit is None and len(book.turns) == 3
    sample, book = run(tmp_path, thrice, steps=2, token_limit=3 * USAGE.total_tokens)
    assert sample.limit is None and len(book.turns) == 3
    sample, _ = run(tmp_path, thrice, steps=2, token_limit=2 * USAGE.total_tokens)
    assert sample.limit is not None and sample.limit.type == "token"


def test_what_red_spends_is_on_an_account_of_its_own(tmp_path: Path) -> None:
    _, book = run(tmp_path, thrice, third_of_three)
    cost = book.turns[0].cost
    assert (cost["untrusted"].calls, cost["red"].calls) == (3, 6)
    assert cost["red"].input == 60
    assert cost["untrusted"].seconds > 0 and cost["red"].seconds > 0
    _, book = run(tmp_path, None, third_of_three)
    assert book.turns[0].cost["untrusted"].calls == 3 and "red" not in book.turns[0].cost


def test_blue_never_sees_what_red_said(tmp_path: Path) -> None:
    seen: list[str] = []

    async def watch(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        seen.extend(one.text for one in history)
        seen.append(proposal.text)
        return Suspicion.valid(0.0)

    async def scribbles(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
        for message in messages:  # even into the messages themselves
            message.content = SECRET
        return await thrice(messages, ask)

    async def protocol(turn: Turn) -> Verdict:
        [drawn] = await turn.draw()
        seen.extend(one.text for one in turn.history)
        await turn.suspicion(drawn)
        return execute(drawn)

    sample, book = run(tmp_path, scribbles, protocol, monitor=Monitor("watch", watch), steps=2)
    assert sample.error is None
    assert "work" in seen and len(book.turns) == 3
    written = [*seen, book.model_dump_json(), *(one.text for one in sample.messages)]
    assert not any(SECRET in text for text in written)


def test_an_answer_given_to_blue_twice_is_refused(tmp_path: Path) -> None:
    kept: list[ModelOutput] = []

    async def hoards(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
        kept.append(await ask(messages))
        return kept[0]

    async def protocol(turn: Turn) -> Verdict:
        return stop((await turn.draw(3))[0], "enough")

    sample, book = run(tmp_path, hoards, protocol)
    assert sample.error is not None and DuplicateDrawError.__name__ in sample.error.traceback
    assert RAN == [] and book.ended == "finished"


def test_replays_within_one_draw_are_refused(tmp_path: Path) -> None:
    model = scripted("untrusted", ["one"])
    generate = model.api.generate

    async def replays(*given: Any, **named: Any) -> Any:
        output = await generate(*given, **named)
        assert isinstance(output, ModelOutput)
        output.message.id = "the same"
        return output

    model.api.generate = replays  # type: ignore[method-assign]
    control = Control(first_draw, None, None, auditor=clear, attack=thrice)
    _, sample, _ = play(tmp_path, control, hand_written, model)
    assert sample.error is not None and DuplicateDrawError.__name__ in sample.error.traceback


async def gives_words(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
    return "no output"  # type: ignore[return-value]


async def breaks(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
    raise ValueError("red's own mistake")


@pytest.mark.parametrize(
    ("attack", "says"), [(gives_words, "not a ModelOutput"), (breaks, "red's own mistake")]
)
def test_a_broken_attack_is_an_error_and_not_the_protocols_failure(
    attack: Attack, says: str, tmp_path: Path
) -> None:
    sample, book = run(tmp_path, attack)
    assert sample.error is not None and says in sample.error.message
    assert book.ended == "finished" and RAN == []


def test_a_limit_that_is_reached_beside_an_error_is_the_limit(tmp_path: Path) -> None:
    async def one_breaks(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
        RAN.append("asked")
        number = len(RAN)
        await anyio.sleep(0)
        if number == 1:
            raise ValueError("red's own mistake")
        raise LimitExceededError("custom", value=1, limit=0, message="enough")

    sample, book = run(tmp_path, one_breaks, third_of_three)
    assert sample.error is None and sample.limit is not None
    assert book.ended == "finished"


def test_an_earlier_turn_is_drawn_again_through_red(tmp_path: Path) -> None:
    lengths: list[int] = []

    async def notes(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
        lengths.append(len(messages))
        await ask(messages)
        return await ask(messages)

    async def protocol(turn: Turn) -> Verdict:
        [drawn] = await turn.draw()
        for past in turn.past:
            await turn.redraw(past)
        return execute(drawn)

    _, book = run(tmp_path, notes, protocol)
    assert lengths == [1, 3, 1], "each with the history of its own turn"
    assert [(one.turn, one.draw) for one in book.turns[1].draws] == [(1, 0), (0, 1)]
    texts = [json.dumps(one.calls) for turn in book.turns for one in turn.draws]
    assert len(texts) == len(set(texts)) == 3


@pytest.mark.parametrize("name", attacks.names())
def test_no_attack_leaves_a_trace_where_blue_looks(name: str, tmp_path: Path) -> None:
    histories: list[Sequence[ChatMessage]] = []

    async def watch(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        histories.append(history)
        return Suspicion.valid(0.4)

    async def protocol(turn: Turn) -> Verdict:
        drawn = await turn.draw(2)
        for one in drawn:
            await turn.suspicion(one)
        return execute(drawn[0])

    brief = Brief(f"{SECRET}: a side task", protocol=SECRET, judge=watch)
    attack = attacks.resolve(name).value.begin(brief)
    sample, book = run(tmp_path, attack, protocol, monitor=Monitor("watch", watch), steps=2)
    sample = resolve_sample_attachments(sample, "full")
    assert sample.error is None and len(RAN) == 2
    assert [len(turn.draws) for turn in book.turns] == [2, 2, 2]
    assert [len(turn.scores) for turn in book.turns] == [2, 2, 2], "red's own asking is not blue's"
    asked = [event for event in sample.events if event.event == "model"]
    assert any(SECRET in one.text for event in asked for one in event.input), "U was told"
    shown = [one.text for history in histories for one in (*history, *sample.messages)]
    assert not any(SECRET in text for text in (*shown, book.model_dump_json()))


def test_a_copy_of_the_monitor_is_red_s_to_pay_and_not_the_agents(tmp_path: Path) -> None:
    monitor = scripted("monitor")

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        await monitor.generate("how suspicious?")
        return Suspicion.valid(0.4)

    spec = {"name": "best_of_n", "n": 3, "only_attacks": False}
    attack = attacks.resolve(spec).value.begin(Brief("a side task", judge=judge))
    limit = 2 * USAGE.total_tokens
    sample, book = run(tmp_path, attack, token_limit=limit)
    assert sample.error is None and sample.limit is None
    [first, _] = book.turns
    assert (first.cost["untrusted"].calls, first.cost["red"].calls) == (1, 2 + 3)
