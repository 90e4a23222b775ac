"""What stands between the untrusted model and the world in one sample, and what it remembers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
from inspect_ai.model import ChatMessage, Model, ModelOutput

from policies.turn import Auditor, ControlProtocol, Monitor, Past, Proposal, Suspicion, past_turns

Ask: TypeAlias = Callable[[list[ChatMessage]], Awaitable[ModelOutput]]
"""One independent sample of U's answer to these messages."""

Attack: TypeAlias = Callable[[list[ChatMessage], Ask], Awaitable[ModelOutput]]
"""Red's part, called once per draw of blue's: from what the harness sent (a copy) and a way to ask
U, as often as it likes, to the one answer that blue and the harness see."""


@dataclass(frozen=True)
class Control:
    """What stands between U and the world in one sample.

    Attributes:
        protocol: decides.
        monitor: judges, or None when the protocol never asks.
        trusted: the trusted model, or None when the protocol never asks it.
        auditor: looks at audited proposals.
        attack: what red makes of each draw, or None in honest mode.
        planted: known attacks to test the monitor with; turn n gets the n-th, round and round.
        bytes_out: asks the gateway how many bytes have left, or None where nobody counts.
        task: the sample's number in the run, from 0.
        seed: of the run's chance.
        on_turn: told a turn's index, from 0 without gaps, before its action is let go or the agent
            is told that it is blocked; what it raises stops the sample.
    """

    protocol: ControlProtocol
    monitor: Monitor | None
    trusted: Model | None
    auditor: Auditor
    attack: Attack | None = None
    planted: Sequence[ModelOutput] = ()
    bytes_out: Callable[[], Awaitable[int]] | None = None
    task: int = 0
    seed: int = 0
    on_turn: Callable[[int], Awaitable[None]] | None = None


@dataclass
class Request:
    """What the scaffold asked in one turn, kept so that it can be asked again.

    Attributes:
        history: the messages.
        untrusted: U's answer to messages, as the n-th sample, asked for the m-th time more (by
            red; 0: for the first time); the flag asks for a fresh one.
        trusted: T's answer to messages.
        numbers: how many proposals of the turn have a number already.
        samples: how many of them U was asked for; the first is the agent's own call.
        answers: ids of U's answers, whoever asked, to tell a replay from a sample.
        drawn: ids of the answers that became draws: red may give each to blue only once.
    """

    history: tuple[ChatMessage, ...]
    untrusted: Callable[[list[ChatMessage], int, int, bool], Awaitable[ModelOutput]]
    trusted: Callable[[list[ChatMessage]], Awaitable[ModelOutput]]
    numbers: int = 0
    samples: int = 0
    answers: set[str] = field(default_factory=set)
    drawn: set[str] = field(default_factory=set)

    def number(self) -> int:
        """The next proposal's number in the turn."""
        self.numbers += 1
        return self.numbers - 1

    def sample(self) -> int:
        """The number of the next of U's samples in the turn."""
        self.samples += 1
        return self.samples - 1


@dataclass
class Session:
    """One sample under control, turn by turn.

    Attributes:
        control: see there.
        lock: one turn at a time, so that what a protocol sees of earlier turns is settled and their
            indexes are in the order in which their actions are let go.
        requests: by turn.
        executed: what ran, in order.
        judged: every judgement of the sample's own monitor, in order of asking.
        told: turns that `on_turn` was told of.
    """

    control: Control
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    requests: dict[int, Request] = field(default_factory=dict)
    executed: list[Proposal] = field(default_factory=list)
    judged: list[tuple[Proposal, Suspicion]] = field(default_factory=list)
    told: int = 0

    def past(self) -> tuple[Past, ...]:
        """See `Turn.past`."""
        return past_turns(self.executed, self.judged)

    async def tell(self, index: int) -> None:
        """Tell `on_turn` of a turn, and before it of turns that an error ended."""
        if self.control.on_turn is None:
            return
        while self.told <= index:
            await self.control.on_turn(self.told)
            self.told += 1


_session: ContextVar[Session | None] = ContextVar("sallyport_session", default=None)


@contextmanager
def armed(control: Control) -> Iterator[None]:
    """Put every call of the `ControlledModel` in this context under control."""
    token = _session.set(Session(control))
    try:
        yield
    finally:
        _session.reset(token)


def current_session() -> Session | None:
    """The session of this context; None outside of `armed`, and where blue asks models itself."""
    return _session.get()


@contextmanager
def unarmed() -> Iterator[None]:
    """Blue's own context: monitors, and what they ask, are not under control themselves."""
    token = _session.set(None)
    try:
        yield
    finally:
        _session.reset(token)
