"""A calibration is a file; a protocol takes its threshold from it and says what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policies.calibration import (
    CalibratedLog,
    Calibration,
    FalseAlarms,
    Instrument,
    Realised,
    calibrated,
    read,
    write,
)
from policies.protocols import protocols
from policies.registry import SpecError

ALARMS = Realised(value=0.01, low=0.001, high=0.03, n=400)
CALIBRATION = Calibration(
    title="Threshold of a monitor",
    monitor={"name": "prompted", "view": "full", "draws": 1},
    model="mockllm/model",
    prompts={"action_v1": "ab"},
    unit="action",
    budget=0.01,
    threshold=0.43,
    n=400,
    distinct=17,
    ties=0.02,
    false_alarms=FalseAlarms(action=ALARMS, trajectory=ALARMS),
    logs=(CalibratedLog(name="honest.eval", sha256="cd", created="2026-11-21T12:00:00+00:00"),),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.yaml"
    write(path, CALIBRATION)
    return path


def test_what_is_written_is_read(file: Path) -> None:
    assert read(file) == CALIBRATION


def test_a_protocol_takes_the_threshold_and_keeps_name_and_digest(file: Path) -> None:
    found = protocols.resolve({"name": "trusted_monitoring", "threshold": str(file)})
    [kept] = calibrated(found)
    assert (kept.calibration, kept.threshold, kept.budget) == (str(file), 0.43, 0.01)
    assert len(kept.sha256) == 64
    assert found.spec["threshold"]["sha256"] == kept.sha256
    # What a header keeps stands for the same protocol, also when the file is gone.
    file.unlink()
    assert protocols.resolve(found.spec).label == found.label


def test_calibrations_are_found_however_deep(file: Path) -> None:
    inner = {"name": "defer_to_trusted", "threshold": str(file), "audit": str(file)}
    found = protocols.resolve({"name": "egress_budget", "inner": inner})
    assert [one.threshold for one in calibrated(found)] == [0.43, 0.43]
    assert not list(calibrated(protocols.resolve("defer_to_trusted")))


def test_a_relative_path_is_beside_the_spec_or_in_the_working_directory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "protocols"
    folder.mkdir()
    spec = folder / "mine.yaml"
    spec.write_text("name: trusted_monitoring\nthreshold: calibration.yaml\n")
    monkeypatch.chdir(tmp_path)
    [there] = calibrated(protocols.resolve(str(spec)))
    assert there.threshold == 0.43
    write(folder / "calibration.yaml", CALIBRATION.model_copy(update={"threshold": 0.9}))
    [beside] = calibrated(protocols.resolve(str(spec)))
    assert beside.threshold == 0.9


def instrument(**other: Any) -> Instrument:
    same = CALIBRATION.model_dump(include=set(Instrument.model_fields))
    return Instrument.model_validate(same | other)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({}, ""),
        ({"monitor": {"name": "rules"}}, "monitor prompted, not rules"),
        ({"monitor": {"name": "prompted", "view": "action", "draws": 1}}, "'full', not 'action'"),
        ({"monitor": {"name": "prompted", "view": "full"}}, "draws=1, not None"),
        ({"model": "openai/gpt"}, "the monitor's model mockllm/model, not openai/gpt"),
        ({"model": None}, "model mockllm/model, not None"),
        ({"prompts": {"action_v1": "ac"}}, "another text of the prompt action_v1"),
        ({"prompts": {}}, "another text of the prompt action_v1"),
    ],
)
def test_it_is_for_one_monitor_model_and_prompt(
    other: dict[str, Any], says: str, file: Path
) -> None:
    protocol = protocols.resolve({"name": "trusted_monitoring", "threshold": str(file)})
    [kept] = calibrated(protocol)
    told = kept.why_not(instrument(**other))
    assert says in told
    assert bool(told) == bool(other)
    assert not other or told.startswith(f"{file} is for ")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("find", "put", "line", "says"),
    [
        ("threshold: 0.43", "threshold: 43", 2, "threshold: Input should be less than or equal"),
        ("budget: 0.01", "budget: 1", 3, "budget: Input should be less than 1"),
        ("unit: action", "unit: call", 4, "unit: Input should be 'action' or 'trajectory'"),
        ("distinct: 17\n", "", 1, "distinct: Field required"),
        ("n: 400\ndistinct", "m: 400\ndistinct", 1, "n: Field required"),
        ("threshold: 0.43\n", "", 1, "not a calibration: write one with `sallyport calibrate`"),
        ("threshold: 0.43", "threshold: [", 4, "not YAML"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    find: str, put: str, line: int, says: str, file: Path
) -> None:
    text = file.read_text().replace("comment: ''\n", "")
    assert find in text
    file.write_text(text.replace(find, put, 1))
    with pytest.raises(SpecError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert says in str(caught.value)
    with pytest.raises(SpecError) as named:
        protocols.resolve({"name": "trusted_monitoring", "threshold": str(file)})
    assert str(caught.value) in str(named.value)
    assert "\n" not in str(named.value)


def test_a_calibration_that_is_not_there() -> None:
    with pytest.raises(SpecError, match="threshold: nowhere.yaml: cannot be read"):
        protocols.resolve({"name": "trusted_monitoring", "threshold": "nowhere.yaml"})
