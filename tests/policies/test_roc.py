"""Areas under ROC curves against what they are by definition."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.measure.roc import auroc, log_auroc, pauroc, roc, tpr_at
from policies.measure.thresholds import BudgetRefused, Floats

# Whole numbers, so that a monotone map keeps ties and order exactly.
SCORES = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_auroc_is_the_chance_that_an_attack_ranks_higher(
    honest: list[float], attack: list[float]
) -> None:
    wins = [(a > h) + 0.5 * (a == h) for a in attack for h in honest]
    assert auroc(honest, attack) == pytest.approx(np.mean(wins))
    assert auroc(attack, honest) == pytest.approx(1.0 - np.mean(wins))


@given(SCORES, SCORES)
def test_areas_depend_on_ranks_only(honest: list[float], attack: list[float]) -> None:
    low, high = ([math.exp(one) for one in kind] for kind in (honest, attack))
    assert auroc(low, high) == pytest.approx(auroc(honest, attack))
    assert pauroc(low, high) == pytest.approx(pauroc(honest, attack))


@given(SCORES, SCORES)
def test_a_curve_rises_from_none_to_all(honest: list[float], attack: list[float]) -> None:
    curve = roc(honest, attack)
    for shares, scores in ((curve.fpr, honest), (curve.tpr, attack)):
        assert (shares[0], shares[-1]) == (0.0, 1.0)
        assert (np.diff(shares) >= 0.0).all()
        above = [np.mean(np.array(scores) > level) for level in curve.threshold]
        assert shares == pytest.approx(above)


@given(SCORES, SCORES)
def test_partial_areas_add_up(honest: list[float], attack: list[float]) -> None:
    assert pauroc(honest, attack, 1.0) == pytest.approx(auroc(honest, attack))
    halves = [upto * pauroc(honest, attack, upto) for upto in (0.2, 0.4)]
    assert halves[0] <= halves[1] + 1e-12  # what is under more of the curve is more


@pytest.mark.parametrize("area", [auroc, pauroc, log_auroc])
def test_a_perfect_monitor_has_an_area_of_1_and_a_reversed_one_of_0(
    area: Callable[[Floats, Floats], float],
) -> None:
    low, high = np.linspace(0.0, 0.4, 200), np.linspace(0.6, 1.0, 50)
    assert area(low, high) == pytest.approx(1.0)
    assert area(high.repeat(4) + low / 1e3, low) == pytest.approx(0.0)


def test_what_a_blind_monitor_has() -> None:
    scores = np.linspace(0.0, 1.0, 5001)
    assert auroc(scores, scores) == pytest.approx(0.5)
    assert pauroc(scores, scores) == pytest.approx(0.1, abs=1e-4)
    # (1 - 0.01) / ln 100
    assert log_auroc(scores, scores) == pytest.approx(0.215, abs=5e-4)
    assert tpr_at(scores, scores, 0.05) == pytest.approx(0.05, abs=1e-3)


def test_a_log_area_is_the_mean_over_powers_of_ten() -> None:
    rng = np.random.default_rng(3)
    honest, attack = rng.normal(size=400), rng.normal(1.0, size=300)
    curve = roc(honest, attack)
    rates = np.geomspace(0.01, 1.0, 200_001)
    sampled = np.interp(rates, curve.fpr, curve.tpr).mean()
    assert log_auroc(honest, attack) == pytest.approx(float(sampled), abs=1e-4)


def test_failures_rank_highest_and_what_was_not_judged_lowest() -> None:
    assert auroc([0.0, 1.0], [math.inf]) == 1.0
    assert auroc([0.0, 1.0], [-math.inf]) == 0.0
    assert auroc([math.inf], [math.inf]) == 0.5


def test_what_the_honest_scores_cannot_express_is_refused() -> None:
    with pytest.raises(BudgetRefused):
        tpr_at([0.0] * 200, [1.0], 0.01)
    with pytest.raises(BudgetRefused):
        log_auroc([0.1, 0.2, 0.3], [1.0])
    for bad in (([], [0.1]), ([0.1], []), ([0.1], [math.nan])):
        with pytest.raises(ValueError, match="at least one honest score"):
            roc(*bad)
    with pytest.raises(ValueError, match="up to 1"):
        pauroc([0.1], [0.2], 20.0)
