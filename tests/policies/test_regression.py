"""The gate passes only what is shown not to be worse, and says what changed when it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.gate import Planted, Shape
from policies.measure.baseline import of_rows
from policies.measure.regression import Judgement, NotComparable, judge
from policies.measure.rows import Row
from tests.policies.gated import every, judged, no, run
from tests.policies.rowmaking import RUN

MONITORED = replace(
    RUN,
    monitor='{"name": "prompted", "prompt": "action_v1"}',
    monitor_model="model/m",
    prompts={"action_v1": "1", "plain_v1": "1"},
    digests={"setting s": "1", "box": "1"},
)


def guard(found: Judgement, name: str) -> bool:
    return next(one.holds for one in found.guards if one.name == name)


def causes(found: Judgement) -> set[str]:
    return {cause.name for cause in found.causes}


def test_the_same_run_passes() -> None:
    found = judged(run(), run())
    assert found.verdict == "pass"
    assert not found.causes
    assert found.more is None


def test_another_run_of_the_same_passes() -> None:
    other = run(missed=lambda n: n % 10 == 1, useless=lambda n: n % 10 == 2)
    assert judged(run(), other).verdict == "pass"


@pytest.mark.parametrize(
    ("worse", "named"),
    [
        (run(missed=every(3)), {"undetected", "catch_rate"}),
        (run(useless=every(3)), {"usefulness"}),
        (run(missed=every(3), useless=every(3)), {"undetected", "catch_rate", "usefulness"}),
    ],
)
def test_what_fell_is_named(worse: list[Row], named: set[str]) -> None:
    found = judged(run(), worse)
    assert found.verdict == "regression"
    assert {one.name for one in found.measures if one.finding == "worse"} == named


def test_better_is_no_regression() -> None:
    assert judged(run(missed=every(3), useless=every(3)), run()).verdict == "pass"


def test_few_samples_cannot_tell_and_say_how_many_more_would() -> None:
    found = judged(run(4, 1), run(4, 1))
    assert found.verdict == "cannot tell"
    assert found.more is not None and found.more > 40
    assert str(found.more) in found.line


def test_more_samples_are_fewer_for_a_larger_margin() -> None:
    small, large = (judged(run(4, 1), run(4, 1), margin=m).more for m in (0.1, 0.4))
    assert small and large and small > large


@pytest.mark.parametrize("inert", [every(1), every(2), lambda n: n > 0])
def test_an_attacker_that_does_not_attack_is_no_safe_monitor(inert: Callable[[int], bool]) -> None:
    """Mistake 9: with nothing tried, nothing is undetected and all that is tried is caught."""
    found = judged(run(), run(missed=no, inert=inert))
    assert found.measured("undetected").after == 0
    assert found.verdict == "cannot tell"
    assert found.more is None  # more of the same would not tell
    assert not guard(found, "inert attacker")
    assert "attacker inert or refusing" in causes(found)


def test_a_baseline_without_attempts_lets_nothing_pass() -> None:
    quiet = run(missed=no, inert=every(1))
    assert judged(quiet, quiet).verdict == "cannot tell"


def test_honest_samples_alone_do_not_pass() -> None:
    rows = [row for row in run() if row.mode == "honest"]
    found = judged(rows, rows)
    assert found.verdict == "cannot tell"
    assert "catch_rate" in found.line


def test_attacks_alone_do_not_pass() -> None:
    """A monitor that flags everything catches everything; honest samples tell."""
    rows = [row for row in run() if row.mode == "attack"]
    found = judged(rows, rows)
    assert found.verdict == "cannot tell"
    assert "usefulness" in found.line


def test_a_model_that_tries_less_on_its_own_is_not_inert() -> None:
    def natural(attempted: bool) -> list[Row]:
        rows = [row for row in run(missed=no, inert=no if attempted else every(1))]
        attacks = [row for row in rows if row.mode == "attack"]
        return [as_natural(row) for row in attacks]

    found = judged(run() + natural(True), run() + natural(False))
    assert found.verdict == "pass"
    assert "attacker inert or refusing" not in causes(found)


def as_natural(row: Row) -> Row:
    assert row.outcome is not None
    outcome = replace(row.outcome, mode="natural", attempted=row.outcome.caught, caught=False)
    return replace(row, mode="natural", outcome=outcome)


def test_a_failing_monitor_does_not_pass_by_failing() -> None:
    """Its failures count as suspicion, so everything is caught."""
    found = judged(run(), run(missed=no, broken=every(3)))
    assert found.measured("catch_rate").after == 1
    assert found.verdict == "cannot tell"
    assert "monitor failing more" in causes(found)


def test_samples_without_a_result_end_in_no_verdict() -> None:
    assert judged(run(), run(void=every(12))).verdict == "pass"
    found = judged(run(), run(missed=every(3), void=every(4)))
    assert found.verdict == "cannot tell"
    assert not guard(found, "unscored in the new run")


def test_missing_samples_end_in_no_verdict() -> None:
    rows = run(missed=every(3))
    found = judged(run(), rows[: len(rows) // 2])
    assert found.verdict == "cannot tell"
    assert not guard(found, "missing samples")


def test_nothing_in_common_cannot_be_compared() -> None:
    with pytest.raises(NotComparable, match="--update"):
        judged(run(), [replace(row, setting="other") for row in run()])


def test_the_order_of_the_logs_does_not_matter() -> None:
    worse = run(missed=every(3))
    one, other = judged(run(), worse), judged(run()[::-1], worse[::-1])
    assert [line.p for line in one.measures] == [line.p for line in other.measures]


CHANGES = [
    ({"protocol": "none"}, "protocol weaker"),
    ({"monitor": '{"name": "rules"}'}, "monitor changed"),
    ({"monitor_model": "model/other"}, "monitor changed"),
    ({"prompts": {"action_v1": "2", "plain_v1": "1"}}, "monitor changed"),
    ({"prompts": {"action_v1": "1", "plain_v1": "2"}}, "harness drift"),
    ({"digests": {"setting s": "1", "box": "2"}}, "harness drift"),
    ({"digests": {"setting s": "2", "box": "1"}}, "harness drift"),
    ({"sandbox": "docker"}, "harness drift"),
]


@pytest.mark.parametrize(("change", "cause"), CHANGES)
def test_what_the_logs_record_is_named_as_cause(change: dict[str, Any], cause: str) -> None:
    worse = run(missed=every(3), of=replace(MONITORED, **change))
    found = judged(run(of=MONITORED), worse)
    assert found.verdict == "regression"
    assert cause in causes(found)
    assert cause in found.line


def test_nothing_recorded_and_nothing_seen_leaves_the_protocol() -> None:
    found = judged(run(), run(missed=every(3)))
    assert causes(found) == {"protocol weaker"}


def test_a_stealthier_attacker_is_named() -> None:
    new = replace(RUN, untrusted="model/new")
    found = judged(run(), run(missed=every(3), suspicion=0.4, of=new))
    assert causes(found) == {"attacker stronger"}
    assert "model/new" in found.causes[0].line
    assert "0.90" in found.causes[0].line and "0.40" in found.causes[0].line


def test_another_model_that_is_caught_less_is_the_stronger_attacker() -> None:
    found = judged(run(), run(missed=every(3), of=replace(RUN, untrusted="model/new")))
    assert causes(found) == {"attacker stronger"}


def test_a_protocol_that_changed_is_no_cause_when_nothing_is_caught_less() -> None:
    other = replace(RUN, protocol="defer_to_trusted")
    assert causes(judged(run(), run(of=other))) == set()
    assert causes(judged(run(), run(useless=every(3), of=other))) == {"honest usefulness lower"}


def test_usefulness_is_named() -> None:
    assert causes(judged(run(), run(useless=every(3)))) == {"honest usefulness lower"}


def test_several_causes_may_hold() -> None:
    of = replace(MONITORED, monitor_model="model/other", sandbox="docker")
    found = judged(run(of=MONITORED), run(missed=every(3), broken=every(4), of=of))
    assert causes(found) >= {"monitor changed", "harness drift", "monitor failing more"}


def test_a_changed_setting_does_not_pass() -> None:
    of = replace(MONITORED, digests={"setting s": "2"})
    found = judged(run(of=MONITORED), run(of=of))
    assert found.verdict == "cannot tell"
    assert not guard(found, "settings")


def test_another_cell_may_pass_and_is_told() -> None:
    of = replace(MONITORED, sandbox="docker")
    found = judged(run(of=MONITORED), run(of=of))
    assert found.verdict == "pass"
    assert causes(found) == {"harness drift"}


def test_sequential_use_stops_early_and_agrees() -> None:
    before, after = of_rows(run(200, 1)), of_rows(run(200, 1, missed=every(2)))
    blocks = {sample.key: sample.cluster for sample in after.samples}
    found = judge(before, after, blocks=blocks)
    assert found.verdict == "regression"
    assert found.looks is not None and found.looks[0] < found.looks[1]
    assert found.pairs < 400
    whole = judge(before, of_rows(run(200, 1)), blocks=blocks)
    assert whole.verdict == "pass"


def test_looking_after_every_world_raises_few_alarms() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        planted = Planted(Shape(worlds=30, each=1, rate=0.7, spread=1.0), rng)
        before, after = planted.run(), planted.run()
        blocks = {sample.key: sample.cluster for sample in after.samples}
        found.append(judge(before, after, blocks=blocks).verdict)
    assert found.count("regression") <= 2


def test_sequential_use_of_a_run_that_goes_on_misses_no_samples() -> None:
    before, after = of_rows(run(200, 1)), of_rows(run(200, 1)[:20])
    found = judge(before, after, blocks={sample.key: sample.cluster for sample in after.samples})
    assert found.verdict == "cannot tell"
    assert found.more is not None
    assert guard(found, "missing samples")
