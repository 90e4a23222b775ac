"""Two runs of the same samples, compared. Pure functions over arrays.

A measure is a ratio of sums over samples, such as caught / attempts. Samples of one world (a
cluster: setting and variant) are not independent, so worlds are what is swapped and what variance
is taken over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Worse: TypeAlias = Literal["up", "down"]
"""The direction in which a measure gets worse."""

POWER = 0.8
"""With which a drop of the margin is to be found at the number of samples that is asked for."""

_EPS = 1e-12


@dataclass(frozen=True)
class Paired:
    """One measure of the samples that both sides have; side 0 is the baseline, side 1 is new.

    Attributes:
        cluster: the number of each sample's world, 0..clusters-1; shape (n,).
        hits: what each sample adds to the numerator; shape (2, n).
        units: what it adds to the denominator; shape (2, n).
    """

    cluster: NDArray[np.intp]
    hits: NDArray[np.float64]
    units: NDArray[np.float64]

    @property
    def clusters(self) -> int:
        """How many worlds there are."""
        return int(self.cluster.max()) + 1 if self.cluster.size else 0

    @property
    def totals(self) -> NDArray[np.float64]:
        """The denominators; shape (2,)."""
        return np.asarray(self.units.sum(axis=1))

    @property
    def values(self) -> NDArray[np.float64]:
        """The measure on both sides; shape (2,); NaN for a side without a unit."""
        return _divide(self.hits.sum(axis=1), self.totals)

    def by_cluster(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Numerators and denominators by world; shapes (2, clusters)."""
        return self._sum(self.hits), self._sum(self.units)

    def worsening(self, worse: Worse) -> float:
        """How much worse the new side is, -1..1; NaN when a side has no unit."""
        before, after = self.values
        return float(_signed(after - before, worse))

    def _sum(self, what: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.bincount(self.cluster, side, self.clusters) for side in what])


def paired(
    clusters: Sequence[str],
    hits: Sequence[tuple[float, float]],
    units: Sequence[tuple[float, float]],
) -> Paired:
    """Build one measure from samples, in any order.

    Those without a unit on either side are left out.

    Args:
        clusters: each sample's world, by name.
        hits: of each sample, what it adds to the numerator in the baseline and in the new run.
        units: likewise to the denominator.
    """
    counted = [i for i, pair in enumerate(units) if any(pair)]
    names = sorted({clusters[i] for i in counted})  # so that no order of samples matters
    number = {name: k for k, name in enumerate(names)}
    return Paired(
        np.array([number[clusters[i]] for i in counted], dtype=np.intp),
        np.array([hits[i] for i in counted], dtype=float).reshape(-1, 2).T,
        np.array([units[i] for i in counted], dtype=float).reshape(-1, 2).T,
    )


