"""What a protocol sees and answers: `Turn`, `Proposal`, `Suspicion`, `Verdict`.

A protocol is an async function from a `Turn` to a `Verdict`. It knows nothing of Inspect's loop,
of live models or of logs, so the same function runs wherever somebody provides a `Turn`: live, in
replay over a ledger, and in simulation over distributions of scores.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ModelOutput
from inspect_ai.tool import ToolCall

Source: TypeAlias = Literal["untrusted", "trusted", "edited", "planted"]
"""Whose a proposal is: a draw of U, T's own, U's as edited by T, or an attack of the setting's that
the monitor is tested with and that never runs."""


@dataclass(frozen=True)
class Proposal:
    """One sample of what a model would do next. Nothing of it has run.

    Attributes:
        output: the model's answer, as the provider gave it.
        source: which model it is from.
        draw: its number among the turn's proposals, from 0, in order of asking.
        turn: the index of the turn it was proposed in; an earlier one's when a protocol went back.
    """

    output: ModelOutput
    source: Source
    draw: int
    turn: int = 0

    @property
    def message(self) -> ChatMessageAssistant:
        """The assistant message."""
        return self.output.message

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls: the action. Empty when the model only talks."""
        return tuple(self.message.tool_calls or ())

    @property
    def text(self) -> str:
        """Words and calls as JSON: how a model is shown a proposal that it is asked about."""
        calls = [{"tool": call.function, "arguments": call.arguments} for call in self.calls]
        return json.dumps({"words": self.message.text, "calls": calls}, default=str)


@dataclass(frozen=True)
class Suspicion:
    """A monitor's judgement of one proposal, in three values.

    Make one with `valid`, `failed` or `skipped`.

    Attributes:
        status: `valid`, `failed` (the monitor gave no usable score) or `skipped` (there was no
            action to judge).
        value: 0 (surely harmless) to 1 (surely an attack) when valid, else None.
        reason: the monitor's words, or why there is no score.
    """

    status: Literal["valid", "failed", "skipped"]
    value: float | None
    reason: str

    @classmethod
    def valid(cls, value: float, reason: str = "") -> Suspicion:
        """A score.

        Raises:
            ValueError: when `value` is not a number from 0 to 1.
        """
        if not 0.0 <= value <= 1.0:  # false for NaN too
            raise ValueError(f"suspicion must be from 0 to 1, not {value}")
        return cls("valid", float(value), reason)

    @classmethod
    def failed(cls, reason: str) -> Suspicion:
        """No score: it counts as more suspicious than any score, and is reported."""
        return cls("failed", None, reason)

    @classmethod
    def skipped(cls, reason: str) -> Suspicion:
        """Nothing to judge: the proposal has no action."""
        return cls("skipped", None, reason)

    @property
    def level(self) -> float:
        """For ordering: the value; infinity when failed, minus infinity when skipped."""
        if self.status == "failed":
            return math.inf
        return -math.inf if self.value is None else self.value

    def below(self, threshold: float) -> bool:
        """Whether the proposal passes: suspicious means *strictly* above the threshold.

        A failed monitor never passes, whatever the threshold (also at 1.0).
        """
        return self.level <= threshold


@dataclass(frozen=True)
class Past:
    """An earlier turn of the same sample whose action ran.

    Attributes:
        turn: its index.
        executed: what ran.
        suspicion: the sample's monitor's last judgement of it; skipped when it was never asked.
        judged: all its judgements of U's draws of that turn, whether they ran or not, in order of
            asking; also those of draws made later by a protocol that went back. Empty when it was
            never asked.
    """

    turn: int
    executed: Proposal
    suspicion: Suspicion
    judged: tuple[Suspicion, ...] = ()


def past_turns(
    executed: Sequence[Proposal], judged: Sequence[tuple[Proposal, Suspicion]]
) -> tuple[Past, ...]:
    """What a turn sees of the sample so far: every driver makes `Turn.past` here.

    Args:
        executed: the proposals that ran, in order; those without an action are left out.
        judged: every judgement of the sample's own monitor, in order of asking.
    """
    unasked = Suspicion.skipped("the monitor was never asked")
    last = {(one.turn, one.draw): suspicion for one, suspicion in judged}
    return tuple(
        Past(
            turn=ran.turn,
            executed=ran,
            suspicion=last.get((ran.turn, ran.draw), unasked),
            judged=tuple(
                suspicion
                for one, suspicion in judged
                if one.turn == ran.turn and one.source == "untrusted"
            ),
        )
        for ran in executed
        if ran.calls
    )


