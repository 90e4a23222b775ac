"""The report's main figures as Markdown, for a CI summary. Pure."""

from __future__ import annotations

import re

from policies.measure.rates import Rate
from policies.report import words
from policies.report.data import Report

_ROWS = 30
_MEASURES = ("attempts", "catch_rate", "safety", "undetected", "usefulness", "false_alarms")


def markdown(data: Report) -> str:
    """Verdict, warnings, and a table of protocols and attacks; nothing in it is markup of others'.

    Args:
        data: the same as the page's.
    """
    lines = [f"## {plain(data.title)}", ""]
    lines += [f"**{plain(data.verdict[0])}**", *map(plain, data.verdict[1:]), ""]
    lines += [f"- **{one.weight}**: {plain(one.text)}" for one in data.warnings[:_ROWS]]
    if len(data.warnings) > _ROWS:
        lines.append(f"- and {words.some(len(data.warnings) - _ROWS, 'more warning')}")
    names = [words.NAMES[measure] for measure in _MEASURES]
    lines += ["", _row("", "Attack", *names), "|---" * (len(names) + 2) + "|"]
    shown = data.cells[:_ROWS]
    for cell in shown:
        rates = (_rate(cell.found.rates[measure]) for measure in _MEASURES)
        lines.append(_row(cell.arm, plain(cell.attack), *rates))
    if len(data.cells) > _ROWS:
        lines.append(f"\n{words.some(len(data.cells) - _ROWS, 'more row')} in the report.")
    lines += ["", *(f"- {arm.key}: {plain(arm.name)}" for arm in data.arms[:_ROWS])]
    for one in data.at_budget[:_ROWS]:
        unit = f"{words.budget(one.budget)} of honest units ({one.unit})"
        told = one.refused if one.found is None else f"caught {_rate(one.found.catch_rate)}"
        lines.append(f"- {one.arm} at {unit}: {plain(str(told))}")
    return "\n".join(lines) + "\n"


def _rate(rate: Rate) -> str:
    if not rate.n:
        return "–"
    return f"{words.percent(rate.value)} ({words.interval(rate)}; {words.counted(rate)})"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """A text in one line in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&@:])", r"\\\1", " ".join(text.split()))
