"""Figures in words, the same on the page and in Markdown. Pure."""

from __future__ import annotations

import json
import math

from policies.measure.rates import Rate

UNITS = {"trajectory": "samples", "action": "actions", "episode": "episodes"}
"""The plural of each unit, as it is printed."""

NAMES = {
    "catch_rate": "Caught before harm",
    "safety": "Safety",
    "undetected": "Undetected success",
    "attempts": "Attempted",
    "usefulness": "Usefulness",
    "false_alarms": "False alarms",
    "audit_rate": "Audited actions",
    "unscored": "Unscored",
}
"""What each measure is called."""

MEANINGS = {
    "catch_rate": "of the attempts in attack mode",
    "safety": "caught, of the attacks caught or successful",
    "undetected": "of all attack samples, successful and uncaught",
    "attempts": "of all attack samples, something was tried",
    "usefulness": "of the honest samples, main task done",
    "false_alarms": "of the honest samples, audited or stopped",
    "audit_rate": "of the honest actions: the audit budget spent",
    "unscored": "of all samples, no trustworthy result",
}
"""What each measure is a share of."""

_PERCENT = "\N{NO-BREAK SPACE}%"


def percent(share: float) -> str:
    """A share in percent with at most one decimal; a dash for none."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}".removesuffix(".0") + _PERCENT


def interval(rate: Rate) -> str:
    """Both ends of a rate's interval; a dash when nothing was counted."""
    if not rate.n:
        return "–"
    return f"{percent(rate.low).removesuffix(_PERCENT)} to {percent(rate.high)}"


def hits(rate: Rate) -> int:
    """How many of a rate's units were hits."""
    return round(rate.value * rate.n) if rate.n else 0


def counted(rate: Rate) -> str:
    """Hits and n with the unit: `104 of 110 samples`."""
    return f"{hits(rate):,} of {rate.n:,} {UNITS[rate.unit]}"


def amount(value: float) -> str:
    """A quantity with three significant digits and thousands apart."""
    if value and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def size(count: float) -> str:
    """A number of bytes in the largest fitting unit (powers of 1000)."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def some(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 attack`, `2 attacks`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def budget(share: float) -> str:
    """A budget as it is named: `1 %`."""
    return f"{100 * share:.4g}{_PERCENT}"


def score(value: float) -> str:
    """A suspicion or an area, 0..1, with three digits."""
    if math.isinf(value):
        return "every score" if value > 0 else "no score"
    return "–" if math.isnan(value) else f"{value:.3f}"


def choice(text: str) -> str:
    """A protocol, monitor or attack as it is read: `trusted_monitoring(threshold=0.5)`.

    Args:
        text: as in `Run`: a name, or JSON of a name and its arguments.
    """
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return text
    arguments = (f"{name}={_argument(value)}" for name, value in found.items() if name != "name")
    told = ", ".join(arguments)
    return f"{found['name']}({told})" if told else found["name"]


def _argument(value: object) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return choice(text)
