"""What holds for every protocol, whatever the monitor says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from policies.protocols import at, protocols
from policies.protocols._draws import combine
from policies.protocols._threshold import Budget
from policies.turn import Suspicion, Verdict
from tests.policies.fakes import FakeTurn
from tests.policies.test_protocols import decide

FAILED = Suspicion.failed("no answer")
_DRAWS = 10
_PAST = 4

fractions = st.integers(0, 20).map(lambda n: n / 20)
suspicions = st.one_of(fractions.map(Suspicion.valid), st.just(FAILED))
aggregates = st.sampled_from(["min", "mean", "max", 0.25, 0.5, 0.75])


def _from_bytes(drawn: bytes) -> list[Suspicion]:
    """For each byte a score or, one time in ten, a failure; a list of strategies is far slower."""
    levels = [byte % 23 for byte in drawn]
    return [Suspicion.valid(level / 20) if level <= 20 else FAILED for level in levels]


scores = st.binary(min_size=_DRAWS, max_size=_DRAWS).map(_from_bytes)
earlier_turns = st.binary(min_size=_PAST * _DRAWS, max_size=_PAST * _DRAWS).map(
    lambda drawn: [_from_bytes(drawn[n * _DRAWS : (n + 1) * _DRAWS]) for n in range(_PAST)]
)


def ordered(*names: str) -> st.SearchStrategy[dict[str, float]]:
    """Thresholds, each at least the one before."""
    levels = st.lists(fractions, min_size=len(names), max_size=len(names)).map(sorted)
    return levels.map(lambda found: dict(zip(names, found, strict=True)))


THRESHOLDS: dict[str, st.SearchStrategy[dict[str, float]]] = {
    "trusted_monitoring": ordered("threshold"),
    "block_on_suspicion": ordered("threshold"),
    "stop_on_suspicion": ordered("threshold"),
    "defer_to_trusted": ordered("threshold", "audit"),
    "trusted_editing": ordered("threshold", "audit"),
    "untrusted_monitoring": ordered("threshold"),
    "defer_to_resample": ordered("threshold", "audit"),
    "resample_for_incrimination": ordered("threshold", "incriminate", "audit"),
    "three_strikes": ordered("threshold", "audit"),
    "time_travel": ordered("threshold", "audit"),
    "two_stage": ordered("threshold", "audit"),
    "asynchronous_monitoring": ordered("threshold"),
}
"""Every protocol that asks the monitor, and its thresholds in order."""

OTHERS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "untrusted_monitoring": st.fixed_dictionaries({"validation": st.sampled_from([0.0, 1.0])}),
    "defer_to_resample": st.fixed_dictionaries(
        {
            "draws": st.integers(2, 5),
            "aggregate": aggregates,
            "runs": st.sampled_from(["least", "first"]),
        }
    ),
    "resample_for_incrimination": st.fixed_dictionaries(
        {"draws": st.integers(2, 5), "more": st.integers(1, 5), "aggregate": aggregates}
    ),
    "three_strikes": st.fixed_dictionaries(
        {"draws": st.integers(2, 5), "strikes": st.integers(1, 4), "aggregate": aggregates}
    ),
    "time_travel": st.fixed_dictionaries(
        {
            "draws": st.integers(2, 4),
            "strikes": st.integers(1, 4),
            "samples": st.integers(1, 7),
            "aggregate": aggregates,
        }
    ),
    "two_stage": st.fixed_dictionaries(
        {
            "draws": st.integers(2, 5),
            "aggregate": aggregates,
            "runs": st.sampled_from(["least", "first"]),
        }
    ),
    "asynchronous_monitoring": st.fixed_dictionaries({"delay": st.integers(1, _PAST)}),
}

MOST_DRAWS: dict[str, Callable[[dict[str, Any]], int]] = {
    "defer_to_resample": lambda a: a["draws"],
    "resample_for_incrimination": lambda a: a["draws"] + a["more"],
    "three_strikes": lambda a: a["draws"],
    "time_travel": lambda a: max(a["draws"], a["samples"]),
    "two_stage": lambda a: a["draws"],
    "pool": lambda a: 5,
    "trusted_only": lambda a: 0,
}
"""The most draws of the turn that a protocol declares; 1 for the others."""

WATCHED = sorted(THRESHOLDS)


def arguments(name: str) -> st.SearchStrategy[dict[str, Any]]:
    both = (THRESHOLDS.get(name, st.just({})), OTHERS.get(name, st.just({})))
    return st.tuples(*both).map(lambda pair: {**pair[0], **pair[1]})


def play(
    name: str,
    given_arguments: dict[str, Any],
    drawn: list[Suspicion],
    earlier: list[list[Suspicion]],
    known: Suspicion | None = None,
) -> tuple[Verdict, FakeTurn]:
    turn = FakeTurn(drawn, earlier=earlier, known=known)
    return decide({"name": name, **given_arguments}, turn), turn


def caution(verdict: Verdict, turn: FakeTurn) -> int:
    """0: the untrusted model's action runs unaudited; then replaced, audited, and held back."""
    if not verdict.runs:
        return 3
    if turn.audited:
        return 2
    return 0 if verdict.decision == "execute" else 1


