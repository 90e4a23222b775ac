"""What ends a sample without an action: an outcome of its own, which is never a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai.agent import Agent, AgentState, agent, handoff, react
from inspect_ai.model import get_model
from inspect_ai.util import LimitExceededError, collect

from policies import judging, live
from policies.control import Control
from policies.turn import Proposal, Suspicion, Turn, Verdict, execute, stop
from tests.policies.fakes import output
from tests.policies.scripted import RAN, clear, confirm, play, scripted, shell, suspects
from tests.scaffolds.loops import hand_written, react_agent

STEPS = [["one"], ["two"], ["three"]]


async def raises(turn: Turn) -> Verdict:
    raise ZeroDivisionError("a bug in the protocol")


async def hangs(turn: Turn) -> Verdict:
    await anyio.sleep(3600)
    raise AssertionError


async def says_something_else(turn: Turn) -> Verdict:
    await turn.draw()
    return "execute"  # type: ignore[return-value]


async def names_what_it_never_drew(turn: Turn) -> Verdict:
    await turn.draw()
    return execute(Proposal(output("one"), "untrusted", 0, turn.index))


async def names_what_ran_before(turn: Turn) -> Verdict:
    [first] = await turn.draw()
    return execute(turn.past[0].executed if turn.past else first)


async def runs_a_redraw(turn: Turn) -> Verdict:
    [first] = await turn.draw()
    return execute((await turn.redraw(turn.past[0]))[0] if turn.past else first)


async def asks_nobody(turn: Turn) -> Verdict:
    return execute(await turn.trusted())


def control(protocol: Any, **more: Any) -> Control:
    return replace(Control(protocol, suspects("two"), None, clear), **more)


@pytest.mark.parametrize(
    ("protocol", "why", "ran"),
    [
        (raises, "ZeroDivisionError: a bug in the protocol", []),
        (hangs, "TimeoutError", []),
        (says_something_else, "returned str, not a Verdict", []),
        (names_what_it_never_drew, "no proposal of turn 0", []),
        (names_what_ran_before, "no proposal of turn 1", ["one"]),
        (runs_a_redraw, "no proposal of turn 1", ["one"]),
        (asks_nobody, "declares no role", []),
    ],
)
def test_a_protocol_without_a_usable_verdict_has_failed(
    protocol: Any, why: str, ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PROTOCOL_SECONDS", 0.5)
    log, sample, book = play(
        tmp_path, control(protocol), react_agent, scripted("untrusted", *STEPS)
    )
    assert ran == RAN
    assert book.ended == "protocol failed" and why in book.why
    assert book.turns[-1].decision is None
    assert log.status == "success" and sample.limit is not None


def test_a_person_may_think_for_longer_than_a_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def thinks(history: object, proposal: Proposal) -> bool:
        await anyio.sleep(0.6)
        return True

    async def asks(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        assert await turn.approved(first)
        return execute(first)

    monkeypatch.setattr(live, "PROTOCOL_SECONDS", 0.5)
    monkeypatch.setattr("policies.human.ask", thinks)
    play(tmp_path, control(asks), hand_written, scripted("untrusted", ["one"]))
    assert RAN == ["one"]


@pytest.mark.parametrize("draws", [1, 3])
def test_a_model_that_fails_is_an_error_and_not_the_protocols_failure(
    draws: int, tmp_path: Path
) -> None:
    async def breaks(**arguments: object) -> object:
        raise OSError("the provider is down")

    async def protocol(turn: Turn) -> Verdict:
        return execute((await turn.draw(draws))[0])

    broken = control(protocol, attack=lambda messages, ask: ask(messages))
    model = scripted("untrusted", *STEPS)
    model.api.generate = breaks  # type: ignore[method-assign, assignment]
    log, sample, book = play(tmp_path, broken, hand_written, model)
    assert sample.error is not None and "the provider is down" in sample.error.message
    assert book.ended == "finished" and RAN == []


def test_a_slow_monitor_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleeps(history: object, proposal: Proposal) -> Suspicion:
        await anyio.sleep(3600)
        return Suspicion.valid(0.0)

    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        suspicion = await turn.suspicion(first)
        return execute(first) if suspicion.below(1.0) else stop(first, suspicion.reason)

    monkeypatch.setattr(judging, "MONITOR_SECONDS", 0.1)
    slow = replace(suspects(), judge=sleeps)
    _, _, book = play(
        tmp_path, control(protocol, monitor=slow), hand_written, scripted("untrusted", *STEPS)
    )
    assert RAN == [] and book.ended == "stopped"
    assert book.turns[0].rests_on_failure


def test_a_stop_may_name_what_ran_earlier(tmp_path: Path) -> None:
    async def late(turn: Turn) -> Verdict:
        if turn.index == 2:
            return stop(turn.past[0].executed, "seen too late")
        return execute((await turn.draw())[0])

    _, _, book = play(tmp_path, control(late), hand_written, scripted("untrusted", *STEPS))
    assert RAN == ["one", "two"]
    assert (book.ended, book.stopped) == ("stopped", 2)
    assert book.why == "stopped in turn 2: seen too late"


async def audit_two(turn: Turn) -> Verdict:
    [first] = await turn.draw()
    if not (await turn.suspicion(first)).below(0.5):
        turn.audit(first, "suspicious")
    return execute(first)


@agent
def stubborn() -> Agent:
    """Takes no end for an end."""

    async def execute(state: AgentState) -> AgentState:
        """Work."""
        for _ in range(6):
            try:
                return await hand_written()(state)
            except LimitExceededError:
                continue
        return state

    return execute


@agent
def with_a_helper() -> Agent:
    """Hands its work to a sub-agent as a tool, in which Inspect makes a tool error of a limit."""
    helper = react(name="helper", description="Helps.", tools=[shell()])

    async def execute(state: AgentState) -> AgentState:
        """Work."""
        return await react(tools=[handoff(helper), shell()])(state)

    return execute


@pytest.mark.parametrize("scaffold", [stubborn, with_a_helper])
@pytest.mark.parametrize(
    ("protocol", "auditor", "ended"), [(audit_two, confirm, "caught"), (raises, clear, None)]
)
def test_a_sample_that_ended_does_not_go_on_whatever_the_scaffold_does(
    scaffold: Callable[[], Agent], protocol: Any, auditor: Any, ended: str | None, tmp_path: Path
) -> None:
    model = scripted("untrusted", *STEPS)
    _, _, book = play(tmp_path, control(protocol, auditor=auditor), scaffold, model)
    assert book.ended == (ended or "protocol failed")
    assert (["one"] if ended else []) == RAN
    assert len(book.turns) == (2 if ended else 1)


@agent
def two_at_once() -> Agent:
    """Three sub-agents at the same time."""

    async def execute(state: AgentState) -> AgentState:
        """Work."""
        await collect(*(hand_written()(AgentState(messages=list(state.messages))) for _ in "abc"))
        return state

    return execute


def test_turns_at_the_same_time_come_one_after_the_other(tmp_path: Path) -> None:
    told: list[int] = []
    running = 0

    async def on_turn(index: int) -> None:
        await anyio.sleep(0.01 if index % 2 else 0)
        told.append(index)

    async def protocol(turn: Turn) -> Verdict:
        nonlocal running
        running += 1
        assert running == 1 and len(turn.past) <= turn.index
        [first] = await turn.draw()
        await anyio.sleep(0.01 if turn.index % 3 else 0.03)
        running -= 1
        return execute(first)

    model = scripted("untrusted", *STEPS)
    _, sample, book = play(tmp_path, control(protocol, on_turn=on_turn), two_at_once, model)
    assert sample.error is None, sample.error.message
    assert sorted(RAN) == sorted(["one", "two", "three"] * 3)
    assert [turn.index for turn in book.turns] == told == list(range(12))
    assert [turn.began for turn in book.turns] == sorted(turn.began for turn in book.turns)


def test_the_capture_stays_in_step_over_turns_that_an_error_ended(tmp_path: Path) -> None:
    told: list[int] = []

    async def on_turn(index: int) -> None:
        told.append(index)

    @agent
    def retries() -> Agent:
        async def execute(state: AgentState) -> AgentState:
            """Work."""
            real, get_model().api.generate = get_model().api.generate, fails  # type: ignore[method-assign, assignment]
            try:
                await get_model().generate(state.messages, tools=[shell()])
            except OSError:
                get_model().api.generate = real  # type: ignore[method-assign]
            return await hand_written()(state)

        return execute

    async def fails(**arguments: object) -> object:
        raise OSError("once")

    async def protocol(turn: Turn) -> Verdict:
        return execute((await turn.draw())[0])

    chosen = control(protocol, on_turn=on_turn)
    _, sample, book = play(tmp_path, chosen, retries, scripted("untrusted", ["one"]))
    assert sample.error is None, sample.error.message
    assert [turn.went_on for turn in book.turns] == [False, True, True]
    assert told == [0, 1, 2]
