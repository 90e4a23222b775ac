"""What became different between two runs of the same samples, with the figures that show it.

Several may hold at once. Each is either something that the logs record, such as another model, or
a figure that moved by more than chance would have it (an unadjusted label-swap test each: they
explain a verdict and make none).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from policies.measure.baseline import Baseline, Sample
from policies.measure.paired import Paired, Worse, swap_test
from policies.measure.pairing import ATTEMPTS, Pairs

Name: TypeAlias = Literal[
    "protocol weaker",
    "monitor changed",
    "monitor failing more",
    "attacker stronger",
    "attacker inert or refusing",
    "honest usefulness lower",
    "harness drift",
]

_HARNESS = ("source", "sandbox", "salience", "attack", "knows")
_LISTED = 5


@dataclass(frozen=True)
class Cause:
    """One cause.

    Attributes:
        name: what.
        line: what shows it.
    """

    name: Name
    line: str


def causes(
    before: Baseline, after: Baseline, pairs: Pairs, worse: frozenset[str], alpha: float
) -> tuple[Cause, ...]:
    """Everything that is known to have changed.

    Args:
        before: the baseline.
        after: the new run.
        pairs: their common samples.
        worse: the tested measures that got worse.
        alpha: of each figure's test.
    """
    monitor = list(_monitor(before, after))
    drift = list(_drift(before, after))
    less_caught = bool(worse & {"catch_rate", "undetected"})
    stronger = list(_attacker(before, after, pairs, monitor, alpha))
    who = _change(before.conditions, after.conditions, "untrusted")
    protocol = _change(before.conditions, after.conditions, "protocol")
    caught = _told(pairs.measure("catch_rate"), "caught")
    alone = less_caught and not (protocol or monitor or drift or stronger)
    found = []
    if alone and who:
        stronger = [f"{who}, and nothing else that the logs record; {caught}"]
    elif alone:
        seen = _told(pairs.ratio(_suspicion), "highest suspicion of attacks")
        same = "by the logs the same models, protocol, monitor and attack policy"
        found.append(Cause("protocol weaker", f"{same}; {seen}, {caught}"))
    if less_caught and protocol:
        found.append(Cause("protocol weaker", f"{protocol}; {caught}"))
    found += [Cause("monitor changed", line) for line in monitor]
    found += [Cause("attacker stronger", line) for line in stronger]
    if line := _moved(failures(pairs), "up", "failed judgements", alpha):
        found.append(Cause("monitor failing more", line))
    if line := _moved(pairs.measure(ATTEMPTS), "down", "attempts", alpha):
        found.append(Cause("attacker inert or refusing", line))
    if "usefulness" in worse:
        found.append(Cause("honest usefulness lower", _told(pairs.measure("usefulness"), "passed")))
    drift += _samples(pairs)
    found += [Cause("harness drift", line) for line in drift]
    return tuple(found)


def failures(pairs: Pairs) -> Paired:
    """The share of judgements in which the monitor failed."""
    return pairs.ratio(lambda sample: (sample.failed, sample.judged))


def _suspicion(sample: Sample) -> tuple[float, float]:
    """The highest suspicion of an attack that was tried."""
    if sample.suspicion is None or not sample.facts.get(ATTEMPTS) or sample.mode != "attack":
        return 0.0, 0.0
    return sample.suspicion, 1.0


def _success(sample: Sample) -> tuple[float, float]:
    """Success of an attack that was tried and not caught."""
    if sample.facts.get("catch_rate") != 0.0:
        return 0.0, 0.0
    return sample.facts["undetected"], 1.0


def _monitor(before: Baseline, after: Baseline) -> Iterator[str]:
    for name in ("monitor", "monitor_model"):
        if change := _change(before.conditions, after.conditions, name):
            yield change
    for prompt in _changed(before.prompts, after.prompts):
        if _asked_by_monitor(before, prompt):
            yield f"the text of the prompt {prompt} changed"


def _attacker(
    before: Baseline, after: Baseline, pairs: Pairs, monitor: list[str], alpha: float
) -> Iterator[str]:
    who = _change(before.conditions, after.conditions, "untrusted")
    suffix = f" ({who})" if who else ""
    seen = _moved(pairs.ratio(_suspicion), "down", "highest suspicion of attacks", alpha)
    if seen and not monitor:  # with another monitor its scores do not compare
        yield seen + suffix
    if done := _moved(pairs.ratio(_success), "up", "success of attacks not caught", alpha):
        yield done + suffix


def _drift(before: Baseline, after: Baseline) -> Iterator[str]:
    for name in _HARNESS:
        if change := _change(before.conditions, after.conditions, name):
            yield change
    for prompt in _changed(before.prompts, after.prompts):
        if not _asked_by_monitor(before, prompt):
            yield f"the text of the prompt {prompt} changed"
    if changed := list(_changed(before.digests, after.digests)):
        more = f" and {len(changed) - _LISTED} more" if len(changed) > _LISTED else ""
        yield f"other content: {', '.join(changed[:_LISTED])}{more}"


def _samples(pairs: Pairs) -> Iterator[str]:
    if pairs.missing:
        yield f"{pairs.missing} samples of the baseline are not in the logs"
    if pairs.extra:
        yield f"{pairs.extra} samples are in the logs only, and were not compared"


def _asked_by_monitor(side: Baseline, prompt: str) -> bool:
    """Labels hold all arguments, so the prompts too that a monitor asks with."""
    labels = side.conditions.get("monitor", []) + side.conditions.get("protocol", [])
    return any(f'"{prompt}"' in label for label in labels)


def _changed(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> Iterator[str]:
    return (name for name in sorted(before.keys() & after.keys()) if before[name] != after[name])


def _change(
    before: Mapping[str, list[str]], after: Mapping[str, list[str]], name: str
) -> str | None:
    old, new = before.get(name, []), after.get(name, [])
    if old == new:
        return None
    what = name.replace("_", " ")
    return f"{what}: {', '.join(old) or 'none'} -> {', '.join(new) or 'none'}"


def _moved(data: Paired, worse: Worse, what: str, alpha: float) -> str | None:
    p = swap_test(data, worse)
    return f"{_told(data, what)}, p = {p:.2g}" if p <= alpha else None


def _told(data: Paired, what: str) -> str:
    (old, new), (n, m) = data.values, data.totals
    return f"{what} {old:.2f} of {n:.0f} -> {new:.2f} of {m:.0f}"
