"""`Turn` over real models: what a protocol may ask, asked of Inspect."""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import anyio
from inspect_ai.model import ChatMessage, ChatMessageUser, ModelOutput
from inspect_ai.util import LimitExceededError, collect, suspend_working_limit

from policies import human
from policies.control import Request, Session
from policies.costs import charged, unmetered
from policies.judging import judged
from policies.ledger import CostRecord, TurnRecord
from policies.turn import Monitor, Past, Proposal, Source, Suspicion, Turn, Verdict, chance

T = TypeVar("T")

_EDIT = Path(__file__).with_name("prompts") / "edit.md"


class DuplicateDrawError(RuntimeError):
    """Two draws of a turn are one and the same answer: they would count as independent."""


class LiveTurn(Turn):
    """One turn of a session.

    Attributes:
        record: what is kept of it.
        audits: what the protocol wants audited, and why.
        broken: errors of models that were asked and of red, which are not the protocol's fault.
        patience: ends the protocol when it takes too long; not while a person thinks.
    """

    def __init__(self, session: Session, request: Request, index: int) -> None:
        """Begin a turn: `request` is what the scaffold asks in it."""
        self._session = session
        self._past = session.past()
        self._drawn: list[Proposal] = []
        self._rng = chance(session.control.seed, session.control.task, index)
        session.requests[index] = request
        self.record = TurnRecord(index=index, task=session.control.task, seed=session.control.seed)
        self.audits: list[tuple[Proposal, str]] = []
        self.broken: list[Exception] = []
        self.patience = anyio.CancelScope()

    @property
    def index(self) -> int:
        """See `Turn`."""
        return self.record.index

    @property
    def task(self) -> int:
        """See `Turn`."""
        return self._session.control.task

    @property
    def history(self) -> Sequence[ChatMessage]:
        """See `Turn`."""
        return self._request(self.index).history

    @property
    def past(self) -> Sequence[Past]:
        """See `Turn`."""
        return self._past

    @property
    def rng(self) -> random.Random:
        """See `Turn`."""
        return self._rng

    async def draw(self, n: int = 1) -> list[Proposal]:
        """See `Turn`.

        Raises:
            DuplicateDrawError: when a draw came back as a replay of another.
        """
        return await self._sample(self.index, n)

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        """See `Turn`. Always asked afresh, never from a cache.

        Raises:
            DuplicateDrawError: when a draw came back as a replay of another.
        """
        return await self._sample(past.turn, n)

    async def trusted(self) -> Proposal:
        """See `Turn`."""
        return self._add(await self._ask_trusted(self.index, []), "trusted", self.index)

    async def edit(self, proposal: Proposal) -> Proposal:
        """See `Turn`."""
        asked = _EDIT.read_text().replace("{nonce}", secrets.token_hex(8))
        ask = ChatMessageUser(content=asked.replace("{proposal}", proposal.text))
        output = await self._ask_trusted(proposal.turn, [ask])
        return self._add(output, "edited", proposal.turn, edited=proposal)

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        """See `Turn`.

        Raises:
            RuntimeError: the sample has no monitor, for the protocol declares no role for it.
        """
        own = self._session.control.monitor
        monitor = monitor or own
        if monitor is None:
            raise RuntimeError("the protocol asks the monitor but declares no role for it")
        history = self._request(proposal.turn).history
        with charged(self._account("monitor")):
            suspicion = await judged(monitor.judge, history, proposal)
        if own is not None and monitor.name == own.name:
            self._session.judged.append((proposal, suspicion))
        self.record.add_score(proposal, monitor.name, suspicion)
        return suspicion

    async def known_attack(self) -> Proposal | None:
        """See `Turn`."""
        planted = self._session.control.planted
        self.record.planted = bool(planted)
        if not planted:
            return None
        output = planted[self.index % len(planted)]
        return self._add(output, "planted", self.index)

    async def approved(self, proposal: Proposal) -> bool:
        """See `Turn`. Where nobody can be asked, the answer is no."""
        history = self._request(proposal.turn).history
        began, deadline = anyio.current_time(), self.patience.deadline
        self.patience.deadline = float("inf")
        try:
            with suspend_working_limit():
                answer = await human.ask(history, proposal) is True
        finally:
            self.patience.deadline = deadline + anyio.current_time() - began
        self.record.add_approval(proposal, answer)
        return answer

    async def bytes_out(self) -> int:
        """See `Turn`.

        Raises:
            RuntimeError: nobody counts them here.
        """
        if self._session.control.bytes_out is None:
            raise RuntimeError("the protocol asks how much has left, but this task does not count")
        count = await self._session.control.bytes_out()
        self.record.bytes_out.append(count)
        return count

    def audit(self, proposal: Proposal, reason: str) -> None:
        """See `Turn`."""
        self.audits.append((proposal, reason))

    def check(self, verdict: object) -> Verdict:
        """A protocol's answer, if it is one.

        Raises:
            TypeError: it is no verdict.
            ValueError: it names a proposal that this turn did not draw, or a planted one; `stop`
                may name what ran earlier.
        """
        if not isinstance(verdict, Verdict):
            raise TypeError(f"the protocol returned {type(verdict).__name__}, not a Verdict")
        if verdict.decision == "stop":
            known = [*self._drawn, *(one.executed for one in self._past)]
        else:
            known = [p for p in self._drawn if p.turn == self.index and p.source != "planted"]
        if not any(one is verdict.proposal for one in known):
            raise ValueError(f"the verdict is on no proposal of turn {self.index}")
        return verdict

    def _request(self, turn: int) -> Request:
        return self._session.requests[turn]

    def _account(self, role: str) -> CostRecord:
        return self.record.cost.setdefault(role, CostRecord())

    def _add(
        self,
        output: ModelOutput,
        source: Source,
        turn: int,
        number: int = -1,
        edited: Proposal | None = None,
    ) -> Proposal:
        number = self._request(turn).number() if number < 0 else number
        proposal = Proposal(output, source, number, turn)
        self._drawn.append(proposal)
        self.record.add_draw(proposal, edited)
        return proposal

    async def _sample(self, turn: int, n: int) -> list[Proposal]:
        request = self._request(turn)
        numbers = [request.number() for _ in range(n)]
        samples = [request.sample() for _ in range(n)]
        outputs = await self._whole(self._outputs(turn, samples))
        pairs = zip(outputs, numbers, strict=True)
        return [self._add(output, "untrusted", turn, number) for output, number in pairs]

    async def _outputs(self, turn: int, samples: Sequence[int]) -> list[ModelOutput]:
        if len(samples) == 1:  # without the span that `collect` would put around it in the log
            outputs = [await self._one(turn, samples[0])]
        else:
            outputs = await collect(*(self._one(turn, sample) for sample in samples))
        for output in outputs:
            _never_twice(output, self._request(turn).drawn)
        return outputs

    async def _one(self, turn: int, sample: int) -> ModelOutput:
        """One of blue's draws: a sample of U, or what red makes of as many as it asks for."""
        history = self._request(turn).history
        asked = itertools.count()

        async def ask(messages: list[ChatMessage]) -> ModelOutput:
            return await self._ask_untrusted(turn, messages, sample, next(asked))

        attack = self._session.control.attack
        if attack is None:
            return await ask(list(history))
        copied = [message.model_copy(deep=True) for message in history]  # blue keeps its own
        with charged(self._account("red")):
            output: object = await attack(copied, ask)
        if not isinstance(output, ModelOutput):
            raise TypeError(f"the attack returned {type(output).__name__}, not a ModelOutput")
        return output

    async def _ask_untrusted(
        self, turn: int, messages: list[ChatMessage], sample: int, again: int
    ) -> ModelOutput:
        """A sample of U: the first of a draw (`again` is 0), or one more for red."""
        request = self._request(turn)
        fresh = turn != self.index
        with ExitStack() as stack:
            stack.enter_context(charged(self._account("red" if again else "untrusted")))
            if sample or again or fresh:  # else the agent's own call, on its own limits
                stack.enter_context(unmetered())
            output = await request.untrusted(messages, sample, again, fresh)
        _never_twice(output, request.answers)
        return output

    async def _ask_trusted(self, turn: int, more: list[ChatMessage]) -> ModelOutput:
        if self._session.control.trusted is None:
            raise RuntimeError("the protocol asks the trusted model but declares no role for it")
        request = self._request(turn)
        with charged(self._account("trusted")), unmetered():
            return await self._whole(request.trusted([*request.history, *more]))

    async def _whole(self, asked: Awaitable[T]) -> T:
        """What was asked for; its error is kept apart from the protocol's own."""
        try:
            return await asked
        except Exception as error:
            cause = _first(error)
            self.broken.append(cause)
            if cause is error:
                raise
            raise cause from error


def _first(error: Exception) -> Exception:
    """Of the errors of what was asked at once, the limit that was reached, or else the first."""
    while isinstance(error, ExceptionGroup):
        limits = error.subgroup(LimitExceededError)
        error = (limits or error).exceptions[0]
    return error


def _never_twice(output: ModelOutput, known: set[str]) -> None:
    """Refuse a replay: it would count as independent of the answer that it replays."""
    answer = output.message.id or ""
    if answer in known:
        raise DuplicateDrawError(
            "a draw is a replay of another (a cache?): draws must be independent"
        )
    known.add(answer)
