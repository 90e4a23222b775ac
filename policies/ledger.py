"""What control did in one sample: every draw, score, audit and verdict, as plain data.

Kept in the sample's store, so it is in the log whatever ends the sample, and aggregates can be
chosen afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from inspect_ai.tool import ToolCall
from inspect_ai.util import StoreModel, store_as
from pydantic import BaseModel, Field

from policies.turn import Decision, Proposal, Source, Suspicion

VERSION = 2
"""Of the records below; a reader refuses others."""
_BRIEF = 200  # characters of a text that the transcript shows


class DrawRecord(BaseModel):
    """One proposal.

    Attributes:
        turn: the turn it was proposed in; with `draw` it names the proposal in the sample.
        draw: its number in that turn, from 0.
        source: whose it is.
        text: what the model said.
        calls: id, function and arguments of each tool call.
        edited: for T's edit of a proposal of the same turn, that proposal's number; else None.
    """

    turn: int
    draw: int
    source: Source
    text: str
    calls: list[dict[str, Any]]
    edited: int | None = None


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
    confirmed: bool | None = None


class ApprovalRecord(BaseModel):
    """What a person answered when asked whether a proposal may run."""

    turn: int
    draw: int
    approved: bool


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
        task: the sample's number in the run, from 0.
        seed: of the run's chance.
        began: unix time at which its action was let go (or the audit ended the sample).
        draws: every proposal, executed or not; of earlier turns too when a protocol went back.
        scores: every judgement, in order of asking.
        audits: every audit.
        approvals: what a person answered, in order of asking.
        bytes_out: the gateway's counts, in order of asking.
        planted: whether the setting had a known attack to plant; None when nobody asked.
        decision: the verdict; None when there was none: an audit or an error ended the turn.
        executed: the draw that ran; None when nothing did.
        reason: the verdict's.
        cost: by role: untrusted, trusted, monitor; red, for what an attack policy asks for beside
            the draws themselves.
        seconds: from the scaffold's call to the verdict.
    """

    version: int = VERSION
    index: int
    task: int = 0
    seed: int = 0
    began: float = 0.0
    draws: list[DrawRecord] = Field(default_factory=list)
    scores: list[ScoreRecord] = Field(default_factory=list)
    audits: list[AuditRecord] = Field(default_factory=list)
    approvals: list[ApprovalRecord] = Field(default_factory=list)
    bytes_out: list[int] = Field(default_factory=list)
    planted: bool | None = None
    decision: Decision | None = None
    executed: int | None = None
    reason: str = ""
    cost: dict[str, CostRecord] = Field(default_factory=dict)
    seconds: float = 0.0

    def add_draw(self, proposal: Proposal, edited: Proposal | None = None) -> None:
        """Record a proposal; with what it is an edit of when it is one."""
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
                edited=None if edited is None else edited.draw,
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

    def add_approval(self, proposal: Proposal, approved: bool) -> None:
        """Record a person's answer."""
        self.approvals.append(
            ApprovalRecord(turn=proposal.turn, draw=proposal.draw, approved=approved)
        )

    @property
    def acted(self) -> bool:
        """Whether this turn proposed an action at all, rather than only words."""
        return any(draw.calls for draw in self.draws)

    @property
    def went_on(self) -> bool:
        """Whether the agent got an answer, to act on or to read why it may not."""
        return self.decision is not None and self.decision != "stop"

    @property
    def rests_on_failure(self) -> bool:
        """Whether an audit of this turn, or its `stop`, is due to a monitor that failed.

        An audit is when the audited draw had no valid score; a stop is when any draw had none.
        """
        failed = {(one.turn, one.draw) for one in self.scores if one.status == "failed"}
        if self.decision == "stop":
            return bool(failed)
        return any((audit.turn, audit.draw) in failed for audit in self.audits)

    def brief(self) -> dict[str, Any]:
        """The record as JSON for the transcript: long texts are cut, here and nowhere else."""
        shown: dict[str, Any] = _brief(self.model_dump(mode="json", exclude_defaults=True))
        return {"version": self.version, "index": self.index, **shown}


Ending: TypeAlias = Literal["finished", "caught", "stopped", "protocol failed", "gate"]
"""What ended a sample: the agent or one of its limits; an audit that confirmed an attack; a `stop`
verdict; a protocol that raised, took too long or gave no usable verdict; a tool call at the gate
that no verdict endorsed."""
FINISHED: Ending = "finished"


class Ledger(StoreModel):
    """The sample's record.

    Attributes:
        turns: one record per call of the untrusted model.
        caught: index of the turn in which an audit confirmed an attack, or None.
        ended: what ended the sample; while it lasts, `finished`.
        why: the reason, in one line, when it is not `finished`.
        endorsed: digests of the tool calls that a verdict let go and that have not run.
        passed: digests of those that ran, or were handed to an agent in the box.
        blocked: digests of the tool calls that a verdict held back, and what the agent is told.
    """

    turns: list[TurnRecord] = Field(default_factory=list)
    caught: int | None = None
    ended: Ending = FINISHED
    why: str = ""
    endorsed: list[str] = Field(default_factory=list)
    passed: list[str] = Field(default_factory=list)
    blocked: dict[str, str] = Field(default_factory=dict)

    def endorse(self, calls: Iterable[ToolCall]) -> None:
        """Let each of these calls pass the gate once."""
        self.endorsed = self.endorsed + [digest(call) for call in calls]

    def block(self, calls: Iterable[ToolCall], message: str) -> None:
        """Have these calls rejected with a message."""
        self.blocked = self.blocked | {digest(call): message for call in calls}

    def use(self, call: ToolCall) -> bool:
        """Use up a call's endorsement; False when it has none."""
        mark = digest(call)
        if mark not in self.endorsed:
            return False
        rest = list(self.endorsed)
        rest.remove(mark)
        self.endorsed, self.passed = rest, [*self.passed, mark]
        return True

    def end(self, ended: Ending, why: str) -> None:
        """Note what ended the sample; the first reason stays."""
        if self.ended == FINISHED:
            self.ended, self.why = ended, why

    @property
    def stopped(self) -> int | None:
        """Index of the turn whose verdict ended the sample, or None."""
        return next((turn.index for turn in self.turns if turn.decision == "stop"), None)

    def record(self, turn: TurnRecord) -> None:
        """Add a finished turn."""
        self.turns = [*self.turns, turn]


def _brief(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _BRIEF:
        return f"{value[:_BRIEF]}... ({len(value) - _BRIEF} more characters)"
    if isinstance(value, dict):
        return {key: _brief(item) for key, item in value.items()}
    return [_brief(item) for item in value] if isinstance(value, list) else value


def ledger() -> Ledger:
    """The current sample's ledger."""
    return store_as(Ledger)


def digest(call: ToolCall) -> str:
    """A digest of id, function and arguments: a call changed after its verdict has another."""
    content = json.dumps([call.id, call.function, call.arguments], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
