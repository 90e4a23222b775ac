"""Proportions with their n and interval. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["trajectory", "action", "episode"]
"""What a rate counts: whole samples, single actions, or episodes of many samples."""


@dataclass(frozen=True)
class Rate:
    """A proportion.

    Attributes:
        value: hits / n, from 0 to 1; NaN when n is 0.
        low: lower end of the 95 % interval; 0 when n is 0.
        high: upper end; 1 when n is 0.
        n: units counted.
        unit: what is counted.
        budget: the audit budget that it holds at, a share above 0 and below 1 of honest units; None
            for a rate as run.
    """

    value: float
    low: float
    high: float
    n: int
    unit: Unit = "trajectory"
    budget: float | None = None


def _normal(level: float) -> float:
    """How many standard errors to each side hold so much of a normal distribution."""
    return NormalDist().inv_cdf((1.0 + level) / 2.0)


def wilson(hits: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion (Wilson 1927).

    Args:
        hits: successes, 0..n.
        n: trials, or what they are worth; with none the interval is 0..1.
        level: how often such intervals hold the truth, above 0 and below 1.

    Raises:
        ValueError: when `hits` is not from 0 to `n`.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must be from 0 to n={n}, not {hits}")
    if n == 0:
        return 0.0, 1.0
    share, z = hits / n, _normal(level)
    z2 = z * z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At the ends the formula is exact but rounding is not.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == n else min(1.0, centre + half)
    return low, high


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion, which covers at least `level` (Clopper & Pearson 1934).

    Args:
        hits: successes, 0..n.
        n: trials; with none the interval is 0..1.
        level: how often such intervals hold the truth, above 0 and below 1.

    Raises:
        ValueError: when `hits` is not from 0 to `n`, or the level is not a share.
    """
    from scipy.special import betaincinv

    if not 0 <= hits <= n or not 0.0 < level < 1.0:
        raise ValueError(f"give hits from 0 to n={n} and a level below 1, not {hits} and {level}")
    tail = (1.0 - level) / 2.0
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1.0 - tail)) if hits < n else 1.0
    return low, high


def effective(
    value: float, centre: float, variance: float, n: float, df: float, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a share whose sampling variance was measured, as that of clusters is.

    Wilson's, with the number of independent units that would have this variance, fewer for the
    clusters' degrees of freedom (Korn & Graubard 1998, Survey Methodology 24:193).

    Args:
        value: the share, 0..1.
        centre: the share at which the variance was measured, 0..1; `value` or close to it.
        variance: of the share; with 0 at an end of its range it tells nothing, and `n` is taken.
        n: units counted, the most that they can be worth.
        df: clusters less one, or fewer where the variance is known less well; below 1 the interval
            is 0..1.
        level: see `wilson`.
    """
    from scipy.special import stdtrit

    if n <= 0 or df < 1:
        return 0.0, 1.0
    spread = centre * (1.0 - centre)
    worth = n if spread <= 0.0 or variance <= 0.0 else spread / variance
    worth = min(n, worth * (_normal(level) / float(stdtrit(df, (1.0 + level) / 2.0))) ** 2)
    return wilson(value * worth, worth, level)


def clustered(
    hits: Sequence[float],
    n: Sequence[float],
    unit: Unit = "trajectory",
    budget: float | None = None,
    level: float = 0.95,
) -> Rate:
    """A proportion over clusters whose units resemble each other.

    Args:
        hits: successes in each cluster; part of one where a coin decides.
        n: units in each cluster.
        unit: see `Rate`.
        budget: see `Rate`.
        level: see `wilson`.

    Returns:
        The share over all units, with the interval of `effective`; the variance is that between
        clusters. With fewer than two clusters the interval is 0..1.

    Raises:
        ValueError: hits are not from 0 to n in each cluster.
    """
    if any(not 0 <= h <= m for h, m in zip(hits, n, strict=True)):
        raise ValueError("give each cluster's hits, from 0 to its n")
    filled = [(h, m) for h, m in zip(hits, n, strict=True) if m]
    total = sum(m for _, m in filled)
    if not total:
        return Rate(math.nan, 0.0, 1.0, 0, unit, budget)
    share, groups = min(1.0, sum(h for h, _ in filled) / total), len(filled)
    squares = [(h - share * m) ** 2 for h, m in filled]
    apart = sum(squares)
    variance = apart / total**2 * groups / max(1, groups - 1)
    # Where a few clusters make most of the variance it is known less well (Satterthwaite 1946).
    uneven = sum(one * one for one in squares) - apart * apart / groups
    known = 2.0 * apart * apart / uneven if uneven > 0.0 else math.inf
    df = min(groups - 1.0, max(1.0, (groups - 1.0) / 3.0, known))
    low, high = effective(share, share, variance, total, df, level)
    return Rate(share, low, high, round(total), unit, budget)


def by_cluster(counts: Iterable[tuple[str, float, float]], unit: Unit = "trajectory") -> Rate:
    """The same from samples, in any order.

    Args:
        counts: of each sample its cluster, its hits and its units.
        unit: see `Rate`.
    """
    sums: dict[str, tuple[float, float]] = {}
    for cluster, hits, n in counts:
        before = sums.get(cluster, (0.0, 0.0))
        sums[cluster] = before[0] + hits, before[1] + n
    found = sums.values()
    return clustered([hits for hits, _ in found], [n for _, n in found], unit=unit)
