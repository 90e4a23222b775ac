"""Rows into a report: every figure is one of `policies.measure`. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from policies.measure.budgeted import at_budget
from policies.measure.episode import episode_safety
from policies.measure.rates import Unit
from policies.measure.rows import Row
from policies.measure.selection import selection
from policies.measure.spending import spending
from policies.measure.summary import Group, grouped, summary
from policies.measure.thresholds import BudgetRefused, check_budget
from policies.measure.timing import timing
from policies.measure.usefulness import scaled_usefulness
from policies.measure.worst import worst
from policies.report import drawn
from policies.report.cautions import cautions
from policies.report.data import ATTACKED, Arm, AtBudget, Cell, Ranking, Report, Source
from policies.report.links import Viewer
from policies.report.ranking import ranking
from policies.report.verdict import verdict
from policies.report.words import choice

_UNITS: tuple[Unit, ...] = ("trajectory", "action")

_Named: TypeAlias = tuple[str, str, str, str]  # protocol, monitor, its model, untrusted model

EPISODES = (10, 100, 1000)
"""Samples of the episodes that safety is shown over."""
CHOOSING = 200
"""Draws of the bootstrap for each of the choices of attackers: there are five to show."""
DRAWN = 6
"""Protocols whose monitor gets drawings of its own."""


@dataclass(frozen=True)
class Judging:
    """What is to be found out about one arm's monitor; see `judge`.

    Attributes:
        arm: its key.
        rows: its samples.
        budget: see `build`.
        ranked: whether its ROC curve is wanted, and what attackers that choose make of it.
    """

    arm: str
    rows: tuple[Row, ...]
    budget: float
    ranked: bool


@dataclass(frozen=True)
class Judged:
    """How good one arm's monitor is.

    Attributes:
        at_budget: by trajectory and by action; empty when it judged nothing.
        ranking: its ROC curve, if that is wanted and there is one.
    """

    at_budget: tuple[AtBudget, ...]
    ranking: Ranking | None


Each: TypeAlias = Callable[[Callable[[Judging], Judged], Iterable[Judging]], Iterable[Judged]]


def judge(one: Judging) -> Judged:
    """How good an arm's monitor is.

    Its figures are drawn again a thousand times, which is most of the time that a report takes.
    """
    if all(drawn.score(row) == -math.inf for row in one.rows):
        return Judged((), None)
    budgets = tuple(_at_budget(one, unit) for unit in _UNITS)
    found = budgets[0].found
    point = None
    if found is not None:
        point = found.trajectory_alarms.value, found.catch_rate.value
    return Judged(budgets, ranking(one.arm, one.rows, point) if one.ranked else None)


def build(
    rows: Sequence[Row],
    skipped: Sequence[tuple[str, str]] = (),
    *,
    budget: float = 0.01,
    made: str = "",
    versions: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
    title: str = "Control report",
    each: Each = map,
) -> Report:
    """The report of some samples.

    Args:
        rows: at least one; the paths of their logs are absolute.
        skipped: logs that were not read: name and why.
        budget: share of honest units that may be audited, above 0 and below 1.
        made: when, ISO 8601.
        versions: of the programs that the figures rest on, by name.
        digests: SHA-256 of the logs, by path.
        title: of the page.
        each: calls `judge` for every arm; the `map` of an executor shares the work.

    Raises:
        ValueError: the budget is not a share.
    """
    check_budget(budget)
    arms, of_arm = _arms(rows)
    cells = _cells(arms, of_arm)
    judgings = [
        Judging(arm.key, tuple(of_arm[arm.key]), budget, number < DRAWN)
        for number, arm in enumerate(arms)
    ]
    judged = dict(zip((arm.key for arm in arms), each(judge, judgings), strict=True))
    budgets = [one for found in judged.values() for one in found.at_budget]
    thresholds = {
        one.arm: one.found.threshold.value
        for one in budgets
        if one.found is not None and one.unit == "trajectory"
    }
    viewer = Viewer(sorted({row.run.log for row in rows}))
    return Report(
        title=title,
        made=made,
        verdict=verdict(arms),
        warnings=cautions(arms, cells, budgets, rows, skipped),
        arms=arms,
        cells=cells,
        at_budget=tuple(budgets),
        rankings=tuple(one.ranking for one in judged.values() if one.ranking is not None),
        histograms=tuple(
            drawn.histogram(key, of_arm[key], thresholds.get(key))
            for key, found in list(judged.items())[:DRAWN]
            if found.at_budget
        ),
        strips=drawn.strips(
            ((arm.key, row) for arm in arms for row in of_arm[arm.key]), thresholds, viewer.sample
        ),
        trajectories=sum(row.outcome is not None for row in rows),
        flows=drawn.flows(rows),
        spent={arm.key: spending(of_arm[arm.key]) for arm in arms},
        timed={arm.key: timing(of_arm[arm.key]) for arm in arms},
        versions=(*(versions or {}).items(), *_told(rows)),
        sources=_sources(rows, viewer, digests or {}),
        skipped=tuple(skipped),
        view=viewer.command,
    )


def _arms(rows: Sequence[Row]) -> tuple[tuple[Arm, ...], dict[str, list[Row]]]:
    """The arms, safest first by the lower end of the interval, and their rows by key."""
    found: dict[_Named, list[Row]] = defaultdict(list)
    for row in rows:
        group = Group.of(row)
        model = row.run.monitor_model or ""
        found[group.protocol, group.monitor, model, group.untrusted].append(row)
    summaries = {named: summary(own) for named, own in found.items()}

    def order(named: _Named) -> tuple[bool, bool, float, _Named]:
        own = summaries[named]
        safety = own.rates["safety"]
        return not safety.n, not own.attempts, -safety.low, named

    ranked = sorted(found, key=order)
    keys = [chr(ord("A") + n) if len(ranked) <= 26 else str(n + 1) for n in range(len(ranked))]
    arms = tuple(
        Arm(
            key,
            choice(named[0]),
            f"{choice(named[1])} ({named[2]})" if named[2] else choice(named[1]),
            named[3],
            summaries[named],
            worst(found[named]),
            scaled_usefulness(found[named], rows),
            {samples: episode_safety(found[named], samples, ATTACKED) for samples in EPISODES},
        )
        for key, named in zip(keys, ranked, strict=True)
    )
    return arms, {key: found[named] for key, named in zip(keys, ranked, strict=True)}


def _cells(arms: Sequence[Arm], of_arm: Mapping[str, Sequence[Row]]) -> tuple[Cell, ...]:
    """Each arm against each attack, least safe first."""
    cells = []
    for arm in arms:
        own = [
            Cell(arm.key, _attack(group), found)
            for group, rows in grouped(of_arm[arm.key]).items()
            if (found := summary(rows)).attacks
        ]
        cells += sorted(own, key=lambda cell: (cell.found.rates["safety"].low, cell.attack))
    return tuple(cells)


def _attack(group: Group) -> str:
    name = choice(group.attack) or "not told"
    return f"{name}, {group.salience}" if group.salience else name


def _at_budget(one: Judging, unit: Unit) -> AtBudget:
    """The figures at the budget, or why there are none."""
    try:
        found = at_budget(one.rows, one.budget, unit)
        choosing = None
        if unit == "trajectory" and one.ranked:
            choosing = selection(one.rows, one.budget, unit, times=CHOOSING)
        return AtBudget(one.arm, one.budget, unit, found, choosing=choosing)
    except BudgetRefused as refusal:
        return AtBudget(one.arm, one.budget, unit, None, str(refusal))


def _told(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Digests of what the figures rest on, where all runs agree; how many there are otherwise."""
    values: dict[str, set[str]] = defaultdict(set)
    for run in {id(row.run): row.run for row in rows}.values():
        for kind, digests in (("prompt", run.prompts), ("", run.digests)):
            for name, digest in digests.items():
                values[f"{kind} {name}".strip()].add(digest)
    return [
        (name, found.copy().pop() if len(found) == 1 else f"{len(found)} different ones")
        for name, found in sorted(values.items())
    ]


def _sources(rows: Sequence[Row], viewer: Viewer, digests: Mapping[str, str]) -> tuple[Source, ...]:
    samples = Counter(row.run.log for row in rows)
    status = {row.run.log: row.run.status for row in rows}
    return tuple(
        Source(log, digests.get(log, ""), count, status[log], viewer.log(log))
        for log, count in sorted(samples.items())
    )
