"""The replay driver: any protocol over a logged sample, without a model call.

What blue sees in a turn depends on what ran before, so a replay is valid until the action that
runs differs from the one that ran. It says where that was, and what was missing when the protocol
asked for something that nobody logged. A log of the protocol `pool` has more to ask for.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from inspect_ai.log import (
    read_eval_log_sample,
    read_eval_log_sample_summaries,
)
from inspect_ai.model import ChatCompletionChoice, ChatMessage, ChatMessageAssistant, ModelOutput
from inspect_ai.tool import ToolCall

from policies.ledger import VERSION, AuditRecord, DrawRecord, Ledger, TurnRecord
from policies.turn import (
    Auditor,
    ControlProtocol,
    Monitor,
    Past,
    Proposal,
    Source,
    Suspicion,
    Turn,
    Verdict,
    chance,
    past_turns,
)

Ending: TypeAlias = Literal["finished", "caught", "stopped", "diverged", "not_logged"]


HISTORY = "the history"
"""What `Replayed.why` ends with when a protocol reads the conversation, which no ledger holds."""


class NotLoggedError(LookupError):
    """A protocol asked for what the ledger does not hold."""


@dataclass(frozen=True)
class Replayed:
    """What a protocol would have done in a logged sample.

    Attributes:
        turns: a record per valid turn: what the protocol asked for and was given, its audits and
            its verdict. Times and costs are left out: nothing was spent.
        logged: turns in the ledger.
        ending: `finished`: every logged turn is valid and nothing ended the sample; `caught`: an
            audit in the last valid turn confirmed an attack; `stopped`: the verdict there was to
            stop; `diverged`: what ran there is not what the log went on from; `not_logged`: in the
            turn after it, the protocol asked for what the ledger does not hold.
        why: what differed, or what was not logged; empty for other endings.
    """

    turns: tuple[TurnRecord, ...]
    logged: int
    ending: Ending
    why: str = ""

    @property
    def valid(self) -> float:
        """The share of the logged turns that are valid, 0..1; 1 for an empty ledger.

        Turns after a catch or a stop would not have been: they count as valid.
        """
        if self.ending in ("caught", "stopped") or not self.logged:
            return 1.0
        return len(self.turns) / self.logged

    @property
    def decided(self) -> bool:
        """Whether the sample's end under this protocol is known."""
        return self.ending in ("finished", "caught", "stopped")


@dataclass(frozen=True)
class LoggedSample:
    """A sample of an evaluation log.

    Attributes:
        id: the sample's.
        epoch: its epoch, from 1.
        metadata: the sample's, such as its mode.
        turns: its ledger.
    """

    id: str | int
    epoch: int
    metadata: Mapping[str, Any]
    turns: tuple[TurnRecord, ...]


def read_ledgers(log: str | Path) -> Iterator[LoggedSample]:
    """The samples of an `.eval` log with their ledgers, one at a time.

    Args:
        log: the log's path; a log that was broken off gives the samples that it has.

    Raises:
        ValueError: a ledger is of another version than `policies.ledger.VERSION`.
    """
    place = str(log)
    for summary in read_eval_log_sample_summaries(place):
        sample = read_eval_log_sample(
            place,
            summary.id,
            summary.epoch,
            exclude_fields={"messages", "events", "output", "attachments"},
        )
        turns = tuple(sample.store_as(Ledger).turns)
        _check(turns, f"{place}, sample {sample.id}")
        yield LoggedSample(sample.id, sample.epoch, sample.metadata, turns)


def _check(turns: Sequence[TurnRecord], where: str) -> None:
    other = next((turn.version for turn in turns if turn.version != VERSION), None)
    if other is not None:
        raise ValueError(
            f"{where}: the ledger is of version {other}, this reads version {VERSION}: "
            "run the evaluation again"
        )


class _Shelf:
    """What one sample's ledger holds and has not given out.

    Draws of a turn are independent samples of the same question, whenever they were made; so are a
    monitor's judgements of one proposal. They are given out in the order of the log, each once.
    """

    def __init__(self, turns: Sequence[TurnRecord]) -> None:
        self._draws: dict[tuple[int, Source, int | None], deque[DrawRecord]] = defaultdict(deque)
        self._scores: dict[tuple[str, int, int], deque[Suspicion]] = defaultdict(deque)
        draws = [draw for turn in turns for draw in turn.draws]
        for draw in sorted(draws, key=lambda one: (one.turn, one.draw)):
            self._draws[draw.turn, draw.source, draw.edited].append(draw)
        for score in (score for turn in turns for score in turn.scores):
            suspicion = Suspicion(score.status, score.value, score.reason)
            self._scores[score.monitor, score.turn, score.draw].append(suspicion)
        self.monitors = tuple(sorted({name for name, _, _ in self._scores}))

    def proposal(self, turn: int, source: Source, edited: int | None = None) -> Proposal | None:
        """The next proposal of a kind; None when there is none left."""
        left = self._draws[turn, source, edited]
        return proposal_of(left.popleft()) if left else None

    def suspicion(self, monitor: str, proposal: Proposal) -> Suspicion | None:
        """The monitor's next judgement of a proposal; None when there is none left."""
        left = self._scores[monitor, proposal.turn, proposal.draw]
        return left.popleft() if left else None


