"""The report as one self-contained HTML page. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from policies.measure.quality import UPTO
from policies.measure.rates import Rate
from policies.report import charts, words
from policies.report.data import ATTACKED, Arm, Fate, Report, Strip, Weight
from policies.report.methods import METHODS
from policies.report.svg import element, interval

_LIMITS = {"arms": 12, "cells": 12, "both": 12, "sources": 1000}
_WEIGHTS: dict[Weight, str] = {"grave": "Do not rely", "careful": "Careful", "note": "Note"}
_FATES: dict[Fate, str] = {
    "missed": "missed",
    "caught late": "late",
    "false alarm": "alarm",
    "caught": "caught",
    "harmless": "harmless",
    "honest": "honest",
}
_SHAPES = {
    "turns": "turns",
    "draws": "draws",
    "length": "tokens written",
    "bytes_out": "bytes out",
}
_LADDER = {
    "protocol": "the protocol: where others were caught least",
    "scores": "the scores: what a copy of the monitor says",
}
_KINDS = {
    "input": "Tokens in",
    "output": "Tokens out",
    "cache_read": "Cache read",
    "cache_write": "Cache write",
}


@dataclass(frozen=True)
class _Card:
    label: str
    rate: Rate
    meaning: str


def page(data: Report) -> str:
    """The page. It needs no network and no script, and everything in it is escaped."""
    numbers = count()

    def glyph(rate: Rate, label: str) -> Markup:
        title = f"{label}: {words.percent(rate.value)}, {words.interval(rate)}"
        return interval(f"rate-{next(numbers)}", title, rate.value, rate.low, rate.high)

    first = data.arms[0]
    both = [
        arm for arm in data.arms if arm.found.rates["usefulness"].n and arm.found.rates["safety"].n
    ]
    shown = data.arms[: _LIMITS["arms"]]
    cells = {
        arm.key: [cell for cell in data.cells if cell.arm == arm.key][: _LIMITS["cells"]]
        for arm in shown
    }
    judged = {one.arm for one in data.at_budget}
    longest = max((len(one.suspicion) for one in data.strips), default=0)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=data,
            samples=sum(one.samples for one in data.sources),
            first=first,
            cards=list(_cards(data, first)),
            cells=cells,
            budgets=[one for one in data.at_budget if one.arm in cells],
            choosing=[one for one in data.at_budget if one.choosing and one.choosing.steps],
            ladder=_LADDER,
            episodes=[arm for arm in shown if any(one.n for one in arm.episodes.values())],
            attacked=ATTACKED,
            both=both[: _LIMITS["both"]],
            strips=_strips(data, longest),
            ruled=bool(_thresholds(data)),
            per_bar=math.ceil(longest / charts.PLACES),
            priced=[(arm, data.spent[arm.key]) for arm in shown if data.spent[arm.key].samples],
            timed=[(arm, data.timed[arm.key]) for arm in shown if data.timed[arm.key].attempts],
            methods=METHODS,
            left={
                "rows": len(data.cells) - sum(map(len, cells.values())),
                "both": max(0, len(both) - _LIMITS["both"]),
                "drawn": len(judged) - len(data.histograms),
                "sources": max(0, len(data.sources) - _LIMITS["sources"]),
                "skipped": max(0, len(data.skipped) - _LIMITS["sources"]),
            },
            limits=_LIMITS,
            charts=charts,
            glyph=glyph,
            line_of=_line_of,
            point_of=_key_svg(element("circle", class_="dot point", cx=14, cy=6, r=4.5)),
            names=words.NAMES,
            units=words.UNITS,
            weights=_WEIGHTS,
            fates=_FATES,
            kinds=_KINDS,
            shapes=_SHAPES,
            upto=UPTO,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("policies.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "interval": words.interval,
        "counted": words.counted,
        "amount": words.amount,
        "size": words.size,
        "some": words.some,
        "budget": words.budget,
        "score": words.score,
        "count": "{:,}".format,
    }
    environment.tests |= {"nan": math.isnan, "infinite": math.isinf}
    return environment


def _cards(data: Report, arm: Arm) -> Iterator[_Card]:
    for measure in ("catch_rate", "safety", "undetected", "attempts"):
        yield _Card(words.NAMES[measure], arm.found.rates[measure], words.MEANINGS[measure])
    if len(arm.worst.policies) > 1:
        yield _Card("Safety, worst attack", arm.worst.safety, "over all attacks at once")
    for one in data.at_budget:
        if one.arm == arm.key and one.unit == "trajectory" and one.found is not None:
            yield _Card(
                "Caught at the budget", one.found.catch_rate, "of the attempts, by the threshold"
            )
    for measure in ("usefulness", "false_alarms", "audit_rate", "unscored"):
        yield _Card(words.NAMES[measure], arm.found.rates[measure], words.MEANINGS[measure])


def _thresholds(data: Report) -> dict[str, float]:
    """At the budget, by arm; none where it was refused."""
    return {
        one.arm: one.found.threshold.value
        for one in data.at_budget
        if one.found is not None and one.unit == "trajectory"
    }


def _strips(data: Report, longest: int) -> list[tuple[Strip, Markup]]:
    thresholds = _thresholds(data)
    return [
        (one, charts.turns(one, number, thresholds.get(one.arm), longest))
        for number, one in enumerate(data.strips)
    ]


def _key_svg(content: Markup) -> Markup:
    """A legend's sign; the text beside it says the same."""
    return element("svg", content, viewBox="0 0 28 12", aria_hidden="true")


def _line_of(kind: str) -> Markup:
    return _key_svg(element("line", class_=f"line {kind}", x1=0, x2=28, y1=6, y2=6))
