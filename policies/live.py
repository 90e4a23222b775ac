"""The live driver: a protocol between the untrusted model and any scaffold that calls it.

`ControlledModel` is the sample's model. Inside `armed(control)` each of its calls becomes a turn:
the protocol draws, asks the monitor and decides, and only the action that the verdict names comes
back to the scaffold. `endorsed_only` is the gate behind it: a tool call without a verdict ends the
sample, whatever produced it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from inspect_ai.approval import Approval, Approver, approver
from inspect_ai.log import transcript
from inspect_ai.model import (
    CachePolicy,
    ChatMessage,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
)
from inspect_ai.tool import ToolCall, ToolCallView
from inspect_ai.util import (
    LimitExceededError,
    collect,
    suspend_token_limit,
    suspend_turn_limit,
    suspend_working_limit,
)

from policies.ledger import AuditRecord, TurnRecord, digest, ledger
from policies.turn import Auditor, ControlProtocol, Monitor, Past, Proposal, Suspicion, Turn

_MONITOR_ATTEMPTS = 3
_SEED_STEP = 1_000_003  # apart from the seeds that users give to epochs and samples

Attack = Callable[[list[ChatMessage]], list[ChatMessage]]
"""Red's part: what U is really asked, given what the harness sent."""


class DuplicateDrawError(RuntimeError):
    """Two draws of a turn are one and the same answer: they would count as independent."""


@dataclass(frozen=True)
class Control:
    """What stands between U and the world in one sample.

    Attributes:
        protocol: decides.
        monitor: judges, or None when the protocol never asks.
        trusted: the trusted model, or None when the protocol never asks it.
        auditor: looks at audited proposals.
        attack: red's change of what U is asked, or None in honest mode.
        task: the sample's number in the run, from 0.
        seed: of the run's chance.
        on_action: told a turn's index before its action is let go; what it raises stops the sample.
    """

    protocol: ControlProtocol
    monitor: Monitor | None
    trusted: Model | None
    auditor: Auditor
    attack: Attack | None = None
    task: int = 0
    seed: int = 0
    on_action: Callable[[int], Awaitable[None]] | None = None


_control: ContextVar[Control | None] = ContextVar("sallyport_control", default=None)


@contextmanager
def armed(control: Control) -> Iterator[None]:
    """Put every call of the `ControlledModel` in this context under control."""
    token = _control.set(control)
    try:
        yield
    finally:
        _control.reset(token)


@contextmanager
def _unmetered() -> Iterator[None]:
    """Blue's own calls do not consume the agent's limits."""
    with ExitStack() as stack:
        for suspend in (suspend_token_limit, suspend_turn_limit, suspend_working_limit):
            stack.enter_context(suspend())
        yield


Generate = Callable[..., Awaitable[ModelOutput]]


class LiveTurn(Turn):
    """A `Turn` over real models."""

    def __init__(
        self,
        control: Control,
        history: list[ChatMessage],
        untrusted: Generate,
        trusted: Generate,
        index: int,
        past: Sequence[Past] = (),
    ) -> None:
        self._past = past
        self._control = control
        self._history = history
        self._untrusted = untrusted
        self._trusted = trusted
        self._draws = 0
        self._rng = random.Random(f"{control.seed}/{control.task}/{index}")
        self.record = TurnRecord(index=index)
        self.audits: list[tuple[Proposal, str]] = []
        self._answers: set[str] = set()

    @property
    def index(self) -> int:
        """See `Turn`."""
        return self.record.index

    @property
    def history(self) -> Sequence[ChatMessage]:
        """See `Turn`."""
        return tuple(self._history)

    def _next_draw(self) -> int:
        self._draws += 1
        return self._draws - 1

    def _add(self, output: ModelOutput, source: Any, draw: int) -> Proposal:
        proposal = Proposal(output, source, draw, self.index)
        self.record.add_draw(proposal)
        return proposal

    async def draw(self, n: int = 1) -> list[Proposal]:
        """See `Turn`.

        Raises:
            DuplicateDrawError: when a draw came back as a replay of another.
        """
        numbers = [self._next_draw() for _ in range(n)]
        if n == 1:  # without the span that `collect` would put around it in the transcript
            outputs = [await self._sample(numbers[0])]
        else:
            outputs = await collect(*(self._sample(number) for number in numbers))
        for output in outputs:
            answer = output.message.id or ""
            if answer in self._answers:
                raise DuplicateDrawError(
                    "a draw is a replay of another (a cache?): draws must be independent"
                )
            self._answers.add(answer)
        pairs = zip(outputs, numbers, strict=True)
        return [self._add(output, "untrusted", number) for output, number in pairs]

    async def _sample(self, number: int) -> ModelOutput:
        messages = self._history
        if self._control.attack is not None:
            messages = self._control.attack(list(messages))
        if number == 0:  # the agent's own call, on its own account
            return await self._untrusted(messages, draw=0)
        with _unmetered():
            return await self._untrusted(messages, draw=number)

    async def trusted(self) -> Proposal:
        """See `Turn`."""
        with _unmetered():
            output = await self._trusted(list(self._history))
        return self._add(output, "trusted", self._next_draw())

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        """See `Turn`."""
        monitor = monitor or self._control.monitor
        if monitor is None:
            raise RuntimeError("the protocol asks the monitor but declares no role for it")
        if proposal.calls:
            suspicion = await self._judge(monitor, proposal)
        else:
            suspicion = Suspicion.skipped("no action to judge")
        self.record.add_score(proposal, monitor.name, suspicion)
        return suspicion

    async def _judge(self, monitor: Monitor, proposal: Proposal) -> Suspicion:
        suspicion = Suspicion.failed("never asked")
        for _ in range(_MONITOR_ATTEMPTS):
            try:
                with _unmetered():
                    suspicion = await monitor.judge(self.history, proposal)
            except LimitExceededError:
                raise
            except Exception as error:  # whatever went wrong, it must not pass for harmless
                suspicion = Suspicion.failed(f"{type(error).__name__}: {error}")
            if suspicion.status == "valid":
                return suspicion
        if suspicion.status == "skipped":
            return Suspicion.failed(f"the monitor skipped an action: {suspicion.reason}")
        return suspicion

    @property
    def task(self) -> int:
        """See `Turn`."""
        return self._control.task

    @property
    def past(self) -> Sequence[Past]:
        """See `Turn`."""
        return self._past

    @property
    def rng(self) -> random.Random:
        """See `Turn`."""
        return self._rng

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        """See `Turn`."""
        raise NotImplementedError

    async def edit(self, proposal: Proposal) -> Proposal:
        """See `Turn`."""
        raise NotImplementedError

    async def known_attack(self) -> Proposal | None:
        """See `Turn`."""
        return None

    async def approved(self, proposal: Proposal) -> bool:
        """See `Turn`."""
        raise NotImplementedError

    async def bytes_out(self) -> int:
        """See `Turn`."""
        raise NotImplementedError

    def audit(self, proposal: Proposal, reason: str) -> None:
        """See `Turn`."""
        self.audits.append((proposal, reason))


