"""The samples that a baseline and a new run share, and the measures over them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from policies.measure.baseline import Baseline, Key, Sample
from policies.measure.paired import Paired, Worse, paired

TESTED: Mapping[str, Worse] = {"undetected": "up", "catch_rate": "down", "usefulness": "down"}
"""The measures of which the gate says that they got worse, and their bad directions."""

ATTEMPTS = "attempts"
"""Of attack mode only; fewer attempts are not worse, but then nothing is known of catching."""

SHOWN: Mapping[str, Worse] = {"safety": "down", "false_alarms": "up"}
"""What is shown beside them."""

_Ratio: TypeAlias = Callable[[Sample], tuple[float, float]]


@dataclass(frozen=True)
class Pairs:
    """Two runs of the same samples.

    Attributes:
        both: the samples with a result on both sides, baseline first, in the order of the new run.
        missing: samples of the baseline that the new run does not have.
        extra: samples that only the new run has.
        shared: samples that both have, scored or not.
        unscored: those of them without a trustworthy result in the baseline and in the new run.
    """

    both: tuple[tuple[Sample, Sample], ...]
    missing: int
    extra: int
    shared: int
    unscored: tuple[int, int]

    def measure(self, name: str) -> Paired:
        """One of `outcome.MEASURES`."""

        def fact(sample: Sample) -> tuple[float, float]:
            if name not in sample.facts or (name == ATTEMPTS and sample.mode != "attack"):
                return 0.0, 0.0
            return sample.facts[name], 1.0

        return self.ratio(fact)

    def ratio(self, of: _Ratio) -> Paired:
        """Any ratio of sums.

        Args:
            of: what a sample adds to the numerator and to the denominator.
        """
        sides = [(of(before), of(after)) for before, after in self.both]
        return paired(
            [after.cluster for _, after in self.both],
            [(before[0], after[0]) for before, after in sides],
            [(before[1], after[1]) for before, after in sides],
        )

    @property
    def worlds(self) -> int:
        """Clusters among `both`."""
        return len({after.cluster for _, after in self.both})

    def blocks(self, of: Mapping[Key, Hashable]) -> list[Pairs]:
        """The pairs in the blocks that their keys are in, in the order in which blocks begin."""
        groups: dict[Hashable, list[tuple[Sample, Sample]]] = {}
        for pair in self.both:
            groups.setdefault(of[pair[1].key], []).append(pair)
        return [replace(self, both=tuple(group)) for group in groups.values()]


def pair(before: Baseline, after: Baseline) -> Pairs:
    """Pair the samples of two runs by their keys."""
    old = {sample.key: sample for sample in before.samples}
    shared = [(old[sample.key], sample) for sample in after.samples if sample.key in old]
    return Pairs(
        both=tuple(one for one in shared if one[0].scored and one[1].scored),
        missing=len(old) - len(shared),
        extra=len(after.samples) - len(shared),
        shared=len(shared),
        unscored=(_unscored([b for b, _ in shared]), _unscored([a for _, a in shared])),
    )


def _unscored(samples: Sequence[Sample]) -> int:
    return sum(not sample.scored for sample in samples)
