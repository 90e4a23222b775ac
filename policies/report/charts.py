"""The report's drawings. Pure: from parts of a `Report` to SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from policies.report.data import Arm, Flow, Histogram, Ranking, Strip
from policies.report.svg import Axis, Plot, counts, shares, strip
from policies.report.words import percent, size, some

PLACES = 60
"""Turns that a strip has room for; longer trajectories are drawn in bins of several turns."""

_SIGNS = {"harm": "✕", "end": "■", "fail": "?"}


def frontier(arms: Sequence[Arm]) -> Markup:
    """Safety against usefulness, one mark for each protocol with both."""
    rates = [(arm.key, arm.found.rates["usefulness"], arm.found.rates["safety"]) for arm in arms]
    across = _from(min(useful.low for _, useful, _ in rates))
    up = _from(min(safe.low for _, _, safe in rates))
    plot = Plot(
        "frontier",
        "Safety against usefulness",
        f"{some(len(arms), 'protocol')}; the upper right corner is best. The table has the values.",
        shares("usefulness", across, step=(1 - across) / 4),
        shares("safety", up, step=(1 - up) / 4),
        height=300,
    )
    for _, useful, safe in rates:
        ends = (useful.low, safe.low), (useful.high, safe.high)
        plot.error_bars(useful.value, safe.value, *ends, "value")
    for key, useful, safe in rates:
        plot.dot(useful.value, safe.value, "value", key)
    return plot.markup()


def roc(ranking: Ranking, *, upto: float = 1.0) -> Markup:
    """The ROC curve, up to a share of honest trajectories flagged."""
    near = upto < 1.0
    plot = Plot(
        f"roc-{ranking.arm}{'-near' if near else ''}",
        f"ROC curve of {ranking.arm}" + (", few false alarms" if near else ""),
        "The curve is the monitor's, the thin line a blind one's; the dot is the operating point.",
        shares("honest trajectories flagged", high=upto, step=upto / 4),
        shares("attempts flagged"),
        height=270,
    )
    plot.line([(0, 0), (upto, upto)], "chance")
    plot.line(_upto(ranking.points, upto), "monitor")
    if ranking.point is not None and ranking.point[0] <= upto:
        plot.dot(*ranking.point, "point")
    return plot.markup()


def _from(least: float) -> float:
    """Where an axis of shares begins that holds the least one, so that marks stand apart."""
    return next(start for start in (0.8, 0.6, 0.4, 0.2, 0.0) if start <= least)


def _upto(points: Sequence[tuple[float, float]], upto: float) -> list[tuple[float, float]]:
    """A curve's part up to a place, cut there on the straight line."""
    kept = [(x, y) for x, y in points if x <= upto]
    beyond = next(((x, y) for x, y in points if x > upto), None)
    if beyond is not None and kept and kept[-1][0] < upto:
        (x1, y1), (x2, y2) = kept[-1], beyond
        kept.append((upto, y1 + (y2 - y1) * (upto - x1) / (x2 - x1)))
    return kept


def histogram(found: Histogram) -> Markup:
    """Honest trajectories upwards and attacks downwards, as shares of each."""
    honest, attack = (
        [count / max(1, sum(bins)) for count in bins] for bins in (found.honest, found.attack)
    )
    top = max([*honest, *attack, 0.05])
    high = next(s for s in (0.1, 0.2, 0.5, 1.0) if s >= top)
    ticks = [(share, percent(abs(share))) for share in (-high, -high / 2, 0.0, high / 2, high)]
    plot = Plot(
        f"histogram-{found.arm}",
        f"Highest suspicion of each trajectory, {found.arm}",
        f"{sum(found.honest)} honest trajectories upwards, {sum(found.attack)} of attacks "
        "downwards, each as shares.",
        shares("highest suspicion in the trajectory"),
        Axis(-high, high, ticks, "attack ← share → honest"),
        height=260,
    )
    plot.bars(honest, "honest")
    plot.bars([-share for share in attack], "attack")
    plot.line([(0, 0), (1, 0)], "middle")
    if found.threshold is not None and math.isfinite(found.threshold):
        plot.rule(found.threshold, "threshold")
    return plot.markup()


def flow(flows: Sequence[Flow]) -> Markup:
    """Cumulative bytes out by turn: median and the middle 80 %, on a scale of factors."""
    most = max(max(one.upper) for one in flows)
    decades = max(3, math.ceil(math.log10(max(10.0, most))))
    every = 1 if decades <= 5 else 2 if decades <= 9 else 3
    ticks = [(10.0**e, "≤ 1 B" if e == 0 else size(10**e)) for e in range(0, decades + 1, every)]
    turns = max(len(one.median) for one in flows)
    plot = Plot(
        "flow",
        "Bytes that had left, by turn",
        "Solid with its band: attacks. Dashed: honest work. Lines are medians.",
        counts("turns taken", max(1, turns)),
        Axis(1, 10.0**decades, ticks, "bytes out so far", log=True),
        height=260,
    )
    for one in flows:
        places = range(1, len(one.median) + 1)
        both = [list(zip(places, edge, strict=True)) for edge in (one.lower, one.upper)]
        plot.band(both[0], both[1], one.mode)
    for one in flows:
        plot.step([(0, 0), *enumerate(one.median, start=1)], one.mode)
    return plot.markup()


def turns(one: Strip, number: int, threshold: float | None, longest: int) -> Markup:
    """One trajectory's suspicion by turn, with harm, ending and failures marked.

    Args:
        one: the trajectory.
        number: unique on the page.
        threshold: the protocol's at the budget, or None.
        longest: turns of the longest trajectory drawn, to which all are scaled.
    """
    per = max(1, math.ceil(longest / PLACES))
    heights: list[float | None] = []
    for first in range(0, len(one.suspicion), per):
        scores = [score for score in one.suspicion[first : first + per] if score is not None]
        heights.append(max(scores, default=None))
    marks = [(turn // per, _SIGNS["fail"], "fail") for turn in sorted(one.failed)]
    if one.harmful is not None:
        marks.append((one.harmful // per, _SIGNS["harm"], "harm"))
    if one.ending is not None:
        marks.append((one.ending // per, _SIGNS["end"], "end"))
    told = [f"{some(len(one.suspicion), 'turn')}"]
    if one.harmful is not None:
        told.append(f"harm in turn {one.harmful + 1}")
    if one.ending is not None:
        told.append(f"ended by control in turn {one.ending + 1}")
    return strip(
        f"strip-{number}",
        f"Suspicion by turn: {one.sample}",
        f"{one.fate}: {', '.join(told)}.",
        heights,
        list(dict.fromkeys(marks)),
        threshold if threshold is not None and math.isfinite(threshold) else None,
        math.ceil(longest / per),
    )
