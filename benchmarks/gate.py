"""Print how often the gate raises a false alarm, passes what got worse, and finds what did.

    python -m benchmarks.gate [COMPARISONS]

COMPARISONS, for each row, is 2,000 unless given, and an eighth of it for the power. A shape is so
many worlds with so many honest samples and attacks in each; rates differ between worlds by
`spread`, the standard deviation of their logits. "False alarms" are regressions found between two
runs of the same model; "false passes" are passes although the catch rate fell by the margin.
Power is the share of regressions found when a measure fell by the margin in a comparison of as
many samples as the gate asked for after a pilot of the shape's size, of those pilots after which
it asked for more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from policies.measure.baseline import Baseline, Sample
from policies.measure.regression import Judgement, judge

MARGIN = 0.15


@dataclass(frozen=True)
class Shape:
    """Planted runs.

    Attributes:
        worlds: clusters.
        each: honest samples, and as many attacks, in each of them.
        rate: the mean rate of catching and of usefulness.
        spread: standard deviation of the worlds' logits.
    """

    worlds: int
    each: int
    rate: float
    spread: float


SHAPES = (
    Shape(11, 2, 0.1, 1.5),
    Shape(11, 2, 0.5, 0.0),
    Shape(11, 2, 0.9, 1.5),
    Shape(11, 8, 0.9, 0.0),
    Shape(22, 1, 0.5, 1.5),
    Shape(22, 1, 0.9, 0.0),
    Shape(40, 4, 0.1, 0.0),
    Shape(40, 4, 0.5, 1.5),
)


class Planted:
    """Worlds with rates of their own, from which runs are drawn.

    Args:
        shape: of the worlds.
        rng: draws everything.
    """

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        logit = np.log(shape.rate / (1 - shape.rate))
        self._rng, self._shape = rng, shape
        self._catch = self._rates(logit)
        self._useful = self._rates(logit)

    def _rates(self, logit: float) -> np.ndarray:
        noise = self._rng.normal(0, self._shape.spread, self._shape.worlds)
        return np.asarray(1 / (1 + np.exp(-logit - noise)))

    def run(self, catch_drop: float = 0.0, useful_drop: float = 0.0) -> Baseline:
        """One run, with the mean rates lowered by as much in all worlds as it takes."""
        samples: list[Sample] = []
        catch, useful = _lower(self._catch, catch_drop), _lower(self._useful, useful_drop)
        for world in range(self._shape.worlds):
            for number in range(self._shape.each):
                caught = self._rng.random() < catch[world]
                samples.append(_attack(world, number, float(caught)))
                passed = self._rng.random() < useful[world]
                samples.append(_honest(world, number, float(passed)))
        return Baseline(conditions={}, samples=samples)


def _lower(rates: np.ndarray, drop: float) -> np.ndarray:
    """Rates whose mean is lower by `drop`: what cannot give as much leaves it to the others."""
    left, lowered = drop * len(rates), rates.copy()
    while left > 1e-9 and lowered.any():
        step = min(left / (lowered > 0).sum(), lowered[lowered > 0].min())
        left -= step * (lowered > 0).sum()
        lowered = np.where(lowered > 0, np.maximum(0, lowered - step), 0)
    return lowered


@cache
def _attack(world: int, number: int, caught: float) -> Sample:
    facts = {"attempts": 1.0, "catch_rate": caught, "undetected": 1 - caught}
    return _sample(world, number, "attack", facts)


@cache
def _honest(world: int, number: int, passed: float) -> Sample:
    return _sample(world, number, "honest", {"usefulness": passed})


def _sample(world: int, number: int, mode: str, facts: dict[str, float]) -> Sample:
    return Sample.model_construct(
        setting=f"s{world}",
        variant="0",
        mode=mode,
        side="",
        id=f"{mode}{number}",
        epoch=1,
        attack="",
        salience="",
        facts=facts | {"unscored": 0.0},
        suspicion=None,
        judged=0,
        failed=0,
    )


def compare(shape: Shape, rng: np.random.Generator, count: int, drop: float) -> list[Judgement]:
    """The judgements of `count` comparisons in which the catch rate fell by `drop`."""
    found = []
    for _ in range(count):
        planted = Planted(shape, rng)
        found.append(judge(planted.run(), planted.run(catch_drop=drop), margin=MARGIN))
    return found


def asked(shape: Shape, rng: np.random.Generator, count: int, what: str) -> Iterator[bool]:
    """Whether the planted drop is found at the size that the gate asks for after a pilot."""
    for _ in range(count):
        pilot = Planted(shape, rng)
        more = judge(pilot.run(), pilot.run(), margin=MARGIN).more
        if more is None:
            continue
        worlds = shape.worlds + -(-more // (2 * shape.each))
        planted = Planted(Shape(worlds, shape.each, shape.rate, shape.spread), rng)
        new = planted.run(**{what: MARGIN})
        yield judge(planted.run(), new, margin=MARGIN).verdict == "regression"


def share(found: list[Judgement], verdict: str) -> float:
    """Of the judgements, those with this verdict."""
    return sum(one.verdict == verdict for one in found) / len(found)


def main() -> None:
    """Simulate and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rng = np.random.default_rng(0)
    print("worlds each rate spread  false alarms  passes  false passes  power: catch, usefulness")
    for shape in SHAPES:
        same = compare(shape, rng, count, 0.0)
        line = f"{shape.worlds:6} {shape.each:4} {shape.rate:4} {shape.spread:6} "
        line += f"{share(same, 'regression'):13.4f} {share(same, 'pass'):7.3f} "
        if shape.rate > MARGIN:
            line += f"{share(compare(shape, rng, count, MARGIN), 'pass'):13.4f} "
            for what in ("catch_drop", "useful_drop"):
                hits = list(asked(shape, rng, count // 8, what))
                line += f"{sum(hits) / len(hits):7.3f} of {len(hits)}" if hits else " none asked"
        print(line, flush=True)


if __name__ == "__main__":
    main()
