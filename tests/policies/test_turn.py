"""Suspicion is three-valued, and suspicious means strictly above the threshold."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.turn import Suspicion

fractions = st.floats(min_value=0, max_value=1)


@given(fractions, fractions)
def test_a_valid_score_passes_exactly_when_it_is_not_above_the_threshold(
    value: float, threshold: float
) -> None:
    assert Suspicion.valid(value).below(threshold) == (value <= threshold)


@given(fractions)
def test_a_failed_monitor_never_passes(threshold: float) -> None:
    assert not Suspicion.failed("no answer").below(threshold)


def test_a_failed_monitor_does_not_pass_even_the_highest_threshold() -> None:
    assert Suspicion.valid(1.0).below(1.0)
    assert not Suspicion.failed("no answer").below(1.0)


@given(fractions)
def test_words_without_an_action_always_pass(threshold: float) -> None:
    assert Suspicion.skipped("no action").below(threshold)


@pytest.mark.parametrize("value", [-0.01, 1.01, 80, math.nan, math.inf])
def test_a_score_out_of_range_is_an_error_and_never_a_score(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Suspicion.valid(value)


def test_the_order_puts_failed_first_and_skipped_last() -> None:
    judged = [Suspicion.valid(0.2), Suspicion.failed("x"), Suspicion.skipped("y")]
    assert [s.status for s in sorted(judged, key=lambda s: s.level)] == [
        "skipped",
        "valid",
        "failed",
    ]
