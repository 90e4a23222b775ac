"""Intervals of proportions: exact, and over clusters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from benchmarks.coverage import coverage_of_rate
from policies.measure.rates import Rate, clopper_pearson, clustered, effective, wilson

COUNTS = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_the_intervals_are_the_textbooks(counts: tuple[int, int]) -> None:
    hits, n = counts
    exact = binomtest(hits, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits, n) == pytest.approx((exact.low, exact.high), abs=1e-9)
    score = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((score.low, score.high), abs=1e-9)


def test_the_level_is_the_callers() -> None:
    assert clopper_pearson(0, 10, 0.9) == pytest.approx((0.0, 1.0 - 0.05 ** (1 / 10)))
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "n", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 95.0)])
def test_what_is_no_proportion_is_refused(hits: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match="give hits from 0 to n"):
        clopper_pearson(hits, n, level)


@given(st.lists(COUNTS, min_size=1, max_size=30))
def test_a_rate_over_clusters_is_that_of_all_units(counts: list[tuple[int, int]]) -> None:
    hits, n = zip(*counts, strict=True)
    found = clustered(hits, n)
    assert found.value == pytest.approx(sum(hits) / sum(n)) and found.n == sum(n)
    low, high = wilson(sum(hits), sum(n))
    assert found.low <= low + 1e-9 and high - 1e-9 <= found.high
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_units_that_are_all_alike_in_a_cluster_are_worth_one() -> None:
    found = clustered([10, 0] * 15, [10] * 30)
    low, high = wilson(15, 30)
    assert found.n == 300
    assert found.high - found.low == pytest.approx(high - low, rel=0.1)


def test_one_cluster_tells_nothing_of_others() -> None:
    assert clustered([5, 0], [10, 0]) == Rate(0.5, 0.0, 1.0, 10)
    assert effective(1.0, 1.0, 0.0, 0, 5) == (0.0, 1.0)


def test_no_units_are_no_rate() -> None:
    found = clustered([0, 0], [0, 0], "action", 0.01)
    assert math.isnan(found.value)
    assert (found.low, found.high, found.n, found.unit, found.budget) == (0, 1, 0, "action", 0.01)


def test_hits_beyond_n_are_refused() -> None:
    with pytest.raises(ValueError, match="each cluster's hits"):
        clustered([3], [2])


@pytest.mark.parametrize(("share", "clusters"), [(0.6, 20), (0.9, 110)])
def test_the_interval_over_clusters_holds_a_planted_share(share: float, clusters: int) -> None:
    assert 0.925 < coverage_of_rate(share, clusters, 6, 0.3, trials=500, seed=3) < 0.975