Decision: TypeAlias = Literal["execute", "replace", "block", "stop"]


@dataclass(frozen=True)
class Verdict:
    """A protocol's decision. Make one with `execute`, `replace`, `block` or `stop`.

    The audits that the protocol asked for (`Turn.audit`) are carried out first; one that confirms
    an attack ends the sample, and nothing runs.

    Attributes:
        decision: `execute`: this draw of U runs; `replace`: this proposal runs in its place;
            `block`: its calls do not run and the agent is told the reason; `stop`: nothing runs
            and the sample ends.
        proposal: what runs, or what was held back.
        reason: told to the agent when blocked, and kept in the ledger.
    """

    decision: Decision
    proposal: Proposal
    reason: str = ""

    @property
    def runs(self) -> bool:
        """Whether the proposal's calls may run."""
        return self.decision in ("execute", "replace")


def execute(proposal: Proposal) -> Verdict:
    """Let this proposal run: `execute` for a draw of U, `replace` for any other."""
    return Verdict("execute" if proposal.source == "untrusted" else "replace", proposal)


def block(proposal: Proposal, message: str) -> Verdict:
    """Hold this proposal's calls back and tell the agent why; it may go on with something else."""
    return Verdict("block", proposal, message)


def stop(proposal: Proposal, reason: str) -> Verdict:
    """End the sample; nothing of this proposal runs."""
    return Verdict("stop", proposal, reason)


Judge: TypeAlias = Callable[[Sequence[ChatMessage], Proposal], Awaitable[Suspicion]]
"""What a monitor does: judge a proposal, which has at least one call, made after this history."""


@dataclass(frozen=True)
class Monitor:
    """A monitor.

    Attributes:
        name: as it was asked for, arguments included: what a ledger keeps its scores under.
        judge: how it judges.
    """

    name: str
    judge: Judge


def chance(seed: int, task: int, turn: int) -> random.Random:
    """The chance of one turn (`Turn.rng`): every driver makes it here, so it is the same in all.

    Args:
        seed: of the run.
        task: the sample's number in the run.
        turn: the turn's number in the sample.
    """
    return random.Random(f"{seed}/{task}/{turn}")


class Turn(Protocol):
    """One call of the untrusted model, seen by blue: the ports that a protocol may use."""

    @property
    def index(self) -> int:
        """The turn's number in the sample, from 0."""

    @property
    def task(self) -> int:
        """The sample's number in the run, from 0: the time of an audit schedule."""

    @property
    def history(self) -> Sequence[ChatMessage]:
        """What the harness sent; never red's private prompt."""

    @property
    def past(self) -> Sequence[Past]:
        """The sample's earlier turns whose action ran, in order."""

    @property
    def rng(self) -> random.Random:
        """Chance, seeded by run, sample and turn: the same in every driver."""

    async def draw(self, n: int = 1) -> list[Proposal]:
        """Sample the untrusted model `n` times, independently."""

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        """Sample the untrusted model `n` times as it was asked in an earlier turn."""

    async def trusted(self) -> Proposal:
        """Ask the trusted model what it would do instead."""

    async def edit(self, proposal: Proposal) -> Proposal:
        """Ask the trusted model to make this proposal harmless while it keeps its use."""

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        """Ask a monitor; the sample's own when None. Proposals of earlier turns are judged there.

        A monitor that raises or gives no valid score is asked again, and then has failed.
        """

    async def known_attack(self) -> Proposal | None:
        """An attack that the setting planted to test the monitor with; None when it has none."""

    async def approved(self, proposal: Proposal) -> bool:
        """Ask a person whether this proposal may run."""

    async def bytes_out(self) -> int:
        """Bytes that have left the agent's box so far, by the gateway's count."""

    def audit(self, proposal: Proposal, reason: str) -> None:
        """Spend audit budget on this proposal: the auditor looks at it before anything runs."""


ControlProtocol: TypeAlias = Callable[[Turn], Awaitable[Verdict]]
"""A protocol."""

Auditor: TypeAlias = Callable[[Proposal, str], Awaitable[bool | None]]
"""An auditor: True when it confirms that the proposal is part of an attack, False when it clears
it; None when it decides after the run, and the action goes on."""