def swap_test(data: Paired, worse: Worse, *, draws: int = 9999, seed: int = 0) -> float:
    """How likely so much worsening is when the two sides are alike.

    In every world the sides' labels are swapped or not. When nothing has changed, all such
    swaps are equally likely, whatever the distribution, so the share of swaps that are at least as
    bad is an exact p-value (Fisher 1935; with random swaps, Phipson and Smyth 2010).

    Args:
        data: one measure.
        worse: the direction of the one-sided test.
        draws: random swaps; when all of the 2^clusters are fewer, all are tried.
        seed: of the random swaps.

    Returns:
        From 1/(1 + draws) to 1; 1 when a side has no unit.
    """
    seen = data.worsening(worse)
    if math.isnan(seen):
        return 1.0
    hits, units = data.by_cluster()
    exact = data.clusters < 63 and 2**data.clusters <= draws + 1
    swaps = _all_swaps(data.clusters) if exact else _some_swaps(data.clusters, draws, seed)
    new_hits = hits[1].sum() + swaps @ (hits[0] - hits[1])
    new_units = units[1].sum() + swaps @ (units[0] - units[1])
    after = _divide(new_hits, new_units)
    before = _divide(hits.sum() - new_hits, units.sum() - new_units)
    # A swap that leaves a side without a unit says nothing: it counts against the finding.
    as_bad = ~(_signed(after - before, worse) < seen - _EPS)
    return float(as_bad.mean()) if exact else float((1 + as_bad.sum()) / (1 + draws))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's (1979) adjusted p-values: each is to be compared with the family's alpha."""
    adjusted, worst = {}, 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        worst = max(worst, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = worst
    return adjusted


@dataclass(frozen=True)
class Spread:
    """How uncertain a difference is.

    Attributes:
        variance: of the difference of the two values; infinite with fewer than two worlds.
        design: how much larger it is for the samples being in worlds; at least 1.
        clusters: worlds; the t distribution has one degree of freedom less.
    """

    variance: float
    design: float
    clusters: int

    def quantile(self, p: float) -> float:
        """The distance from the difference at quantile `p` of its t distribution, p in 0.5..1."""
        if math.isinf(self.variance):
            return math.inf
        return _t(self.clusters - 1, p) * math.sqrt(self.variance)


def spread(data: Paired) -> Spread:
    """The variance of the difference, between worlds, by linearisation of the two ratios.

    It is never below that of Bonett and Price (2012) for paired proportions, which count one more
    pair that got worse and one that got better: a few pairs without any change do not prove that
    none can come.
    """
    if data.clusters < 2 or not data.totals.all():
        return Spread(math.inf, 1.0, data.clusters)
    residual = (data.hits - data.values[:, None] * data.units) / data.totals[:, None]
    each = residual[1] - residual[0]
    world = np.bincount(data.cluster, each)
    between = float((world**2).sum()) * data.clusters / (data.clusters - 1)
    n = float(data.totals.min())
    alone = (float(((each * n) ** 2).sum()) + 2) / (n + 2) ** 2
    return Spread(max(between, alone), max(1.0, between / alone), data.clusters)


def more_clusters(
    data: Paired, worse: Worse, *, margin: float, alpha: float, family: int, power: float = POWER
) -> int:
    """How many more worlds, with as many samples in each, would tell.

    With them, a worsening by `margin` is found with the power asked for, at the level of the
    family's first step. When there are as many already, what was seen lies between none and the
    margin, and there are as many as it takes to tell it from one of the two.

    Degrees of freedom are the present ones, so a small pilot asks for more (Stein 1945). A
    worsening adds variance of its own: where nothing differed, something will.

    Args:
        data: one measure.
        worse: its bad direction.
        margin: the worsening to be found, above 0 and below 1.
        alpha: the family's false-alarm rate.
        family: how many measures are tested.
        power: see above.

    Returns:
        At least 1.
    """
    from scipy.special import ndtri

    now = spread(data)
    steps = float(ndtri(1 - alpha / family) + ndtri(power))
    # Differences between -1 and 1 have a variance of at most 1, whatever they are.
    wanted = steps**2
    if not math.isinf(now.variance):
        per_cluster = float(data.totals.min()) / data.clusters
        own = now.design * margin * (1 - margin) / per_cluster
        steps = _t(now.clusters - 1, 1 - alpha / family) + _t(now.clusters - 1, power)
        wanted = min(wanted, (now.variance * now.clusters + own) * steps**2)
    target = margin
    if wanted / target**2 <= data.clusters:
        seen = data.worsening(worse)
        target = min(margin, max(seen, margin - seen))
    fewest = math.log2(family / alpha)  # with fewer worlds no swap test can find anything
    return max(1, math.ceil(max(wanted / target**2, fewest)) - data.clusters)


def _t(degrees: int, p: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, p))


def _signed(difference: NDArray[np.float64], worse: Worse) -> NDArray[np.float64]:
    return difference if worse == "up" else -difference


def _divide(hits: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(hits, units, out=np.full_like(units, np.nan), where=units > 0)


@lru_cache(maxsize=2)
def _all_swaps(clusters: int) -> NDArray[np.float64]:
    numbers = np.arange(2**clusters)[:, None]
    return (numbers >> np.arange(clusters) & 1).astype(float)


@lru_cache(maxsize=2)
def _some_swaps(clusters: int, draws: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).integers(0, 2, (draws, clusters)).astype(float)
