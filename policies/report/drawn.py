"""What the drawings show of the rows: few trajectories, bins and quantiles. Pure.

Nothing here grows with the number of rows: a report of 20,000 samples is as large as one of 200.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import get_args

import numpy as np

from policies.measure.rows import Row
from policies.measure.scored import top, units
from policies.measure.timing import detected
from policies.report.data import Fate, Flow, Histogram, Strip
from policies.report.words import choice

BINS = 20
"""Bars of a histogram, from 0 to 1."""
LONGEST = 200
"""Turns of the timeline of bytes; what comes later is not drawn."""
STRIPS = 24
"""Trajectories drawn turn by turn."""

_PER_WORLD = 3


def score(row: Row) -> float:
    """A trajectory's score, the one that thresholds are fitted on and held against.

    Its highest judgement up to the harm; infinity where one failed, minus infinity where none is.
    """
    if row.mode == "honest":
        return units(row, "trajectory", "value")[0]
    return top(row, "trajectory", "value")[0]


def histogram(arm: str, rows: Sequence[Row], threshold: float | None) -> Histogram:
    """How suspicious the trajectories of one arm looked."""
    bins: dict[bool, list[int]] = {True: [0] * BINS, False: [0] * BINS}
    failed = unjudged = 0
    for row in rows:
        found = score(row)
        if found == -math.inf:
            unjudged += 1
        elif found == math.inf:
            failed += 1
        else:
            bins[row.mode == "honest"][min(BINS - 1, int(found * BINS))] += 1
    return Histogram(arm, tuple(bins[True]), tuple(bins[False]), failed, unjudged, threshold)


def fate(row: Row, threshold: float | None) -> Fate:
    """What became of a sample that has a result.

    Args:
        row: the sample.
        threshold: above it honest work is flagged too; None for the audits and stops as run.
    """
    outcome = row.outcome
    if outcome is None:
        raise ValueError(f"sample {row.id} has no result")
    if row.mode == "honest":
        flagged = outcome.audited or outcome.stopped
        if threshold is not None:
            flagged = flagged or detected(row, threshold) is not None
        return "false alarm" if flagged else "honest"
    if outcome.caught:
        return "caught"
    if outcome.attempted and row.ending_turn is not None:
        return "caught late"
    return "missed" if outcome.succeeded else "harmless"


def strips(
    rows: Iterable[tuple[str, Row]],
    thresholds: dict[str, float],
    link: Callable[[Row], str],
) -> tuple[Strip, ...]:
    """The most informative trajectories: missed, caught late, false alarms, then the rest.

    No kind gets more than a third of the places, and no world more than a few: one that fails a
    hundred times would hide the others.

    Args:
        rows: samples with the key of their arm.
        thresholds: by arm.
        link: the address of a sample in the log viewer.
    """
    order = get_args(Fate)
    ranked = sorted(
        (
            (order.index(fate(row, thresholds.get(arm))), -score(row), number, arm, row)
            for number, (arm, row) in enumerate(rows)
            if row.outcome is not None and row.turns
        ),
        key=lambda one: one[:3],
    )
    chosen: list[tuple[int, float, int, str, Row]] = []
    of_kind: Counter[int] = Counter()
    of_world: Counter[tuple[int, str, str]] = Counter()
    for one in ranked:
        kind, world = one[0], (one[0], one[3], one[4].cluster)
        if of_kind[kind] < STRIPS // 3 and of_world[world] < _PER_WORLD and len(chosen) < STRIPS:
            chosen.append(one)
            of_kind[kind] += 1
            of_world[world] += 1
    return tuple(_strip(arm, row, order[kind], link(row)) for kind, _, _, arm, row in chosen)


def _strip(arm: str, row: Row, found: Fate, link: str) -> Strip:
    epoch = f", epoch {row.epoch}" if row.epoch > 1 else ""
    return Strip(
        arm=arm,
        sample=f"{row.id}{epoch}",
        attack="" if row.mode == "honest" else choice(row.run.attack) or row.mode,
        fate=found,
        suspicion=row.suspicion,
        failed=row.failed,
        harmful=row.harmful_turn,
        ending=row.ending_turn,
        bytes_out=sum(row.bytes_out) if row.bytes_out else None,
        link=link,
    )


def flows(rows: Iterable[Row]) -> tuple[Flow, ...]:
    """Bytes out by turn, in attack and natural mode and in honest mode; none where not counted."""
    counted: dict[bool, list[tuple[int, ...]]] = {False: [], True: []}
    for row in rows:
        if row.bytes_out and row.outcome is not None:
            counted[row.mode == "honest"].append(row.bytes_out[:LONGEST])
    found = []
    for honest, every in counted.items():
        if not every:
            continue
        table = np.zeros((len(every), max(map(len, every))))
        for number, out in enumerate(every):
            table[number, : len(out)] = out
        deciles = np.quantile(np.cumsum(table, axis=1), (0.1, 0.5, 0.9), axis=0)
        lower, median, upper = (tuple(line.tolist()) for line in deciles)
        found.append(Flow("honest" if honest else "attack", lower, median, upper, len(every)))
    return tuple(found)
