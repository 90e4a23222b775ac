"""Rows into a report: every figure is one of `policies.measure`. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from policies.measure.budgeted import at_budget
from policies.measure.rates import Unit
from policies.measure.rows import Row
from policies.measure.spending import spending
from policies.measure.summary import Group, grouped, summary
from policies.measure.thresholds import BudgetRefused, check_budget
from policies.measure.timing import timing
from policies.measure.usefulness import scaled_usefulness
from policies.measure.worst import worst
from policies.report import drawn
from policies.report.cautions import cautions
from policies.report.data import Arm, AtBudget, Cell, Ranking, Report, Source
from policies.report.links import Viewer
from policies.report.ranking import ranking
from policies.report.verdict import verdict
from policies.report.words import choice

_UNITS: tuple[Unit, ...] = ("trajectory", "action")

DRAWN = 6
"""Protocols whose monitor gets drawings of its own."""


def build(
    rows: Sequence[Row],
    skipped: Sequence[tuple[str, str]] = (),
    *,
    budget: float = 0.01,
    made: str = "",
    versions: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
    title: str = "Control report",
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

    Raises:
        ValueError: the budget is not a share.
    """
    check_budget(budget)
    arms, of_arm = _arms(rows)
    cells = _cells(arms, of_arm)
    budgets = [
        one
        for arm in arms
        for unit in _UNITS
        if (one := _at_budget(arm.key, of_arm[arm.key], budget, unit)) is not None
    ]
    thresholds = {
        one.arm: one.found.threshold.value
        for one in budgets
        if one.found is not None and one.unit == "trajectory"
    }
    judged = [arm.key for arm in arms if any(one.arm == arm.key for one in budgets)][:DRAWN]
    viewer = Viewer(sorted({row.run.log for row in rows}))
    return Report(
        title=title,
        made=made,
        verdict=verdict(arms),
        warnings=cautions(arms, cells, budgets, rows, skipped),
        arms=arms,
        cells=cells,
        at_budget=tuple(budgets),
        rankings=_rankings(judged, of_arm, budgets),
        histograms=tuple(drawn.histogram(key, of_arm[key], thresholds.get(key)) for key in judged),
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
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        group = Group.of(row)
        found[group.protocol, group.monitor, group.untrusted].append(row)
    summaries = {named: summary(own) for named, own in found.items()}

    def order(named: tuple[str, str, str]) -> tuple[bool, float, tuple[str, str, str]]:
        safety = summaries[named].rates["safety"]
        return not safety.n, -safety.low, named

    ranked = sorted(found, key=order)
    keys = [chr(ord("A") + n) if len(ranked) <= 26 else str(n + 1) for n in range(len(ranked))]
    arms = tuple(
        Arm(
            key,
            choice(named[0]),
            choice(named[1]),
            named[2],
            summaries[named],
            worst(found[named]),
            scaled_usefulness(found[named], rows),
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


def _at_budget(arm: str, rows: Sequence[Row], budget: float, unit: Unit) -> AtBudget | None:
    """The figures at the budget, or why there are none; None when nothing was judged."""
    if all(drawn.score(row) == -math.inf for row in rows):
        return None
    try:
        return AtBudget(arm, budget, unit, at_budget(rows, budget, unit))
    except BudgetRefused as refusal:
        return AtBudget(arm, budget, unit, None, str(refusal))


def _rankings(
    keys: Sequence[str], of_arm: Mapping[str, Sequence[Row]], budgets: Sequence[AtBudget]
) -> tuple[Ranking, ...]:
    points = {
        one.arm: (one.found.trajectory_alarms.value, one.found.catch_rate.value)
        for one in budgets
        if one.found is not None and one.unit == "trajectory"
    }
    found = (ranking(key, of_arm[key], points.get(key)) for key in keys)
    return tuple(one for one in found if one is not None)


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
