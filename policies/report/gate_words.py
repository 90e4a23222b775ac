"""A gate's judgement in words: the table, and what to do. Pure."""

from __future__ import annotations

import math

from policies.measure.regression import Judgement, Measured

HEADER = ("measure", "baseline", "new", "difference (95 %)", "p", "finding")
"""Of the table's columns."""

_DO = {
    "missing samples": "run the same settings, variants, modes, attack, salience and epochs as the "
    "baseline",
    "inert attacker": "see why the attacker does not attack before believing that it is caught: "
    "read refusals in `inspect view`, try another attack policy",
    "monitor failures": "repair the monitor: its failures count as suspicion",
    "settings": "run the model that the baseline was made with on the new settings, and write a "
    "new baseline with --update",
}
_UNSCORED = "read why samples are void in `inspect view`, and run them again"


def table(judgement: Judgement) -> list[tuple[str, ...]]:
    """One row of texts per measure, as `HEADER` names them."""
    return [
        (
            one.name,
            _value(one.before, one.units[0]),
            _value(one.after, one.units[1]),
            _difference(one),
            "" if one.p is None else f"{one.p:.2g}",
            one.finding,
        )
        for one in judgement.measures
    ]


def scope(judgement: Judgement) -> str:
    """What the verdict is about, in one line."""
    line = (
        f"{judgement.pairs} paired samples in {judgement.worlds} worlds, alpha "
        f"{judgement.alpha:g}, margin {judgement.margin:g}"
    )
    if judgement.looks is None:
        return line
    return f"{line}, sequential: {judgement.looks[0]} of {judgement.looks[1]} blocks looked at"


def advice(judgement: Judgement) -> list[str]:
    """What to do now; nothing after a pass."""
    if judgement.verdict == "regression":
        return ["if this is what you want, write a new baseline with --update"]
    if judgement.verdict == "pass":
        return []
    if judgement.more is not None:
        return [
            f"run {judgement.more} more samples of both, as new worlds (-T variants=); what the "
            "baseline ran with makes the new baseline (--update)",
            "the number is chosen once: to look again and again, use --sequential",
        ]
    broken = [guard.name for guard in judgement.guards if not guard.holds]
    lines = [_DO.get(name, _UNSCORED) for name in broken]
    for one in judgement.measures:
        if one.finding == "open" and not all(one.units) and "inert attacker" not in broken:
            lines.append(f"give logs in which {one.name} is defined (-T modes=honest,attack)")
    return list(dict.fromkeys(lines))


def _value(value: float, units: int) -> str:
    return "none counted" if math.isnan(value) else f"{value:.3f} of {units}"


def _difference(one: Measured) -> str:
    difference = one.after - one.before
    if math.isnan(difference):
        return ""
    return f"{difference:+.3f} ({one.low:+.3f}..{one.high:+.3f})"
