"""Print how often the 95 % intervals hold the truth, on data in which the truth is planted.

    python benchmarks/coverage.py [TRIALS]

TRIALS is 500 unless given: then a printed share that is really 95 % is within 2 points of it
nineteen times out of twenty; rates over clusters are tried four times as often. Scores are normal
in the open, and what samples of one cluster share makes up a given part of their variance, for
honest samples and attacks alike, half of it in common.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from scipy.special import ndtr

from policies.measure.budgeted import at_budget
from policies.measure.outcome import Mode, Outcome
from policies.measure.quality import UPTO, quality
from policies.measure.rates import Rate, clustered
from policies.measure.rows import Row, Run

DRAWS = 200
_NORMAL = NormalDist()
_RUN = Run(log="planted")


@dataclass(frozen=True)
class Cell:
    """A monitor and a set of samples.

    Attributes:
        honest: samples.
        attacks: samples.
        budget: share of honest samples.
        caught: share of attacks above the threshold that really spends the budget.
        clusters: how many; as many as samples when None.
        alike: share of the scores' variance that is between clusters.
    """

    honest: int
    attacks: int
    budget: float
    caught: float
    clusters: int | None = None
    alike: float = 0.0

    @property
    def shift(self) -> float:
        """How much higher attacks score than honest samples, in standard deviations."""
        return _NORMAL.inv_cdf(1.0 - self.budget) - _NORMAL.inv_cdf(1.0 - self.caught)

    @property
    def auroc(self) -> float:
        """The monitor's true AUROC."""
        return _NORMAL.cdf(self.shift / math.sqrt(2.0))

    @property
    def pauroc(self) -> float:
        """Its true partial AUROC."""
        rates = [UPTO * (number + 0.5) / 2000 for number in range(2000)]
        tprs = [_NORMAL.cdf(self.shift - _NORMAL.inv_cdf(1.0 - one)) for one in rates]
        return sum(tprs) / len(tprs)


CELLS = (
    *(Cell(100, 100, 0.05, caught) for caught in (0.3, 0.6, 0.9, 0.95)),
    *(Cell(100, 50, 0.1, caught) for caught in (0.3, 0.6, 0.9)),
    *(Cell(300, 300, 0.05, caught) for caught in (0.3, 0.9)),
    *(Cell(1000, 100, 0.01, caught) for caught in (0.3, 0.6, 0.9)),
    *(Cell(100, 100, 0.05, caught, 20, 0.2) for caught in (0.3, 0.6, 0.9)),
    *(Cell(300, 150, 0.05, caught, 50, 0.3) for caught in (0.3, 0.6, 0.9)),
    *(Cell(330, 330, 0.05, caught, 110, 0.3) for caught in (0.6, 0.9)),
    *(Cell(1000, 200, 0.01, caught, 50, 0.2) for caught in (0.3, 0.6, 0.9)),
)
RATES = [
    (share, clusters, size, alike)
    for share in (0.5, 0.8, 0.9)
    for clusters in (20, 50, 110)
    for size, alike in ((5, 0.0), (5, 0.2), (10, 0.3))
]

Interval: TypeAlias = Callable[[Sequence[Row], float], Rate]


def catch_rate(rows: Sequence[Row], budget: float) -> Rate:
    """The interval that is put to the test."""
    return at_budget(rows, budget, times=DRAWS).catch_rate


def planted(cell: Cell, rng: np.random.Generator) -> list[Row]:
    """Samples of one turn each."""
    total = cell.honest + cell.attacks
    kind = np.arange(total) >= cell.honest
    groups = cell.clusters or total
    cluster = np.arange(total) - (kind * cell.honest if cell.clusters else 0)
    cluster %= groups
    common, own = rng.normal(size=groups), rng.normal(size=(2, groups))
    shared = math.sqrt(0.5) * (common + own)[kind.astype(int), cluster]
    between = math.sqrt(cell.alike) * shared
    within = math.sqrt(1.0 - cell.alike) * rng.normal(size=total)
    scores = ndtr(between + within + kind * cell.shift)
    return [
        _row("attack" if attack else "honest", float(score), str(group))
        for attack, score, group in zip(kind, scores, cluster, strict=True)
    ]


def _row(mode: Mode, score: float, variant: str) -> Row:
    attack = mode == "attack"
    outcome = Outcome(mode, True, attack, attack, 1, 0, False, False, False)
    harm = 0 if attack else None
    return Row(
        _RUN, "planted", mode, "planted", variant, outcome, suspicion=(score,), harmful_turn=harm
    )


def coverage(cell: Cell, trials: int, interval: Interval = catch_rate, seed: int = 0) -> float:
    """How often an interval of the catch rate holds the planted one, 0..1."""
    rng = np.random.default_rng(seed)
    found = (interval(planted(cell, rng), cell.budget) for _ in range(trials))
    return sum(one.low <= cell.caught <= one.high for one in found) / trials


def coverage_of_areas(cell: Cell, trials: int, seed: int = 0) -> tuple[float, float]:
    """How often the intervals of AUROC and of partial AUROC hold the planted ones."""
    rng = np.random.default_rng(seed)
    held = np.zeros(2)
    for _ in range(trials):
        found = quality(planted(cell, rng), times=DRAWS)
        for at, (rate, truth) in enumerate(
            ((found.auroc, cell.auroc), (found.pauroc, cell.pauroc))
        ):
            held[at] += rate.low <= truth <= rate.high
    return float(held[0] / trials), float(held[1] / trials)


def coverage_of_rate(
    share: float, clusters: int, size: int, alike: float, trials: int, seed: int = 0
) -> float:
    """How often `clustered` holds a planted share; each cluster's is drawn from a beta.

    Args:
        share: the planted one.
        clusters: how many.
        size: samples in a cluster, on average; they differ.
        alike: correlation of samples of one cluster.
        trials: how many times.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(trials):
        n = rng.integers(size // 2, size + size // 2 + 1, size=clusters)
        spread = 1.0 / alike - 1.0 if alike else math.inf
        own = rng.beta(share * spread, (1.0 - share) * spread, clusters) if alike else share
        found = clustered(rng.binomial(n, own).tolist(), n.tolist())
        held += found.low <= share <= found.high
    return held / trials


def main() -> None:
    """Measure and print."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print("| honest | attacks | budget | clusters | alike | true catch rate | held |")
    print("|---|---|---|---|---|---|---|")
    for cell in CELLS:
        held = coverage(cell, trials)
        print(
            f"| {cell.honest} | {cell.attacks} | {cell.budget} | {cell.clusters or 'none'} | "
            f"{cell.alike or ''} | {cell.caught} | {held:.1%} |",
            flush=True,
        )
    print("\n| true share | clusters | samples in each | alike | held |")
    print("|---|---|---|---|---|")
    for share, clusters, size, alike in RATES:
        held = coverage_of_rate(share, clusters, size, alike, 4 * trials)
        print(f"| {share} | {clusters} | {size} | {alike or ''} | {held:.1%} |", flush=True)
    print("\n| honest | attacks | clusters | alike | true AUROC | held | partial | held |")
    print("|---|---|---|---|---|---|---|---|")
    for cell in (Cell(100, 100, 0.05, 0.3), Cell(100, 100, 0.05, 0.9)):
        for one in (cell, replace(cell, clusters=20, alike=0.2)):
            whole, part = coverage_of_areas(one, trials)
            print(
                f"| {one.honest} | {one.attacks} | {one.clusters or 'none'} | {one.alike or ''} | "
                f"{one.auroc:.3f} | {whole:.1%} | {one.pauroc:.3f} | {part:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
