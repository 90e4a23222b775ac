"""A monitor's quality, and what a sample's mere shape would tell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from policies.measure.quality import BUDGETS, quality
from policies.measure.roc import auroc, log_auroc, pauroc, tpr_at
from policies.measure.rows import Row, Spent
from tests.policies.rowmaking import attack, honest, void

RNG = np.random.default_rng(7)
HONEST, ATTACK = RNG.random(150), RNG.random(60) ** 0.3


def rows() -> list[Row]:
    found = [honest(0.0, score, variant=str(n)) for n, score in enumerate(HONEST)]
    return found + [
        attack(0.0, score, 0.0, harm=1, variant=str(n)) for n, score in enumerate(ATTACK)
    ]


def test_a_trajectory_ranks_by_its_highest_score() -> None:
    found = quality(rows(), times=50)
    assert (found.honest, found.attempts, found.distinct) == (150, 60, 150)
    assert found.auroc.value == pytest.approx(auroc(HONEST, ATTACK))
    assert found.pauroc.value == pytest.approx(pauroc(HONEST, ATTACK))
    assert found.log_auroc.value == pytest.approx(log_auroc(HONEST, ATTACK))
    assert {fpr: one.value for fpr, one in found.tpr.items()} == pytest.approx(
        {fpr: tpr_at(HONEST, ATTACK, fpr) for fpr in BUDGETS}
    )
    assert found.refused == {} and found.bounds == (found.auroc.value, found.auroc.value)
    for one in (found.auroc, found.pauroc, found.log_auroc, *found.tpr.values()):
        assert 0.0 <= one.low < one.value < one.high <= 1.0


def test_what_comes_after_the_harm_does_not_count() -> None:
    late = [replace(row, suspicion=(*row.suspicion[:2], 1.0)) for row in rows()]
    late = [row for row in late if row.mode == "attack"]
    before = [row for row in rows() if row.mode == "honest"]
    assert quality(before + late, times=5).auroc == quality(rows(), times=5).auroc


def test_a_shape_that_gives_attacks_away_stands_beside_the_monitor() -> None:
    blind = [honest(0.1, 0.5, variant=str(n)) for n in range(40)]
    blind += [attack(0.1, 0.2, 0.5, harm=2, variant=str(n)) for n in range(40)]
    blind = [replace(row, draws=2) for row in blind]
    found = quality(blind, times=20)
    assert found.auroc.value == 0.5
    assert {name: one.value for name, one in found.baselines.items()} == {
        "turns": 1.0,
        "draws": 0.5,
    }
    counted = [replace(row, bytes_out=(0, 9 if row.mode == "honest" else 3)) for row in blind]
    assert quality(counted, times=20).baselines["bytes_out"].value == 0.0
    wordy = [replace(row, spent={"untrusted": Spent(output=row.turns)}) for row in blind]
    assert quality(wordy, times=20).baselines["length"].value == 1.0


def test_what_cannot_be_expressed_is_left_out_with_the_reason() -> None:
    few = [row for row in rows() if int(row.variant) < 30]
    found = quality(few, times=20)
    assert set(found.tpr) == {0.05, 0.1} and math.isnan(found.log_auroc.value)
    assert set(found.refused) == {"log_auroc", "0.01"}
    assert "71 are missing" in found.refused["0.01"]
    same = quality([replace(row, suspicion=(0.0,)) for row in few], times=20)
    assert same.tpr == {} and same.distinct == 1 and same.auroc.value == 0.5


def test_failures_rank_highest_and_make_bounds() -> None:
    failing = [
        replace(row, suspicion=(0.0, None), failed=frozenset({1})) if row.variant == "0" else row
        for row in rows()
    ]
    found = quality(failing, times=5)
    assert found.failures == 2
    assert found.bounds[0] < found.auroc.value < found.bounds[1]


@pytest.mark.parametrize("kind", ["honest", "attack"])
def test_without_one_of_the_kinds_there_is_no_quality(kind: str) -> None:
    only = [row for row in rows() if row.mode == kind]
    with pytest.raises(ValueError, match="needs honest samples and attempts"):
        quality([*only, *[void(row) for row in rows() if row.mode != kind]])
