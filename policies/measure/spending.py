"""What control costs: calls, tokens, money and time, by role and by sample. Pure.

Tokens that the provider's cache served or stored are part of every sum: without them a cost comes
out as little as a tenth of what was paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from policies.measure.rows import Row, Spent

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """A mean over samples, or over turns.

    Attributes:
        value: the mean; NaN when n is 0.
        low: lower end of its 95 % interval, by clusters; NaN when there are fewer than two.
        high: upper end.
        n: what it is a mean over.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Bill:
    """What one role, or all of them, cost.

    Attributes:
        total: the sum over all samples; its money is None when the price of any call is unknown.
        calls: per sample.
        tokens: per sample: read, written, and served or stored by the provider's cache.
        money: per sample, in US dollars; None when `total.money` is.
        seconds: per sample: those of every call, also of calls made at the same time.
    """

    total: Spent
    calls: Mean
    tokens: Mean
    money: Mean | None
    seconds: Mean


@dataclass(frozen=True)
class Spending:
    """What the samples cost.

    Attributes:
        samples: those with an account: void ones were paid for too.
        silent: those without any, which are in nothing else here.
        turns: of the samples with an account.
        roles: by role: `untrusted`, `trusted`, `monitor`; `red` is the experiment's and not what
            control would cost in earnest.
        whole: of all roles.
        draws: samples of U per turn; 1 is what U costs without control.
        added_seconds: per turn, what control adds to waiting for one sample of U: the time of the
            trusted model and the monitor, and the share of U's time that its further draws took,
            by their number. At most that, for calls at the same time are summed; red is not in it.
    """

    samples: int
    silent: int
    turns: int
    roles: Mapping[str, Bill]
    whole: Bill
    draws: Mean
    added_seconds: Mean


def spending(rows: Iterable[Row]) -> Spending:
    """What samples cost, of any mode.

    Args:
        rows: the samples.
    """
    every = list(rows)
    told = [row for row in every if row.spent]
    clusters = np.unique([row.cluster for row in told], return_inverse=True)[1]
    turns = np.array([row.turns for row in told], float)
    roles = sorted({role for row in told for role in row.spent})
    return Spending(
        samples=len(told),
        silent=len(every) - len(told),
        turns=int(turns.sum()),
        roles={
            role: _bill([row.spent.get(role, Spent()) for row in told], clusters) for role in roles
        },
        whole=_bill([_sum(row.spent.values()) for row in told], clusters),
        draws=mean([row.draws for row in told], turns, clusters),
        added_seconds=mean([_added(row) for row in told], turns, clusters),
    )


def mean(values: Sequence[float], units: Sequence[float] | Array, clusters: npt.ArrayLike) -> Mean:
    """The mean of values per unit, with its 95 % interval by clusters.

    The interval is of a ratio of totals over clusters, linearised, with as many degrees of freedom
    as clusters less one (Cochran 1977, 6.3; Miller, 2411.00640, for evaluations).

    Args:
        values: what each sample adds up to, shape (n,).
        units: how many units it has, shape (n,): ones for a mean per sample.
        clusters: the number of each sample's cluster, from 0, shape (n,).
    """
    from scipy.special import stdtrit

    x, size = np.asarray(values, float), np.asarray(units, float)
    n = int(size.sum())
    if not n:
        return Mean(np.nan, np.nan, np.nan, 0)
    value = float(x.sum() / n)
    off = np.bincount(np.asarray(clusters, int), x - value * size)
    count = len(off)
    if count < 2:
        return Mean(value, np.nan, np.nan, n)
    error = np.sqrt(count / (count - 1) * (off @ off)) / n
    half = float(stdtrit(count - 1, 0.975) * error)
    return Mean(value, value - half, value + half, n)


def _bill(accounts: Sequence[Spent], clusters: npt.ArrayLike) -> Bill:
    ones = np.ones(len(accounts))
    total = _sum(accounts)

    def each(values: Sequence[float]) -> Mean:
        return mean(values, ones, clusters)

    return Bill(
        total=total,
        calls=each([one.calls for one in accounts]),
        tokens=each(
            [one.input + one.output + one.cache_read + one.cache_write for one in accounts]
        ),
        money=None if total.money is None else each([one.money or 0.0 for one in accounts]),
        seconds=each([one.seconds for one in accounts]),
    )


def _sum(accounts: Iterable[Spent]) -> Spent:
    """The sum of accounts; its money is known only where that of every call is."""
    parts = list(accounts)
    unknown = any(one.money is None and one.calls for one in parts)
    return Spent(
        calls=sum(one.calls for one in parts),
        input=sum(one.input for one in parts),
        output=sum(one.output for one in parts),
        cache_read=sum(one.cache_read for one in parts),
        cache_write=sum(one.cache_write for one in parts),
        money=None if unknown else sum(one.money or 0.0 for one in parts),
        seconds=sum(one.seconds for one in parts),
    )


def _added(row: Row) -> float:
    own = row.spent.get("untrusted", Spent()).seconds
    further = max(0.0, 1 - row.turns / row.draws) if row.draws else 0.0
    blue = sum(row.spent[role].seconds for role in ("trusted", "monitor") if role in row.spent)
    return blue + own * further
