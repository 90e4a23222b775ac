"""Paired comparisons keep their false-alarm rate and their intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gate import MARGIN, Shape, asked, compare, share
from policies.measure.paired import Paired as Data
from policies.measure.paired import holm, more_clusters, paired, spread, swap_test


def of(*pairs: tuple[float, float]) -> Data:
    """One sample per world, each counted on both sides."""
    return paired([f"w{i}" for i in range(len(pairs))], pairs, [(1, 1)] * len(pairs))


def test_a_measure_is_a_ratio_of_sums() -> None:
    data = paired(
        ["a", "a", "b", "c"],
        [(1, 0), (1, 1), (0, 1), (0, 0)],
        [(1, 1), (1, 0), (1, 1), (0, 0)],
    )
    assert data.clusters == 2  # nothing is counted in c
    assert data.values == pytest.approx([2 / 3, 2 / 2])
    assert data.worsening("up") == pytest.approx(1 / 3)
    assert data.worsening("down") == pytest.approx(-1 / 3)


@pytest.mark.parametrize(
    ("pairs", "p"),
    [
        ([(1, 0)] * 5, 1 / 32),  # only the labels as they are fall so far
        ([(1, 0)] * 4 + [(0, 1)], 6 / 32),
        ([(0, 1)] * 5, 1.0),
        ([(1, 1)] * 5, 1.0),
    ],
)
def test_few_worlds_are_swapped_in_all_ways(pairs: list[tuple[float, float]], p: float) -> None:
    assert swap_test(of(*pairs), "down") == pytest.approx(p)


def test_many_worlds_are_swapped_at_random_and_never_to_p_zero() -> None:
    data = of(*[(1.0, 0.0)] * 40)
    assert swap_test(data, "down", draws=999) == 1 / 1000
    assert swap_test(data, "down") == swap_test(data, "down")


def test_a_world_is_swapped_as_a_whole() -> None:
    """Twenty samples of one world are one piece of evidence."""
    data = paired(["a"] * 20 + ["b"] * 20, [(1, 0)] * 40, [(1, 1)] * 40)
    assert swap_test(data, "down") == 1 / 4


def test_a_side_without_units_tells_nothing() -> None:
    data = paired(["a", "b"], [(1, 0), (1, 0)], [(1, 0), (1, 0)])
    assert swap_test(data, "down") == 1.0
    assert math.isinf(spread(data).variance)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_both_directions_share_the_swaps(flags: list[tuple[bool, bool]]) -> None:
    data = of(*[(float(a), float(b)) for a, b in flags])
    up, down = swap_test(data, "up"), swap_test(data, "down")
    assert up + down >= 1  # what was seen is in both tails
    assert min(up, down) >= 0.5**data.clusters


def test_holm_steps_down() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "c": 0.06, "b": 0.06}
    )


def test_pairs_without_any_change_are_no_proof_that_none_comes() -> None:
    few, many = (spread(of(*[(1.0, 1.0)] * n)) for n in (10, 1000))
    assert few.quantile(0.95) > 0.15 > many.quantile(0.95) > 0


def test_samples_of_one_world_count_less_than_samples_of_many() -> None:
    hits = [(1, 0)] * 10 + [(0, 1)] * 10 + [(1, 1)] * 20
    apart = paired([f"w{i}" for i in range(40)], hits, [(1, 1)] * 40)
    together = paired([f"w{i // 10}" for i in range(40)], hits, [(1, 1)] * 40)
    assert together.worsening("up") == apart.worsening("up")
    assert spread(together).variance > 4 * spread(apart).variance
    assert spread(together).design > 1


def asks(data: Data, margin: float) -> int:
    return more_clusters(data, "down", margin=margin, alpha=0.05, family=3)


@pytest.mark.parametrize("worlds", [1, 2, 5, 30])
def test_more_worlds_are_asked_for_a_smaller_margin(worlds: int) -> None:
    data = of(*[(1.0, 1.0)] * worlds)
    assert asks(data, 0.05) > asks(data, 0.15) >= 1


def test_no_more_than_the_worst_case_is_asked_for() -> None:
    data = of((1.0, 0.0), (0.0, 1.0))
    assert asks(data, 0.15) == math.ceil(((2.128 + 0.8416) / 0.15) ** 2) - 2


def test_what_lies_between_none_and_the_margin_takes_more() -> None:
    same = of(*[(1.0, 1.0)] * 360, *[(1.0, 0.0)] * 20, *[(0.0, 1.0)] * 20)
    between = of(*[(1.0, 1.0)] * 330, *[(1.0, 0.0)] * 50, *[(0.0, 1.0)] * 20)
    assert asks(same, 0.15) == 1
    assert asks(between, 0.15) > 1


CLUSTERED = Shape(worlds=16, each=3, rate=0.7, spread=1.0)


def test_two_runs_of_the_same_raise_few_alarms() -> None:
    """2,000 comparisons each, over many shapes, are in `benchmarks/gate.py`."""
    found = compare(CLUSTERED, np.random.default_rng(1), 150, 0.0)
    assert share(found, "regression") <= 0.05


def test_a_fall_by_the_margin_seldom_passes() -> None:
    found = compare(CLUSTERED, np.random.default_rng(2), 100, MARGIN)
    assert share(found, "pass") <= 0.05


def test_the_number_that_is_asked_for_finds_a_fall_by_the_margin() -> None:
    hits = list(asked(CLUSTERED, np.random.default_rng(3), 40, "catch_drop"))
    assert len(hits) > 10
    assert sum(hits) / len(hits) >= 0.8
