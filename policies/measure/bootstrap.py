"""The cluster bootstrap: whole clusters are drawn again, with all that is in them. Pure functions.

A statistic is a function of how often each row counts, so that whatever it fits, a threshold above
all, is fitted again in every draw: holding it fixed leaves out what the honest samples do not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from policies.measure.rates import effective
from policies.measure.thresholds import Floats

Statistic: TypeAlias = Callable[[Floats], Sequence[float]]
"""From how often each row counts (whole numbers, one per row) to figures; NaN where undefined."""


def draws(
    statistic: Statistic, clusters: Sequence[str], times: int = 1000, seed: int = 0
) -> Floats:
    """The statistic in samples of clusters with replacement (Efron & Tibshirani 1993, ch. 8).

    Args:
        statistic: what to compute.
        clusters: each row's cluster; honest rows and attacks of one cluster are drawn together.
        times: how many samples.
        seed: the same seed gives the same samples.

    Returns:
        Shape (times, figures).
    """
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    rng = np.random.default_rng(seed)
    alike = np.full(len(names), 1.0 / len(names))
    counts = (rng.multinomial(len(names), alike).astype(np.float64) for _ in range(times))
    return np.array([statistic(one[cluster]) for one in counts])


def interval(
    statistic: Statistic, clusters: Sequence[str], times: int = 1000, seed: int = 0
) -> list[tuple[float, float]]:
    """The 95 % percentile interval of each of a statistic's figures, whatever their range.

    Samples in which a figure is not defined are left out; NaN where none defines it.

    Args:
        statistic: see `draws`, like the rest.
        clusters: each row's cluster.
        times: how many samples.
        seed: of the samples.
    """
    ends = []
    for figures in draws(statistic, clusters, times, seed).T:
        defined = figures[~np.isnan(figures)]
        if defined.size:
            low, high = np.quantile(defined, [0.025, 0.975])
            ends.append((float(low), float(high)))
        else:
            ends.append((float("nan"), float("nan")))
    return ends


def share(
    value: float, drawn: Floats, n: float, df: int, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a share, by the variance of the share in the draws.

    Centred like Zhou & Qin's BTII (2005, Statistics in Medicine 24:465) on the mean of the draws,
    but Wilson's in form: it stays within 0..1 and keeps its width when every attack was caught.
    `docs/measuring.md` has its coverage.

    Args:
        value: the share in the sample itself.
        drawn: the share in each draw; NaN where it is not defined.
        n: units counted.
        df: clusters less one.
        level: see `rates.wilson`.
    """
    defined = drawn[~np.isnan(drawn)]
    if defined.size < 2 or math.isnan(value):
        return 0.0, 1.0
    centre = min(1.0, max(0.0, float(defined.mean())))
    return effective(value, centre, float(defined.var(ddof=1)), n, df, level)
