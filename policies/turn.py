"""What a protocol sees and answers: `Turn`, `Proposal`, `Suspicion`, `Verdict`.

A protocol is an async function from a `Turn` to a `Verdict`. It knows nothing of Inspect's loop,
of live models or of logs, so the same function runs wherever somebody provides a `Turn`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ModelOutput
from inspect_ai.tool import ToolCall

Source: TypeAlias = Literal["untrusted", "trusted"]


@dataclass(frozen=True)
class Proposal:
    """One sample of what a model would do next. Nothing of it has run.

    Attributes:
        output: the model's answer, as the provider gave it.
        source: which model it is from.
        draw: its number among the turn's proposals, from 0, in order of asking.
    """

    output: ModelOutput
    source: Source
    draw: int

    @property
    def message(self) -> ChatMessageAssistant:
        """The assistant message."""
        return self.output.message

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls: the action. Empty when the model only talks."""
        return tuple(self.message.tool_calls or ())


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
class Verdict:
    """A protocol's decision: which proposal runs.

    The audits that the protocol asked for (`Turn.audit`) are carried out first; one that confirms
    an attack ends the sample, and nothing runs.

    Attributes:
        proposal: what runs.
    """

    proposal: Proposal


def execute(proposal: Proposal) -> Verdict:
    """Let this proposal run."""
    return Verdict(proposal)


class Turn(Protocol):
    """One call of the untrusted model, seen by blue: the ports that a protocol may use."""

    @property
    def index(self) -> int:
        """The turn's number in the sample, from 0."""

    @property
    def history(self) -> Sequence[ChatMessage]:
        """What the harness sent; never red's private prompt."""

    async def draw(self, n: int = 1) -> list[Proposal]:
        """Sample the untrusted model `n` times, independently."""

    async def trusted(self) -> Proposal:
        """Ask the trusted model what it would do instead."""

    async def suspicion(self, proposal: Proposal) -> Suspicion:
        """Ask the monitor."""

    def audit(self, proposal: Proposal, reason: str) -> None:
        """Spend audit budget on this proposal: the auditor looks at it before anything runs."""


ControlProtocol: TypeAlias = Callable[[Turn], Awaitable[Verdict]]
"""A protocol."""

Monitor: TypeAlias = Callable[[Sequence[ChatMessage], Proposal], Awaitable[Suspicion]]
"""A monitor: judges a proposal made after this history. The proposal has at least one call."""

Auditor: TypeAlias = Callable[[Proposal, str], Awaitable[bool]]
"""An auditor: True when it confirms that the proposal is part of an attack."""
