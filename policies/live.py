"""The live driver: a protocol between the untrusted model and any scaffold that calls it.

`ControlledModel` is the sample's model. Inside `armed(control)` each of its calls becomes a turn:
the protocol draws, asks the monitor and decides, and only the action that the verdict names comes
back to the scaffold. The gate (`policies.gate`) stands behind it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import anyio
from inspect_ai.log import transcript
from inspect_ai.model import (
    CachePolicy,
    ChatMessage,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelOutput,
)
from inspect_ai.util import LimitExceededError

from policies.control import Request, Session, current_session, unarmed
from policies.ledger import FINISHED, AuditRecord, Ending, Ledger, ledger
from policies.live_turn import LiveTurn
from policies.turn import Verdict

PROTOCOL_SECONDS = 3600.0
"""After which a protocol that has not decided has failed; a person's time does not count."""
_SEED_STEP = 1_000_003  # apart from the seeds that users give to epochs and samples
_AGAIN_STEP = 7_919  # within a draw; less than a million times over, so no sum comes up twice
_BLOCKED = "The control protocol blocked this call."


class _Ended(Exception):
    """The sample ends without this turn's action."""

    def __init__(self, how: Ending, why: str) -> None:
        super().__init__(why)
        self.how: Ending = how


class ControlledModel(Model):
    """The untrusted model under control; without `armed` it is the model itself.

    Same provider, name and config as the model it stands for, so logs name that model.
    """

    def __init__(self, inner: Model, *, active: bool = True) -> None:
        """Stand for a model.

        Args:
            inner: The model.
            active: Whether this, rather than `inner`, is what `Task(model=)` names. Inspect gives
                the run's config to that one only, so that one is asked.
        """
        super().__init__(inner.api, inner.config, inner.model_args)
        self._ask = super().generate if active else inner.generate

    @property
    def role(self) -> str:
        """What Inspect reports its tokens and its cost under."""
        return "untrusted"

    async def generate(
        self, input: str | list[ChatMessage], *args: Any, **kwargs: Any
    ) -> ModelOutput:
        """One turn: see the module's docstring; arguments as for Inspect's `Model.generate`.

        Raises:
            LimitExceededError: the sample ended, in this turn or before; `Ledger.ended` says how.
        """
        session = current_session()
        if session is None:
            return await self._ask(input, *args, **kwargs)
        history = [ChatMessageUser(content=input)] if isinstance(input, str) else list(input)
        request = Request(
            history=tuple(history),
            untrusted=partial(self._one_draw, args, kwargs),
            trusted=partial(_generate, session.control.trusted, args, kwargs),
        )
        async with session.lock:
            return await _take_turn(session, request)

    async def _one_draw(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        messages: list[ChatMessage],
        sample: int,
        again: int,
        fresh: bool,
    ) -> ModelOutput:
        """One sample of U; `again` counts those that red asks for within one draw.

        Those after the first differ in seed, and come from a cache only where the model's own
        config asks for one, each in a scope of its own; `--cache` is for first draws. A fresh
        one comes from no cache.
        """
        if sample or again or fresh:
            given = kwargs.get("config") or GenerateConfig()
            config = self.config.merge(given)
            if config.seed is not None:  # one seed would make all draws the same
                seed = config.seed + sample * _SEED_STEP + again * _AGAIN_STEP
                given = given.merge(GenerateConfig(seed=seed))
            cached = False if fresh else kwargs.get("cache", config.cache)
            policy = cached if isinstance(cached, CachePolicy) else CachePolicy()
            scopes = {**policy.scopes, "draw": f"{sample}.{again}"}
            cache = policy.model_copy(update={"scopes": scopes}) if cached else False
            kwargs = {**kwargs, "config": given, "cache": cache}
        return await self._ask(messages, *args, **kwargs)


async def _generate(
    model: Model | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    messages: list[ChatMessage],
) -> ModelOutput:
    """Another model's answer to the call that U was asked."""
    assert model is not None, "a turn asks for no model that the sample has not got"
    return await model.generate(messages, *args, **kwargs)


async def _take_turn(session: Session, request: Request) -> ModelOutput:
    """What the agent gets: the action that the verdict names, or one that the gate will reject."""
    book = ledger()
    if book.ended != FINISHED:  # whatever the scaffold made of that
        raise _limit(book)
    turn = LiveTurn(session, request, len(book.turns))
    began = time.perf_counter()
    try:
        with unarmed():
            verdict = await _decide(session, turn)
    except _Ended as end:
        if end.how == "caught":
            book.caught = turn.index
        book.end(end.how, f"{end.how} in turn {turn.index}: {end}")
        raise _limit(book) from end.__cause__
    finally:
        turn.record.began = time.time()
        turn.record.seconds = time.perf_counter() - began
        book.record(turn.record)
        transcript().info(turn.record.brief(), source="sallyport/turn")
    await session.tell(turn.index)
    if verdict.runs:
        book.endorse(verdict.proposal.calls)
        session.executed.append(verdict.proposal)
    else:
        book.block(verdict.proposal.calls, verdict.reason or _BLOCKED)
    # The log's event shares this object: a scaffold that edits its messages must not edit it.
    return verdict.proposal.output.model_copy(deep=True)


def _limit(book: Ledger) -> LimitExceededError:
    """What ends a sample for Inspect, and lets it be scored."""
    return LimitExceededError("custom", value=1, limit=0, message=book.why)


async def _decide(session: Session, turn: LiveTurn) -> Verdict:
    """A verdict to go on with, after the audits.

    Raises:
        _Ended: there is none.
    """
    try:
        with anyio.fail_after(PROTOCOL_SECONDS) as turn.patience:
            verdict = turn.check(await session.control.protocol(turn))
    except LimitExceededError:
        raise
    except Exception as error:
        if any(error is one for one in turn.broken):
            raise  # a model failed, or red, and not the protocol: Inspect may try again
        raise _Ended("protocol failed", f"{type(error).__name__}: {error}") from error
    await _audit(session, turn)
    turn.record.decision = verdict.decision
    turn.record.reason = verdict.reason
    if verdict.runs:
        turn.record.executed = verdict.proposal.draw
    if verdict.decision == "stop":
        raise _Ended("stopped", verdict.reason)
    return verdict


async def _audit(session: Session, turn: LiveTurn) -> None:
    """Carry out the audits, before anything runs.

    Raises:
        _Ended: one of them confirms an attack.
    """
    for proposal, reason in turn.audits:
        confirmed = await session.control.auditor(proposal, reason)
        turn.record.audits.append(
            AuditRecord(turn=proposal.turn, draw=proposal.draw, reason=reason, confirmed=confirmed)
        )
    confirmed_ones = [one for one in turn.record.audits if one.confirmed]
    if confirmed_ones:
        raise _Ended("caught", f"an audit confirmed an attack: {confirmed_ones[0].reason}")
