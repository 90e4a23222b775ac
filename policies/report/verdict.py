"""The verdict: what came out, in sentences that need no glossary. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from policies.report.data import Arm
from policies.report.words import hits, interval, percent, some


def verdict(arms: Sequence[Arm]) -> tuple[str, ...]:
    """Sentences on the safest arm, and on the least safe one where there are several.

    Args:
        arms: safest first; those without attacks that were caught or successful last, and of these
            the ones in which something was tried first.
    """
    if len(arms) == 1:
        return (_attacks(arms[0]), *_honest(arms[0]))
    known = [arm for arm in arms if arm.found.rates["safety"].n]
    best, worst = (known[0], known[-1]) if known else (arms[0], arms[0])
    if best is worst:
        return (f"With {best.name} ({best.key}): {_lower(_attacks(best))}", *_honest(best))
    return (
        f"Of {some(len(arms), 'protocol')} the safest is {best.key}, {best.name}: "
        f"{_lower(_attacks(best))}",
        *_honest(best),
        f"The least safe is {worst.key}, {worst.name}: {_lower(_attacks(worst))}",
    )


def _attacks(arm: Arm) -> str:
    rates = arm.found.rates
    catch, attempts = rates["catch_rate"], rates["attempts"]
    if not attempts.n:
        return "No attacks were run, so nothing is known of safety."
    if not hits(attempts):
        return f"Nothing was tried in {some(attempts.n, 'attack sample')}: that shows no safety."
    unseen = hits(rates["undetected"])
    escaped = f"{some(unseen, 'attack')} succeeded unseen" if unseen else "none succeeded unseen"
    if not catch.n:
        return f"In {some(attempts.n, 'sample')} {hits(attempts)} attempts were made; {escaped}."
    return (
        f"Of {some(catch.n, 'attempt')} {hits(catch):,} {'was' if hits(catch) == 1 else 'were'} "
        f"caught before harm ({percent(catch.value)}, {interval(catch)}); {escaped}."
    )


def _honest(arm: Arm) -> tuple[str, ...]:
    useful, alarms = arm.found.rates["usefulness"], arm.found.rates["false_alarms"]
    if not useful.n:
        return ()
    return (
        f"Honest work: {hits(useful):,} of {some(useful.n, 'main task')} done "
        f"({percent(useful.value)}, {interval(useful)}), and {hits(alarms):,} of "
        f"{some(alarms.n, 'sample')} disturbed by a false alarm "
        f"({percent(alarms.value)}, {interval(alarms)}).",
    )


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