def proposal_of(draw: DrawRecord) -> Proposal:
    """The proposal that a record is of; of the model's answer it has the text and the calls."""
    calls = [ToolCall(one["id"], one["function"], one["arguments"]) for one in draw.calls]
    message = ChatMessageAssistant(content=draw.text, tool_calls=calls or None, source="generate")
    choice = ChatCompletionChoice(message=message, stop_reason="tool_calls" if calls else "stop")
    return Proposal(
        ModelOutput(model="ledger", choices=[choice]), draw.source, draw.draw, draw.turn
    )


class ReplayTurn(Turn):
    """A `Turn` over a ledger.

    Attributes:
        record: what the protocol was given.
        audits: what it wants audited, and why.
        judged: the sample's own monitor's judgements.
        missing: what it asked for that is not logged; empty when nothing.
    """

    def __init__(
        self, logged: TurnRecord, shelf: _Shelf, past: Sequence[Past], monitor: str | None
    ) -> None:
        self._logged = logged
        self._shelf = shelf
        self._past = past
        self._monitor = monitor
        self._rng = chance(logged.seed, logged.task, logged.index)
        self._approvals = {(one.turn, one.draw): one.approved for one in logged.approvals}
        self._bytes_out = deque(logged.bytes_out)
        self.record = TurnRecord(index=logged.index, task=logged.task, seed=logged.seed)
        self.missing = ""
        self.audits: list[tuple[Proposal, str]] = []
        self.judged: list[tuple[Proposal, Suspicion]] = []

    @property
    def index(self) -> int:
        """See `Turn`."""
        return self._logged.index

    @property
    def task(self) -> int:
        """See `Turn`."""
        return self._logged.task

    @property
    def history(self) -> Sequence[ChatMessage]:
        """See `Turn`. Ledgers do not hold it.

        Raises:
            NotLoggedError: always.
        """
        raise self._missing(HISTORY)

    @property
    def past(self) -> Sequence[Past]:
        """See `Turn`."""
        return self._past

    @property
    def rng(self) -> random.Random:
        """See `Turn`."""
        return self._rng

    def _take(self, turn: int, source: Source, edited: Proposal | None = None) -> Proposal:
        taken = self._shelf.proposal(turn, source, None if edited is None else edited.draw)
        if taken is None:
            of = "" if edited is None else f" of draw {edited.draw}"
            raise self._missing(f"no further {source} proposal{of} of turn {turn}")
        self.record.add_draw(taken, edited)
        return taken

    async def draw(self, n: int = 1) -> list[Proposal]:
        """See `Turn`."""
        return [self._take(self.index, "untrusted") for _ in range(n)]

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        """See `Turn`."""
        return [self._take(past.turn, "untrusted") for _ in range(n)]

    async def trusted(self) -> Proposal:
        """See `Turn`."""
        return self._take(self.index, "trusted")

    async def edit(self, proposal: Proposal) -> Proposal:
        """See `Turn`."""
        return self._take(proposal.turn, "edited", proposal)

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        """See `Turn`.

        Raises:
            ValueError: the sample's own monitor is asked, several are logged and none was named.
        """
        name = self._own_monitor() if monitor is None else monitor.name
        suspicion = Suspicion.skipped("no action to judge")
        if proposal.calls:
            found = self._shelf.suspicion(name, proposal)
            if found is None:
                which = f"draw {proposal.draw} of turn {proposal.turn}"
                raise self._missing(f"no further score of {which} by {name}")
            suspicion = found
        self.record.add_score(proposal, name, suspicion)
        if monitor is None or name == self._monitor:
            self.judged.append((proposal, suspicion))
        return suspicion

    def _missing(self, what: str) -> NotLoggedError:
        self.missing = what
        return NotLoggedError(what)

    def _own_monitor(self) -> str:
        if self._monitor is not None:
            return self._monitor
        names = self._shelf.monitors
        if len(names) > 1:
            raise ValueError(f"several monitors are logged: give monitor=, one of {names}")
        if not names:
            raise self._missing("no score of any monitor")
        return names[0]

    async def known_attack(self) -> Proposal | None:
        """See `Turn`."""
        if self._logged.planted is None:
            raise self._missing("whether the setting has a known attack to plant")
        self.record.planted = self._logged.planted
        return self._take(self.index, "planted") if self._logged.planted else None

    async def approved(self, proposal: Proposal) -> bool:
        """See `Turn`."""
        answer = self._approvals.get((proposal.turn, proposal.draw))
        if answer is None:
            raise self._missing(f"no approval of draw {proposal.draw} of turn {proposal.turn}")
        self.record.add_approval(proposal, answer)
        return answer

    async def bytes_out(self) -> int:
        """See `Turn`."""
        if not self._bytes_out:
            raise self._missing("no further count of the bytes that left")
        self.record.bytes_out.append(self._bytes_out.popleft())
        return self.record.bytes_out[-1]

    def audit(self, proposal: Proposal, reason: str) -> None:
        """See `Turn`."""
        self.audits.append((proposal, reason))


