"""Several draws of one action: judging them, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Tag

from policies.registry import Fraction
from policies.turn import Past, Proposal, Suspicion, Turn

Aggregate: TypeAlias = Annotated[
    Annotated[Literal["min", "mean", "max"], Tag("a word")] | Annotated[Fraction, Tag("a number")],
    Discriminator(lambda given: "a word" if isinstance(given, str) else "a number"),
]
"""What several scores say together: `min`, `mean`, `max`, or a quantile from 0 to 1."""


@dataclass(frozen=True)
class Judged:
    """A proposal and what the monitor says of it."""

    proposal: Proposal
    suspicion: Suspicion


async def judge(turn: Turn, proposals: Iterable[Proposal]) -> list[Judged]:
    """Ask the sample's monitor about each, in order."""
    return [Judged(one, await turn.suspicion(one)) for one in proposals]


def ranked(judged: Iterable[Judged]) -> list[Judged]:
    """From the least to the most suspicious; of equals, the later draw counts as more so."""
    return sorted(judged, key=lambda one: one.suspicion.level)


def combine(suspicions: Sequence[Suspicion], how: Aggregate) -> Suspicion:
    """One suspicion for several draws.

    Draws without an action say nothing. A failed score is above every valid one, so it can only
    raise the result; a quantile is the next higher score, never one in between.
    """
    levels = sorted(one.level for one in suspicions if one.status != "skipped")
    if not levels:
        return Suspicion.skipped("no draw has an action")
    if how == "mean":
        level = math.fsum(levels) / len(levels)
    else:
        share = {"min": 0.0, "max": 1.0}[how] if isinstance(how, str) else how
        level = levels[math.ceil(share * (len(levels) - 1))]
    if math.isinf(level):
        return Suspicion.failed(f"the {how} rests on a failed score")
    return Suspicion.valid(min(level, 1.0), f"{how} of {len(levels)}")


def step_score(past: Past, how: Aggregate) -> Suspicion:
    """The suspicion of an earlier turn, from all its draws that were judged."""
    return combine(past.judged or (past.suspicion,), how)
