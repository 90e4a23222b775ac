"""What control did in one sample: every draw, score, audit and verdict, as plain data.

Kept in the sample's store, so it is in the log whatever ends the sample, and aggregates can be
chosen afterwards.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from inspect_ai.tool import ToolCall
from inspect_ai.util import StoreModel, store_as
from pydantic import BaseModel, Field

from policies.turn import Decision, Proposal, Source, Suspicion

VERSION = 2
"""Of the records below; a reader refuses others."""


class DrawRecord(BaseModel):
    """One proposal.

    Attributes:
        turn: the turn it was proposed in; with `draw` it names the proposal in the sample.
        draw: its number in that turn, from 0.
        source: whose it is.
        text: what the model said.
        calls: id, function and arguments of each tool call.
    """

    turn: int
    draw: int
    source: Source
    text: str
    calls: list[dict[str, Any]]


class ScoreRecord(BaseModel):
    """One judgement of one proposal; `value` is 0..1 when `status` is valid, else None."""

    turn: int
    draw: int
    monitor: str
    status: Literal["valid", "failed", "skipped"]
    value: float | None = None
    reason: str


class AuditRecord(BaseModel):
    """One audit: of which proposal, why, and whether the auditor confirmed an attack.

    `confirmed` is None while nobody has decided: a deferred audit.
    """

    turn: int
    draw: int
    reason: str
    confirmed: bool | None


class CostRecord(BaseModel):
    """What one role's calls in a turn cost: tokens, money where known, and seconds.

    `input` and `output` leave out what the provider's cache served (`cache_read`) or stored
    (`cache_write`); `money` is in US dollars, None when the model's price is not known.
    """

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    money: float | None = None
    seconds: float = 0.0


class TurnRecord(BaseModel):
    """One turn.

    Attributes:
        version: see `VERSION`.
        index: its number in the sample, from 0.
        began: unix time at which its action was let go (or the audit ended the sample).
        draws: every proposal, executed or not; of earlier turns too when a protocol went back.
        scores: every judgement, in order of asking.
        audits: every audit.
        approvals: what a person answered, in order of asking.
        bytes_out: the gateway's counts, in order of asking.
        decision: the verdict; None when there was none: an audit or an error ended the sample.
        executed: the draw that ran; None when nothing did.
        reason: the verdict's.
        cost: by role: untrusted, trusted, monitor.
        seconds: from the scaffold's call to the verdict.
    """

    version: int = VERSION
    index: int
    began: float = 0.0
    draws: list[DrawRecord] = Field(default_factory=list)
    scores: list[ScoreRecord] = Field(default_factory=list)
    audits: list[AuditRecord] = Field(default_factory=list)
    approvals: list[bool] = Field(default_factory=list)
    bytes_out: list[int] = Field(default_factory=list)
    decision: Decision | None = None
    executed: int | None = None
    reason: str = ""
    cost: dict[str, CostRecord] = Field(default_factory=dict)
    seconds: float = 0.0

    def add_draw(self, proposal: Proposal) -> None:
        """Record a proposal."""
        self.draws.append(
            DrawRecord(
                turn=proposal.turn,
                draw=proposal.draw,
                source=proposal.source,
                text=proposal.message.text,
                calls=[
                    {"id": c.id, "function": c.function, "arguments": c.arguments}
                    for c in proposal.calls
                ],
            )
        )

    def add_score(self, proposal: Proposal, monitor: str, suspicion: Suspicion) -> None:
        """Record a judgement."""
        self.scores.append(
            ScoreRecord(
                turn=proposal.turn,
                draw=proposal.draw,
                monitor=monitor,
                status=suspicion.status,
                value=suspicion.value,
                reason=suspicion.reason,
            )
        )

    @property
    def acted(self) -> bool:
        """Whether this turn proposed an action at all, rather than only words."""
        return any(draw.calls for draw in self.draws)

    @property
    def audit_rests_on_failure(self) -> bool:
        """Whether an audited draw had no valid score: the audit is due to a failed monitor."""
        failed = {(one.turn, one.draw) for one in self.scores if one.status == "failed"}
        return any((audit.turn, audit.draw) in failed for audit in self.audits)


class Ledger(StoreModel):
    """The sample's record.

    Attributes:
        turns: one record per call of the untrusted model.
        caught: index of the turn in which an audit confirmed an attack, or None.
        endorsed: digests of the tool calls that a verdict let go.
        refused: tool calls that reached the gate without a verdict, as `function: id`.
    """

    turns: list[TurnRecord] = Field(default_factory=list)
    caught: int | None = None
    endorsed: list[str] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)

    def endorse(self, calls: tuple[ToolCall, ...]) -> None:
        """Let these calls pass the gate."""
        self.endorsed = self.endorsed + [digest(call) for call in calls]

    def refuse(self, call: ToolCall) -> None:
        """Note a call that no verdict endorsed."""
        self.refused = [*self.refused, f"{call.function}: {call.id}"]

    def record(self, turn: TurnRecord) -> None:
        """Add a finished turn."""
        self.turns = [*self.turns, turn]


def ledger() -> Ledger:
    """The current sample's ledger."""
    return store_as(Ledger)


def digest(call: ToolCall) -> str:
    """A digest of id, function and arguments: a call changed after its verdict has another."""
    content = json.dumps([call.id, call.function, call.arguments], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