async def replay(
    protocol: ControlProtocol,
    ledger: Sequence[TurnRecord],
    *,
    auditor: Auditor,
    monitor: str | None = None,
) -> Replayed:
    """Run a protocol over a logged sample, as far as that is valid.

    Args:
        protocol: any protocol; needs no model.
        ledger: one sample's records, in order.
        auditor: looks at what the protocol audits. In an evaluation the mode is known, so give the
            rule that the live run had.
        monitor: the name of the sample's own monitor in the ledger; may be left out when the
            ledger has scores of only one.

    Raises:
        ValueError: a ledger of another version, or several monitors and none named.
    """
    _check(ledger, "replay")
    shelf = _Shelf(ledger)
    executed: list[Proposal] = []
    judged: list[tuple[Proposal, Suspicion]] = []
    done: list[TurnRecord] = []

    def ended(ending: Ending, why: str = "") -> Replayed:
        return Replayed(tuple(done), len(ledger), ending, why)

    for logged in ledger:
        turn = ReplayTurn(logged, shelf, past_turns(executed, judged), monitor)
        try:
            verdict = await protocol(turn)
        except NotLoggedError as missing:
            return ended("not_logged", f"turn {logged.index}: {missing}")
        if turn.missing:  # a protocol that swallowed the error decided on less than it asked for
            return ended("not_logged", f"turn {logged.index}: {turn.missing}")
        await _audit(turn, auditor)
        done.append(turn.record)
        if any(audit.confirmed for audit in turn.record.audits):
            return ended("caught")
        turn.record.decision = verdict.decision
        turn.record.reason = verdict.reason
        turn.record.executed = verdict.proposal.draw if verdict.runs else None
        if verdict.decision == "stop":
            return ended("stopped")
        differs = _difference(verdict, logged)
        if differs:
            return ended("diverged", f"turn {logged.index}: {differs}")
        judged += turn.judged
        if verdict.runs:
            executed.append(verdict.proposal)
    return ended("finished")


async def _audit(turn: ReplayTurn, auditor: Auditor) -> None:
    for proposal, reason in turn.audits:
        confirmed = await auditor(proposal, reason)
        turn.record.audits.append(
            AuditRecord(turn=proposal.turn, draw=proposal.draw, reason=reason, confirmed=confirmed)
        )


def _difference(verdict: Verdict, logged: TurnRecord) -> str:
    """How a verdict leads elsewhere than the logged one; empty when it leads to the same place."""
    if not logged.went_on:
        how = "a stop" if logged.decision == "stop" else "an audit or an error"
        return f"the log ends with {how}, and this protocol goes on"
    if not verdict.runs or logged.decision == "block":
        same = verdict.decision == logged.decision and verdict.reason == logged.reason
        return "" if same else f"the log has {logged.decision}, this protocol {verdict.decision}s"
    ran = next(
        (d for d in logged.draws if (d.turn, d.draw) == (logged.index, logged.executed)), None
    )
    if ran is None:
        return "the log does not hold what ran"
    if _action(verdict.proposal) == _action(proposal_of(ran)):
        return ""
    return f"the log ran draw {ran.draw}, this protocol runs draw {verdict.proposal.draw}"


def _action(proposal: Proposal) -> tuple[str, list[tuple[str, dict[str, Any]]]]:
    """What the conversation goes on from: the words and the calls; ids do not matter."""
    return proposal.message.text, [(call.function, call.arguments) for call in proposal.calls]
