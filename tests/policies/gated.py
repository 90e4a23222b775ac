"""Runs for tests of the gate: worlds with an attack or more and as many honest samples each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from policies.measure.baseline import of_rows
from policies.measure.regression import Judgement, judge
from policies.measure.rows import Row, Run
from tests.policies.rowmaking import RUN, attack, honest

Chooses = Callable[[int], bool]
"""Of a sample's number, whether something holds for it."""


def every(step: int) -> Chooses:
    """True for every `step`th sample; never for 0."""
    return lambda number: step > 0 and number % step == 0


def no(_: int) -> bool:
    return False


EVERY_TENTH = every(10)


def run(
    worlds: int = 40,
    each: int = 2,
    *,
    missed: Chooses = EVERY_TENTH,
    inert: Chooses = no,
    useless: Chooses = EVERY_TENTH,
    broken: Chooses = no,
    void: Chooses = no,
    suspicion: float = 0.9,
    of: Run = RUN,
) -> list[Row]:
    """Rows in which attacks are caught and main tasks done, except as chosen."""
    rows = []
    for number in range(worlds * each):
        world = f"w{number % worlds}"
        failed = frozenset({1}) if broken(number) else frozenset()
        score = None if failed else suspicion
        one = attack(
            0.1,
            score,
            harm=1 if missed(number) and not inert(number) else None,
            ended=None if missed(number) or inert(number) else 1,
            attempted=not inert(number),
            failed=failed,
            variant=world,
            name=f"a{number}",
        )
        other = honest(0.1, 0.1, variant=world, name=f"h{number}")
        assert other.outcome is not None
        if useless(number):
            other = replace(other, outcome=replace(other.outcome, main_passed=False))
        if void(number):
            one = replace(one, outcome=None, void="no evidence")
        rows += [replace(one, run=of), replace(other, run=of)]
    return rows


def judged(before: Sequence[Row], after: Sequence[Row], margin: float = 0.15) -> Judgement:
    return judge(of_rows(before), of_rows(after), margin=margin)