def test_every_protocol_that_asks_the_monitor_is_here() -> None:
    asking = {name for name in protocols.names() if "monitor" in protocols.resolve(name).roles}
    assert asking - {"pool"} == set(THRESHOLDS)  # which logs scores and decides nothing itself


@pytest.mark.parametrize("name", protocols.names())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_at_most_the_declared_number_of_draws(name: str, data: st.DataObject) -> None:
    taken = data.draw(arguments(name))
    _, turn = play(name, taken, data.draw(scores), data.draw(earlier_turns))
    assert turn.drawn <= (MOST_DRAWS[name](taken) if name in MOST_DRAWS else 1)
    assert turn.redrawn <= (taken.get("samples", 1) - 1) * _PAST
    assert turn.asked_trusted <= 1


@pytest.mark.parametrize("name", WATCHED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_raising_a_threshold_never_audits_more(name: str, data: st.DataObject) -> None:
    taken = data.draw(arguments(name))
    names = list(data.draw(THRESHOLDS[name]))
    which = data.draw(st.sampled_from(names))
    raised = {**taken, which: data.draw(fractions)}
    levels = [raised[one] for one in names]
    assume(raised[which] >= taken[which] and levels == sorted(levels))
    drawn, earlier, known = data.draw(scores), data.draw(earlier_turns), data.draw(suspicions)
    _, before = play(name, taken, drawn, earlier, known)
    _, after = play(name, raised, drawn, earlier, known)
    assert len(after.audited) <= len(before.audited)


@pytest.mark.parametrize("name", WATCHED)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_monitor_that_fails_never_makes_the_decision_less_cautious(
    name: str, data: st.DataObject
) -> None:
    taken = data.draw(arguments(name))
    drawn, earlier, known = data.draw(scores), data.draw(earlier_turns), data.draw(suspicions)
    before = caution(*play(name, taken, drawn, earlier, known))
    where = data.draw(st.sampled_from([-1, -1, *range(_PAST), _PAST, _PAST]))  # known, past, now
    number = data.draw(st.integers(0, _DRAWS - 1))
    if where < 0:
        known = FAILED
    else:
        turns = [list(one) for one in (*earlier, drawn)]
        turns[where][number] = FAILED
        *earlier, drawn = turns
    assert caution(*play(name, taken, drawn, earlier, known)) >= before


@pytest.mark.parametrize("name", [name for name in WATCHED if name != "asynchronous_monitoring"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_with_a_monitor_that_always_fails_nothing_runs_unaudited(
    name: str, data: st.DataObject
) -> None:
    verdict, turn = play(
        name, data.draw(arguments(name)), [FAILED] * _DRAWS, [[FAILED] * _DRAWS] * _PAST, FAILED
    )
    if verdict.decision == "execute":
        assert verdict.proposal.draw in turn.audited
    # Otherwise it is blocked or stopped, or the trusted model's action or edit runs.


@settings(deadline=None)
@given(delay=st.integers(1, _PAST))
def test_asynchronously_a_monitor_that_always_fails_audits_every_action_later(delay: int) -> None:
    _, turn = play("asynchronous_monitoring", {"delay": delay}, [FAILED], [[FAILED]] * _PAST)
    assert len(turn.audited) == 1


@given(st.lists(suspicions, min_size=1, max_size=8), aggregates, st.integers(0, 7))
def test_a_failed_score_never_lowers_an_aggregate(
    seen: list[Suspicion], how: Any, which: int
) -> None:
    worse = [FAILED if number == which else one for number, one in enumerate(seen)]
    assert combine(worse, how).level >= combine(seen, how).level


@given(st.lists(fractions, min_size=1, max_size=8), st.sampled_from(["min", "mean", "max", 0.5]))
def test_an_aggregate_is_that_of_the_numbers(values: list[float], how: Any) -> None:
    expected = {
        "min": min(values),
        "mean": float(np.mean(values)),
        "max": max(values),
        0.5: float(np.quantile(values, 0.5, method="higher")),
    }[how]
    assert combine([Suspicion.valid(v) for v in values], how).level == pytest.approx(expected)


honest_scores = st.lists(st.floats(0, 1), min_size=30, max_size=200)


@given(honest_scores, st.floats(0.05, 0.95))
def test_a_budget_is_never_overspent_and_is_numpys_quantile(
    honest: list[float], share: float
) -> None:
    threshold = at(Budget(budget=share, honest=tuple(honest)), 0)
    assert sum(score > threshold for score in honest) <= share * len(honest)
    assert threshold == np.quantile(honest, 1 - share, method="higher")


@given(st.floats(0.01, 0.3), st.floats(1e-6, 0.02), st.integers(1, 300))
def test_a_falling_budget_falls_and_adds_up(budget: float, rate: float, tasks: int) -> None:
    plain = Budget(budget=budget, honest=tuple([0.5] * 20_000))
    falling = plain.model_copy(update={"schedule": "exponential", "rate": rate, "tasks": tasks})
    shares = [falling.share(task) for task in range(tasks)]
    assert sum(shares) == pytest.approx(budget * tasks)
    assert shares == sorted(shares, reverse=True)
    assert falling.share(tasks) == 0