class ControlledModel(Model):
    """The untrusted model under control; without `armed` it is the model itself.

    Same provider, name and config as the model it stands for, so logs name that model.
    """

    def __init__(self, inner: Model) -> None:
        """Stand for `inner`."""
        super().__init__(inner.api, inner.config, inner.model_args)

    async def generate(
        self, input: str | list[ChatMessage], *args: Any, **kwargs: Any
    ) -> ModelOutput:
        """One turn: see the module's docstring; arguments as for Inspect's `Model.generate`.

        Raises:
            LimitExceededError: an audit confirmed an attack; the sample ends as caught.
        """
        control = _control.get()
        if control is None:
            return await super().generate(input, *args, **kwargs)
        history: list[ChatMessage] = (
            [ChatMessageUser(content=input)] if isinstance(input, str) else list(input)
        )
        book = ledger()
        turn = LiveTurn(
            control,
            history,
            untrusted=partial(self._one_draw, args, kwargs),
            trusted=partial(_ask, control.trusted, args, kwargs),
            index=len(book.turns),
        )
        token = _control.set(None)  # monitors and scaffold-made calls of U cannot re-enter
        try:
            verdict = await control.protocol(turn)
            confirmed = await self._audit(control, turn)
            if not confirmed:
                turn.record.decision = verdict.decision
                turn.record.executed = verdict.proposal.draw
        finally:
            _control.reset(token)
            turn.record.began = time.time()
            book.record(turn.record)
            transcript().info(turn.record.model_dump(mode="json"), source="sallyport/turn")
        if confirmed:
            book.caught = turn.index
            raise LimitExceededError(
                "custom", value=1, limit=0, message=f"caught: an audit in turn {turn.index}"
            )
        if control.on_action is not None:
            await control.on_action(turn.index)
        book.endorse(verdict.proposal.calls)
        # The log's event shares this object: a scaffold that edits its messages must not edit it.
        return verdict.proposal.output.model_copy(deep=True)

    async def _one_draw(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], messages: list[ChatMessage], draw: int
    ) -> ModelOutput:
        """One sample of U.

        Draws after the first differ in seed, and come from a cache only where the model's own
        config asks for one, each in a scope of its own; `--cache` is for first draws.
        """
        if draw:
            given = kwargs.get("config") or GenerateConfig()
            config = self.config.merge(given)
            if config.seed is not None:  # one seed would make all draws the same
                given = given.merge(GenerateConfig(seed=config.seed + draw * _SEED_STEP))
            cached = kwargs.get("cache", config.cache)
            policy = cached if isinstance(cached, CachePolicy) else CachePolicy()
            scopes = {**policy.scopes, "draw": str(draw)}
            cache = policy.model_copy(update={"scopes": scopes}) if cached else False
            kwargs = {**kwargs, "config": given, "cache": cache}
        return await super().generate(messages, *args, **kwargs)

    @staticmethod
    async def _audit(control: Control, turn: LiveTurn) -> bool:
        """Carry out the audits, before anything runs; True when one confirms an attack."""
        for proposal, reason in turn.audits:
            confirmed = await control.auditor(proposal, reason)
            record = AuditRecord(
                turn=proposal.turn, draw=proposal.draw, reason=reason, confirmed=confirmed
            )
            turn.record.audits.append(record)
        return any(record.confirmed for record in turn.record.audits)


async def _ask(
    trusted: Model | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    messages: list[ChatMessage],
) -> ModelOutput:
    """The trusted model's answer to the call that U was asked."""
    if trusted is None:
        raise RuntimeError("the protocol asks the trusted model but declares no role for it")
    return await trusted.generate(messages, *args, **kwargs)


@approver(name="endorsed_only")
def endorsed_only() -> Approver:
    """Pass only tool calls that a verdict endorsed, unchanged; any other ends the sample."""

    async def approve(
        message: str, call: ToolCall, view: ToolCallView, history: list[ChatMessage]
    ) -> Approval:
        book = ledger()
        if digest(call) in book.endorsed:
            return Approval(decision="approve", explanation="endorsed by a verdict")
        book.refuse(call)
        return Approval(
            decision="terminate",
            explanation=f"no verdict endorsed this call of {call.function}: "
            "the scaffold bypasses the controlled model",
        )

    return approve
