"""A test that may be looked at after every world: betting on bounded differences.

Somebody who bets against a hypothesis, at fair odds under it, does not get rich: starting with 1,
the chance that the capital ever reaches 1/alpha is at most alpha (Ville 1939). So the test may
stop as soon as it does, however often it was looked at (Waudby-Smith and Ramdas, "Estimating means
of bounded random variables by betting", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from policies.measure.paired import Paired, Worse

Against: TypeAlias = Literal["at most", "at least"]
"""The hypothesis that is bet against: that the mean is at most, or at least, some value."""

_BETS = np.linspace(0, 1, 22)[1:-1]
_GRID = np.linspace(-1, 1, 201)
_RICH = 500.0  # the logarithm of a capital beyond which it does not matter


def capital(values: NDArray[np.float64], mean: float, against: Against) -> NDArray[np.float64]:
    """The capital after each value, starting from 1.

    It is spread evenly over fixed stakes, so nothing has to be known of the variance.

    Args:
        values: in the order in which they came, each -1..1; NaN where there was nothing to bet on.
        mean: the hypothesis' value, above -1 and below 1.
        against: the hypothesis.

    Returns:
        As many as there are values, each at least 0.
    """
    sign, reach = (1, 1 + mean) if against == "at most" else (-1, 1 - mean)
    gains = np.nan_to_num(sign * (values - mean), nan=0.0)
    stakes = _BETS / reach
    logarithms = np.log1p(gains[:, None] * stakes).cumsum(axis=0)
    return np.asarray(np.exp(np.minimum(logarithms, _RICH)).mean(axis=1))


def interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """What the mean may be: an interval that holds at every look at once, to 0.01.

    Args:
        values: as for `capital`.
        level: its confidence, above 0 and below 1.
    """
    limit = 2 / (1 - level)
    low = [m for m in _GRID[1:-1] if _reached(capital(values, m, "at most"), limit)]
    high = [m for m in _GRID[1:-1] if _reached(capital(values, m, "at least"), limit)]
    return float(max(low, default=-1.0)), float(min(high, default=1.0))


def worsenings(blocks: Sequence[Paired], worse: Worse) -> NDArray[np.float64]:
    """How much worse the new side is in each block, -1..1; NaN where a side has no unit."""
    return np.array([block.worsening(worse) for block in blocks], dtype=float)


def best(wealth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The most that the capital has been up to each look, at least 1."""
    return np.maximum.accumulate(np.maximum(wealth, 1.0))


def first_stop(any_of: Sequence[NDArray[np.bool_]], all_of: Sequence[NDArray[np.bool_]]) -> int:
    """After how many looks one of the former, or all of the latter, are true; else all looks.

    Args:
        any_of: each by look; at least one look.
        all_of: likewise.
    """
    stops = np.logical_or.reduce(any_of) | np.logical_and.reduce(all_of)
    return int(stops.argmax()) + 1 if stops.any() else len(stops)


def more_blocks(values: NDArray[np.float64], margin: float, limit: float) -> int | None:
    """About how many more blocks it takes to get to `limit` if the mean is the margin, or 0.

    By the growth of the best bet's logarithm, mean^2 / 2 (variance + mean^2).

    Args:
        values: as for `capital`.
        margin: above 0 and below 1.
        limit: the capital that decides, above 1.

    Returns:
        At least 1; None when there was nothing to bet on in any block.
    """
    counted = values[~np.isnan(values)]
    if not counted.size:
        return None
    # One more block that got worse and one that got better: see `paired.spread`.
    variance = float(((counted - counted.mean()) ** 2).sum() + 2) / (counted.size + 2)
    wanted = math.log(limit) * 2 * (variance + margin**2) / margin**2
    return max(1, math.ceil((wanted - counted.size) * values.size / counted.size))


def _reached(wealth: NDArray[np.float64], limit: float) -> bool:
    return bool(wealth.size) and bool(wealth.max() >= limit)
