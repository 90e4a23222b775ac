"""A test that may be looked at after every world keeps its false-alarm rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.measure.sequential import Against, best, capital, first_stop, interval, more_blocks

sides: st.SearchStrategy[Against] = st.sampled_from(["at most", "at least"])
differences = st.lists(st.floats(-1, 1), min_size=1, max_size=30).map(np.array)


@given(differences, st.floats(-0.9, 0.9), sides)
def test_capital_is_never_negative(values: np.ndarray, mean: float, against: Against) -> None:
    wealth = capital(values, mean, against)
    assert len(wealth) == len(values)
    assert (wealth >= 0).all()


@given(differences, sides)
def test_what_is_not_there_is_no_bet(values: np.ndarray, against: Against) -> None:
    holes = np.concatenate([[math.nan], values, [math.nan]])
    assert capital(holes, 0.1, against)[-1] == pytest.approx(capital(values, 0.1, against)[-1])


@given(st.floats(-0.9, 0.9), sides)
def test_a_bet_at_fair_odds_wins_nothing_on_average(mean: float, against: Against) -> None:
    """Over the two-point distribution on -1 and 1 with the hypothesis' mean, exactly."""
    up = (1 + mean) / 2
    after = [capital(np.array([value]), mean, against)[-1] for value in (1.0, -1.0)]
    assert up * after[0] + (1 - up) * after[1] == pytest.approx(1)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_looking_after_every_world_raises_few_alarms(rate: float) -> None:
    """At most 5 %, of 600 runs of 60 worlds each, is the promise; here with its standard error."""
    rng = np.random.default_rng(0)
    runs = (rng.random((600, 60)) < rate).astype(float) - (rng.random((600, 60)) < rate)
    alarms = np.mean([capital(run, 0.0, "at most").max() >= 20 for run in runs])
    assert alarms <= 0.05


def test_looking_after_every_world_passes_little_that_got_worse() -> None:
    rng = np.random.default_rng(0)
    runs = (rng.random((600, 60)) < 0.75).astype(float) - (rng.random((600, 60)) < 0.60)
    passes = np.mean([capital(run, 0.15, "at least").max() >= 20 for run in runs])
    assert passes <= 0.05


def test_the_number_that_is_asked_for_mostly_tells() -> None:
    rng = np.random.default_rng(0)
    pilot = rng.choice([-1.0, 0.0, 1.0], 10, p=[0.15, 0.7, 0.15])
    more = more_blocks(pilot, 0.15, 60)
    assert more is not None
    runs = rng.choice([-1.0, 0.0, 1.0], (200, 10 + more), p=[0.10, 0.65, 0.25])
    assert np.mean([capital(run, 0.0, "at most").max() >= 60 for run in runs]) >= 0.5


def test_no_number_is_asked_for_when_there_was_nothing_to_bet_on() -> None:
    assert more_blocks(np.array([math.nan]), 0.15, 60) is None


def test_the_interval_holds_the_mean_and_narrows() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 0.0, 1.0], 400, p=[0.1, 0.6, 0.3])
    few, many = interval(values[:40]), interval(values)
    assert few[0] <= many[0] <= 0.2 <= many[1] <= few[1]
    low, high = interval(np.array([0.0]))
    assert low < -0.9 and high > 0.9


def test_it_stops_at_the_first_answer() -> None:
    no, late, soon = (
        np.array(one) for one in ([False] * 3, [False, False, True], [False, True, True])
    )
    assert first_stop([late], [no]) == 3
    assert first_stop([no], [late, soon]) == 3
    assert first_stop([no, soon], [no]) == 2
    assert first_stop([no], [no]) == 3
    assert (best(np.array([0.5, 3.0, 2.0])) == [1.0, 3.0, 3.0]).all()
