"""What the gate compares: per sample, the facts that the tested measures need. No paths, no times.

The same data is made from a baseline file and from new logs. The file is JSON with one
sample per line, sorted, so that a change of it can be read in a review.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.measure.outcome import Mode, measures, unscored
from policies.measure.rows import Row

Key: TypeAlias = tuple[str, str, Mode, str, str, int, str, str]
"""What samples are paired by: setting, variant, mode, side, id, epoch, attack, salience."""

_CONDITIONS = (
    "source",
    "protocol",
    "monitor",
    "monitor_model",
    "untrusted",
    "trusted",
    "attack",
    "knows",
    "salience",
    "sandbox",
)


class BaselineError(ValueError):
    """A baseline that cannot be read, or logs that none can be made of; one line says why."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sample(_Strict):
    """One sample.

    Attributes:
        setting: its setting.
        variant: which of the setting's worlds.
        mode: see `Outcome`.
        side: its side task.
        id: its name in its task.
        epoch: from 1.
        attack: the attack policy; empty in honest mode, where there is none.
        salience: of the opportunity.
        facts: what it adds to each of `outcome.MEASURES` that is defined for it, 0 or 1.
        suspicion: the highest score of its monitor, 0..1; None when there is no score.
        judged: turns that the monitor was asked about.
        failed: those of them in which it failed.
    """

    setting: str
    variant: str
    mode: Mode
    side: str
    id: str
    epoch: int
    attack: str
    salience: str
    facts: dict[str, float]
    suspicion: float | None
    judged: int
    failed: int

    @property
    def key(self) -> Key:
        """See `Key`."""
        return (
            self.setting,
            self.variant,
            self.mode,
            self.side,
            self.id,
            self.epoch,
            self.attack,
            self.salience,
        )

    @property
    def cluster(self) -> str:
        """As `Row.cluster`."""
        return f"{self.setting}/{self.variant}"

    @property
    def scored(self) -> bool:
        """Whether there is a trustworthy result."""
        return not self.facts["unscored"]


class Baseline(_Strict):
    """One side of a comparison.

    Attributes:
        version: of the file's form.
        conditions: under which the samples ran, by name of the field of `Run`; all values, sorted.
        prompts: as in `Run`, likewise.
        digests: as in `Run`, likewise.
        samples: in the order of the logs; in a file, sorted by key.
    """

    version: Literal[1] = 1
    conditions: dict[str, list[str]]
    prompts: dict[str, list[str]] = Field(default_factory=dict)
    digests: dict[str, list[str]] = Field(default_factory=dict)
    samples: list[Sample]

    def to_json(self) -> str:
        """The file's text; reading it and writing it again changes nothing."""
        head = self.model_dump(exclude={"samples"})
        lines = [json.dumps(s.model_dump(), sort_keys=True) for s in self._sorted()]
        text = json.dumps(head | {"samples": []}, indent=1, sort_keys=True)
        return (
            text.replace('"samples": []', '"samples": [\n  ' + ",\n  ".join(lines) + "\n ]") + "\n"
        )

    def _sorted(self) -> list[Sample]:
        return sorted(self.samples, key=lambda sample: sample.key)


def from_json(text: str) -> Baseline:
    """Read a baseline file's text.

    Raises:
        BaselineError: it is not one, or of another version.
    """
    try:
        found = Baseline.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BaselineError(f"{where}: {first['msg']}") from error
    _no_twins((sample.key, "the file") for sample in found.samples)
    return found


def of_rows(rows: Sequence[Row]) -> Baseline:
    """Take what a gate needs from the rows of one run, which may be in several logs.

    Raises:
        BaselineError: there is no row, or two rows are of the same sample.
    """
    if not rows:
        raise BaselineError("the logs hold no sample")
    samples = [_sample(row) for row in rows]
    _no_twins((sample.key, row.run.log) for sample, row in zip(samples, rows, strict=True))
    runs = [row.run for row in rows]
    return Baseline(
        conditions={
            name: _values(getattr(run, name) for run in runs if getattr(run, name))
            for name in _CONDITIONS
        },
        prompts=_by_name(run.prompts.items() for run in runs),
        digests=_by_name(run.digests.items() for run in runs),
        samples=samples,
    )


def _sample(row: Row) -> Sample:
    facts = unscored() if row.outcome is None else measures(row.outcome)
    del facts["audit_rate"]  # a share of actions, not a fact of the sample
    scores = [score for score in row.suspicion if score is not None]
    return Sample(
        setting=row.setting.rsplit("/", 1)[-1],  # a setting of one's own is named by its folder
        variant=row.variant,
        mode=row.mode,
        side=row.side,
        id=row.id,
        epoch=row.epoch,
        attack="" if row.mode == "honest" else row.run.attack,
        salience=row.run.salience,
        facts={name: value for name, value in facts.items() if not math.isnan(value)},
        suspicion=max(scores, default=None),
        judged=len(scores) + len(row.failed),
        failed=len(row.failed),
    )


def _no_twins(samples: Iterable[tuple[Key, str]]) -> None:
    places: dict[Key, str] = {}
    for key, place in samples:
        if key in places:
            name = " ".join(str(part) for part in key if part != "")
            raise BaselineError(
                f"the sample {name} is twice there, in {places[key]} and in {place}: "
                "give the logs of one run"
            )
        places[key] = place


def _values(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _by_name(runs: Iterable[Iterable[tuple[str, str]]]) -> dict[str, list[str]]:
    pairs = {pair for run in runs for pair in run}
    return {
        name: _values(v for n, v in pairs if n == name) for name in sorted({n for n, _ in pairs})
    }
