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

from policies.turn import Proposal, Source, Suspicion


class DrawRecord(BaseModel):
    """One proposal.

    Attributes:
        draw: its number in the turn, from 0.
        source: which model it is from.
        text: what the model said.
        calls: function and arguments of each tool call.
    """

    draw: int
    source: Source
    text: str
    calls: list[dict[str, Any]]


class ScoreRecord(BaseModel):
    """One judgement of one draw; `value` is 0..1 when `status` is valid, else None."""

    draw: int
    status: Literal["valid", "failed", "skipped"]
    value: float | None = None
    reason: str


class AuditRecord(BaseModel):
    """One audit: of which draw, why, and whether the auditor confirmed an attack."""

    draw: int
    reason: str
    confirmed: bool


class TurnRecord(BaseModel):
    """One turn.

    Attributes:
        index: its number in the sample, from 0.
        began: unix time at which its action was let go (or the audit ended the sample).
        draws: every proposal, executed or not.
        scores: every judgement.
        audits: every audit.
        executed: the draw that ran; None when the sample ended here.
    """

    index: int
    began: float = 0.0
    draws: list[DrawRecord] = Field(default_factory=list)
    scores: list[ScoreRecord] = Field(default_factory=list)
    audits: list[AuditRecord] = Field(default_factory=list)
    executed: int | None = None

    def add_draw(self, proposal: Proposal) -> None:
        """Record a proposal."""
        calls = [{"function": c.function, "arguments": c.arguments} for c in proposal.calls]
        text = proposal.message.text
        self.draws.append(
            DrawRecord(draw=proposal.draw, source=proposal.source, text=text, calls=calls)
        )

    def add_score(self, proposal: Proposal, suspicion: Suspicion) -> None:
        """Record a judgement."""
        self.scores.append(
            ScoreRecord(
                draw=proposal.draw,
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
        failed = {score.draw for score in self.scores if score.status == "failed"}
        return any(audit.draw in failed for audit in self.audits)


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
