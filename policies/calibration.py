"""Calibrations: a threshold fitted on honest scores, and what gave the scores, as a YAML file.

A threshold means nothing without the monitor whose scores it cuts: another model, another prompt
or another argument gives other scores. So the file says what it is for, and a protocol that names
it is refused with anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from policies.measure.rows import Run
from policies.promptfiles import prompt_names
from policies.registry import Fraction, Resolved, beside
from policies.specfile import SpecError, read_yaml

_WIDTH = 100  # columns of the file that is written
Share: TypeAlias = Annotated[float, Field(gt=0.0, lt=1.0)]


class Instrument(BaseModel):
    """What gave the scores.

    Attributes:
        monitor: the monitor's spec in full, every argument included.
        model: the model that it asks; None when it asks none.
        prompts: SHA-256 (hex) of each prompt that it asks with, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    monitor: dict[str, Any]
    model: str | None = None
    prompts: dict[str, str] = Field(default_factory=dict)

    def difference(self, other: Instrument) -> str:
        """What another instrument has differently, in a few words; empty when nothing."""
        mine, its = self.monitor, other.monitor
        if mine.get("name") != its.get("name"):
            return f"monitor {mine.get('name')}, not {its.get('name')}"
        for name in sorted({*mine, *its}):
            if mine.get(name) != its.get(name):
                return f"{name}={mine.get(name)!r}, not {its.get(name)!r}"
        if self.model != other.model:
            return f"the monitor's model {self.model}, not {other.model}"
        for name in sorted({*self.prompts, *other.prompts}):
            if self.prompts.get(name) != other.prompts.get(name):
                return f"another text of the prompt {name}"
        return ""


class Realised(BaseModel):
    """The share of honest units above the threshold, with its 95 % interval and n."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Fraction
    low: Fraction
    high: Fraction
    n: Annotated[int, Field(ge=1)]


class FalseAlarms(BaseModel):
    """What the threshold costs honest work, per action and per trajectory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Realised
    trajectory: Realised


class CalibratedLog(BaseModel):
    """A log that was calibrated on: its file's name, SHA-256 (hex), and when it began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    created: str


class Calibration(Instrument):
    """A calibration file.

    Attributes:
        title: what it is, in one line.
        comment: for whoever reads the file.
        unit: what the budget counts.
        budget: the share of honest units that may be above the threshold, above 0 and below 1.
        threshold: suspicious means strictly above it.
        n: honest units that it was fitted on.
        distinct: different scores among them.
        ties: the share of them that sit exactly at the threshold.
        false_alarms: what it comes to on the same honest samples.
        untrusted: the models whose honest work was scored.
        logs: where it was logged.
    """

    title: str = ""
    comment: str = ""
    unit: Literal["action", "trajectory"]
    budget: Share
    threshold: Fraction
    n: Annotated[int, Field(ge=1)]
    distinct: Annotated[int, Field(ge=1)]
    ties: Fraction
    false_alarms: FalseAlarms
    untrusted: tuple[str, ...] = ()
    logs: tuple[CalibratedLog, ...] = ()


class Calibrated(Instrument):
    """A threshold that a protocol took from a calibration file; a log's header keeps it.

    Attributes:
        calibration: the file, as it was named.
        sha256: of the file's bytes, in hex.
        unit: see `Calibration`.
        budget: likewise.
        threshold: likewise.
    """

    calibration: str
    sha256: str
    unit: Literal["action", "trajectory"]
    budget: Share
    threshold: Fraction

    def why_not(self, other: Instrument) -> str:
        """Why it cannot be used with another instrument, in one line; empty when it can."""
        differs = self.difference(other)
        if not differs:
            return ""
        return f"{self.calibration} is for {differs}: run `sallyport calibrate` on logs of this one"


def is_calibration(given: Any) -> bool:
    """Whether a threshold is given as a calibration: a file's name, or what a header keeps."""
    if isinstance(given, str):
        return given.endswith((".yaml", ".yml"))
    return isinstance(given, Calibrated) or (isinstance(given, dict) and "calibration" in given)


def _from_file(given: Any) -> Any:
    """The threshold in a file that is named; anything else as it is."""
    if not isinstance(given, str):
        return given
    path = beside(given)
    found = read(path)
    kept = found.model_dump(include=set(Calibrated.model_fields))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"calibration": given, "sha256": digest, **kept}


Named: TypeAlias = Annotated[
    Calibrated, BeforeValidator(_from_file), WithJsonSchema({"type": "calibration file"})
]
"""The type of an argument that may be a calibration file's path."""


def read(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        SpecError: it is missing or malformed; one line with file and line.
    """
    file = read_yaml(path)
    if not isinstance(file.content, dict) or "threshold" not in file.content:
        raise SpecError(f"{path}:1: not a calibration: write one with `sallyport calibrate`")
    try:
        return Calibration.model_validate(file.content)
    except ValidationError as error:
        first = error.errors()[0]
        keys = tuple(first["loc"])
        where = ".".join(map(str, keys))
        raise file.locate(SpecError(f"calibration: {where}: {first['msg']}", keys)) from error


def write(path: Path, calibration: Calibration) -> None:
    """Write a calibration file.

    Raises:
        OSError: it cannot be written.
    """
    content = calibration.model_dump(mode="json")
    order = ("title", "comment", "threshold", "budget", "unit")
    content = {key: content[key] for key in (*order, *(k for k in content if k not in order))}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=_WIDTH)
    path.write_text(text, encoding="utf-8")


def calibrated(resolved: Resolved[Any]) -> Iterator[Calibrated]:
    """The calibrations that a protocol, or what it wraps, takes thresholds from."""
    return _within(resolved.arguments)


def _within(value: Any) -> Iterator[Calibrated]:
    if isinstance(value, Mapping):
        if "calibration" in value and "sha256" in value:
            yield Calibrated.model_validate(value)
            return
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _within(one)


def instrument_of(run: Run) -> Instrument | None:
    """What gave the scores of a logged run; None when no monitor was asked."""
    if run.monitor is None:
        return None
    whole = run.monitor.startswith("{")
    spec = json.loads(run.monitor) if whole else {"name": run.monitor}
    prompts = {name: run.prompts[name] for name in prompt_names(spec) if name in run.prompts}
    return Instrument(monitor=spec, model=run.monitor_model, prompts=prompts)
