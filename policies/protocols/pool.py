"""A pool of draws and scores, for replay: one log in which other protocols can be evaluated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

from inspect_ai.model import ChatMessage
from pydantic import Field

from policies.protocols._registry import NONE, Inner, protocol
from policies.turn import ControlProtocol, Monitor, Past, Proposal, Suspicion, Turn, Verdict


@protocol(roles=("monitor", "trusted"))
def pool(
    inner: Inner = NONE,
    draws: Annotated[int, Field(ge=1, le=50)] = 5,
    edits: Annotated[int, Field(ge=0, le=50)] = 0,
) -> ControlProtocol:
    """Draw and score a pool in every turn, ask the trusted model once, and let another decide.

    The pool costs its draws in every turn, whatever the inner protocol needs. Each draw of the pool
    is an independent sample, so the inner protocol decides as it would alone, except where it
    looks at all scores of earlier turns.

    Args:
        inner: the protocol that decides; it draws from the pool, and beyond it when it needs more.
        draws: size of the pool, 1 to 50: any protocol that needs no more can be replayed.
        edits: how many of the draws, from the first on, the trusted model edits too, 0 to `draws`.

    Raises:
        ValueError: when `edits` is above `draws`.
    """
    if edits > draws:
        raise ValueError(f"edits={edits} must be at most draws={draws}")

    async def decide(turn: Turn) -> Verdict:
        pooled = _PooledTurn(turn)
        await pooled.fill(draws, edits)
        return await inner.value(pooled)

    return decide


class _PooledTurn(Turn):
    """A turn whose first answers are there already; everything else is the turn's own."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._draws: list[Proposal] = []
        self._scores: dict[int, Suspicion] = {}
        self._trusted: list[Proposal] = []
        self._edits: dict[int, Proposal] = {}

    async def fill(self, draws: int, edits: int) -> None:
        """Ask for the pool."""
        self._draws = await self._turn.draw(draws)
        self._trusted = [await self._turn.trusted()]
        self._edits = {one.draw: await self._turn.edit(one) for one in self._draws[:edits]}
        for one in self._draws:
            self._scores[one.draw] = await self._turn.suspicion(one)

    @property
    def index(self) -> int:
        return self._turn.index

    @property
    def task(self) -> int:
        return self._turn.task

    @property
    def history(self) -> Sequence[ChatMessage]:
        return self._turn.history

    @property
    def past(self) -> Sequence[Past]:
        return self._turn.past

    @property
    def rng(self) -> random.Random:
        return self._turn.rng

    async def draw(self, n: int = 1) -> list[Proposal]:
        taken, self._draws = self._draws[:n], self._draws[n:]
        return taken + (await self._turn.draw(n - len(taken)) if len(taken) < n else [])

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        return await self._turn.redraw(past, n)

    async def trusted(self) -> Proposal:
        return self._trusted.pop() if self._trusted else await self._turn.trusted()

    async def edit(self, proposal: Proposal) -> Proposal:
        own = proposal.turn == self.index
        ready = self._edits.pop(proposal.draw, None) if own else None
        return await self._turn.edit(proposal) if ready is None else ready

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        own = proposal.turn == self.index and monitor is None
        ready = self._scores.pop(proposal.draw, None) if own else None
        return await self._turn.suspicion(proposal, monitor) if ready is None else ready

    async def known_attack(self) -> Proposal | None:
        return await self._turn.known_attack()

    async def approved(self, proposal: Proposal) -> bool:
        return await self._turn.approved(proposal)

    async def bytes_out(self) -> int:
        return await self._turn.bytes_out()

    def audit(self, proposal: Proposal, reason: str) -> None:
        self._turn.audit(proposal, reason)
