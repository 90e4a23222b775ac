"""What control costs, with cached tokens, unknown prices and intervals by cluster."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.measure.rows import Spent
from policies.measure.spending import mean, spending
from tests.policies.rowmaking import attack, honest, void

CHEAP = Spent(calls=1, input=10, output=5, money=0.5, seconds=2.0)
CACHED = Spent(calls=2, input=10, output=5, cache_read=900, cache_write=85, money=1.5, seconds=4.0)
UNPRICED = Spent(calls=1, input=1, output=1)


def test_cached_tokens_are_in_the_cost() -> None:
    found = spending([attack(0.1, spent={"untrusted": CACHED})])
    assert found.whole.tokens.value == found.roles["untrusted"].tokens.value == 1000
    assert (found.whole.total.cache_read, found.whole.total.cache_write) == (900, 85)


def test_every_role_and_the_whole_per_sample() -> None:
    rows = [
        attack(0.1, variant="1", spent={"untrusted": CHEAP, "monitor": CACHED}),
        attack(0.1, variant="2", spent={"untrusted": CHEAP}),
    ]
    found = spending(rows)
    assert found.samples == 2
    assert found.roles["untrusted"].calls.value == 1
    assert found.roles["monitor"].calls.value == 1  # two calls in one sample, none in the other
    assert found.whole.total == Spent(4, 30, 15, 900, 85, 2.5, 8.0)
    assert found.whole.money is not None
    assert found.whole.money.value == 1.25


@pytest.mark.parametrize(
    ("spent", "money"),
    [
        ({"untrusted": CHEAP, "monitor": UNPRICED}, None),
        ({"untrusted": CHEAP, "monitor": Spent()}, 0.5),  # a role that was never asked is free
        ({"untrusted": CHEAP}, 0.5),
    ],
)
def test_an_unknown_price_makes_money_unknown_and_never_0(
    spent: dict[str, Spent], money: float | None
) -> None:
    found = spending([attack(0.1, spent=spent), attack(0.1, spent={"untrusted": CHEAP})])
    total = found.whole.total.money
    assert total == (None if money is None else money + 0.5)
    assert (found.whole.money is None) is (money is None)
    assert found.roles["untrusted"].total.money == 1.0


def test_draws_and_waiting_are_per_turn() -> None:
    """Six draws over two turns: two thirds of U's time are what control added."""
    spent = {
        "untrusted": Spent(calls=6, seconds=12.0),
        "monitor": Spent(calls=2, seconds=3.0),
        "red": Spent(calls=9, seconds=90.0),
    }
    found = spending([attack(0.1, 0.1, draws=6, spent=spent)])
    assert (found.draws.value, found.draws.n) == (3, 2)
    assert found.added_seconds.value == pytest.approx((12 * 2 / 3 + 3) / 2)


def test_one_draw_a_turn_adds_no_waiting() -> None:
    found = spending([honest(None, None), attack(0.1, spent={"untrusted": CHEAP})])
    assert found.added_seconds.value == 0


def test_void_samples_were_paid_for_and_silent_ones_are_counted() -> None:
    rows = [void(attack(0.1, spent={"untrusted": CHEAP})), attack(0.1), honest(0.1)]
    found = spending(rows)
    assert (found.samples, found.silent) == (1, 2)
    assert found.whole.calls.value == 1


def test_nothing_spent_is_no_number() -> None:
    found = spending([attack(0.1)])
    assert (found.samples, found.silent, found.turns) == (0, 1, 0)
    assert math.isnan(found.whole.tokens.value)
    assert math.isnan(found.draws.value)


def test_the_interval_is_by_cluster() -> None:
    """Copies of a cluster's samples add no information."""
    values = [1.0, 2.0, 4.0, 7.0]
    once = mean(values, np.ones(4), [0, 1, 2, 3])
    copied = mean(values * 5, np.ones(20), [0, 1, 2, 3] * 5)
    assert (copied.value, copied.low, copied.high) == pytest.approx(
        (once.value, once.low, once.high)
    )
    # The t interval of a plain mean: 3.5 +- 3.182 * sd / 2.
    assert once.high - once.value == pytest.approx(3.18245 * np.std(values, ddof=1) / 2, rel=1e-4)


def test_one_cluster_gives_no_interval() -> None:
    found = mean([1.0, 2.0], np.ones(2), [0, 0])
    assert found.value == 1.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_interval_covers_a_planted_mean() -> None:
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(20), 10)
    hits = 0
    for _ in range(400):
        values = rng.gamma(2.0, 1.0, 20)[clusters] + rng.gamma(2.0, 1.0, 200)
        found = mean(values.tolist(), np.ones(200), clusters)
        hits += found.low <= 4.0 <= found.high
    assert 0.91 <= hits / 400 <= 0.98
