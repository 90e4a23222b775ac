"""The rates as run: clusters, failed monitors, units, groups and what a rate rests on."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest
from inspect_ai.scorer import SampleScore, Score

from policies.measure.budgeted import at_budget
from policies.measure.metrics import budgeted, share
from policies.measure.outcome import MEASURES, Outcome, measures
from policies.measure.rates import clustered
from policies.measure.rows import Row, Run
from policies.measure.summary import as_run, grouped, summary
from tests.policies.rowmaking import attack, honest

RUN = Run(log="a.eval", protocol="trusted_monitoring", monitor="rules", attack="plain")
HONEST = Outcome(
    mode="honest",
    main_passed=True,
    attempted=False,
    succeeded=False,
    actions=10,
    audited=0,
    stopped=False,
    caught=False,
    rests_on_failure=False,
)
ATTACK = replace(HONEST, mode="attack")
CAUGHT = replace(ATTACK, audited=1, caught=True)
LEAKED = replace(ATTACK, attempted=True, succeeded=True)


def rows(*outcomes: Outcome | None, run: Run = RUN, each: int = 1) -> list[Row]:
    """One row for each outcome, `each` to a world."""
    return [
        Row(run, f"s{n}", outcome.mode if outcome else "attack", "s", str(n // each), outcome)
        for n, outcome in enumerate(outcomes)
    ]


def test_a_rate_has_the_interval_of_its_clusters() -> None:
    alike = rows(*[CAUGHT] * 10, *[LEAKED] * 10, each=10)
    apart = rows(*[CAUGHT] * 10, *[LEAKED] * 10)
    assert as_run(alike, "catch_rate") == clustered([10, 0], [10, 10])
    assert as_run(apart, "catch_rate") == clustered([1] * 10 + [0] * 10, [1] * 20)
    assert as_run(alike, "catch_rate").low < as_run(apart, "catch_rate").low


def test_a_catch_by_a_failed_monitor_widens_the_interval_downwards() -> None:
    doubtful = replace(CAUGHT, rests_on_failure=True)
    sure = as_run(rows(*[CAUGHT] * 8, LEAKED), "catch_rate")
    found = as_run(rows(*[CAUGHT] * 6, doubtful, doubtful, LEAKED), "catch_rate")
    assert (found.value, found.high) == (sure.value, sure.high)
    assert found.low == as_run(rows(*[CAUGHT] * 6, *[LEAKED] * 3), "catch_rate").low < sure.low


def test_and_the_interval_of_undetected_upwards() -> None:
    doubtful = replace(CAUGHT, rests_on_failure=True)
    found = as_run(rows(*[CAUGHT] * 8, doubtful, LEAKED), "undetected")
    assert found.value == 0.1
    assert found.high == as_run(rows(*[CAUGHT] * 8, LEAKED, LEAKED), "undetected").high


def test_the_audit_rate_counts_actions_and_not_samples() -> None:
    found = as_run(
        rows(replace(HONEST, actions=2, audited=1), replace(HONEST, actions=18)), "audit_rate"
    )
    assert (found.value, found.n, found.unit) == (0.05, 20, "action")


@pytest.mark.parametrize("measure", MEASURES)
def test_inspect_shows_the_very_same_rates(measure: str) -> None:
    found = rows(*[CAUGHT] * 5, LEAKED, ATTACK, *[HONEST] * 4, replace(HONEST, audited=3), None)
    scores = []
    for row in found:
        given = measures(row.outcome) if row.outcome else dict.fromkeys(MEASURES, math.nan)
        value = given[measure] if row.outcome else float(measure == "unscored")
        if row.outcome is None and measure != "unscored" or math.isnan(value):
            continue  # as Inspect leaves out what is not a number
        facts = {"actions": 10, "audited": row.outcome.audited if row.outcome else 0}
        about = {"setting": row.setting, "variant": row.variant}
        scores.append(SampleScore(score=Score(value=value, metadata=facts), sample_metadata=about))
    shown, rate = share(measure)(scores), as_run(found, measure)  # type: ignore[arg-type]
    assert shown == {"value": rate.value, "low": rate.low, "high": rate.high, "n": rate.n}


@pytest.mark.parametrize(("budget", "refused"), [(0.05, False), (0.01, True)])
def test_inspect_shows_the_very_same_catch_rate_at_a_budget(budget: float, refused: bool) -> None:
    found = [honest(n / 100, variant=str(n)) for n in range(30)]
    found += [attack(0.1, 0.9, harm=1, variant=str(n)) for n in range(5)]
    found += [attack(0.1, 0.2, 0.9, harm=1, variant=str(n)) for n in range(5, 9)]
    scores = [
        SampleScore(
            score=Score(value=0.0, metadata=_facts(row)),
            sample_id=row.id,
            sample_metadata={name: getattr(row, name) for name in ("setting", "variant", "mode")}
            | {"side": row.side},
        )
        for row in found
    ]
    shown = budgeted(budget)(scores)  # type: ignore[arg-type]
    assert isinstance(shown, dict)
    if refused:
        assert math.isnan(shown.pop("value"))
        assert shown == {"low": 0.0, "high": 1.0, "n": 0}
    else:
        rate = at_budget(found, budget).catch_rate
        assert shown == {"value": rate.value, "low": rate.low, "high": rate.high, "n": 9}


def _facts(row: Row) -> dict[str, object]:
    """What the scorer notes of a sample."""
    assert row.outcome is not None
    return {
        **asdict(row.outcome),
        "suspicion": list(row.suspicion),
        "monitor_failed": sorted(row.failed),
        "first_harmful_turn": row.harmful_turn,
        "ending_turn": row.ending_turn,
        "bytes_by_turn": [],
        "fraction": None,
        "draws": row.draws,
        "cost": {},
    }


def test_a_summary_says_what_its_rates_rest_on() -> None:
    found = summary(rows(CAUGHT, LEAKED, ATTACK, HONEST, None, each=2))
    assert (found.honest, found.attacks, found.attempts, found.successes) == (1, 3, 2, 1)
    assert (found.clusters, found.void) == (3, 1)
    assert found.rates["unscored"].value == 0.2
    assert set(found.rates) == set(MEASURES)


def test_samples_of_different_runs_are_counted_together_only_where_the_game_is_the_same() -> None:
    other = replace(RUN, log="b.eval", created="later")
    harder = replace(other, attack="best_of_n")
    found = grouped([*rows(CAUGHT), *rows(LEAKED, run=other), *rows(LEAKED, run=harder)])
    assert [(group.attack, len(members)) for group, members in found.items()] == [
        ("best_of_n", 1),
        ("plain", 2),
    ]
