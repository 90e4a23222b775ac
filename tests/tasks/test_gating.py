"""`sallyport gate`: exit status, files and forms of one judgement."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.many_logs import make
from policies.measure.reader import Reading
from policies.measure.rows import Row
from tasks import gating
from tests.policies.gated import every, no, run
from tests.policies.rowmaking import RUN

SAME, WORSE, FEW = run(), run(missed=every(3)), run(4, 1)
INERT = run(missed=no, inert=every(1))

Gate = Callable[..., Result]


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(gating.gate_command, [str(one) for one in arguments])


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """The command over planted rows, with a baseline of `SAME` unless there is one."""
    baseline = tmp_path / "baseline.json"

    def over(rows: Sequence[Row], *options: str | Path) -> Result:
        monkeypatch.setattr(gating, "read_logs", lambda logs: Reading(tuple(rows), (), ()))
        return call(tmp_path, "--baseline", baseline, *options)

    over(SAME, "--update")
    return over


@pytest.mark.parametrize(
    ("rows", "status", "line"),
    [
        (SAME, 0, "pass: "),
        (WORSE, 1, "regression: undetected 0.10 -> 0.34"),
        (INERT, 2, "cannot tell: attempts 1.00 -> 0.00"),
    ],
)
def test_the_exit_status_is_the_verdict_and_the_first_line_says_it(
    gate: Gate, rows: list[Row], status: int, line: str
) -> None:
    done = gate(rows)
    assert done.exit_code == status, done.output
    assert done.stdout.startswith(line)


def test_the_table_fits_a_terminal_of_80_columns(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    gate(run(200, 1), "--update")
    done = gate(run(200, 1, missed=every(3)))
    [line] = [line for line in done.stdout.splitlines() if line.startswith("undetected ")]
    number = r"[+-]?[01]\.\d+"
    figures = rf"{number} of 200 {number} of 200 {number} \({number}\.\.{number}\) {number}"
    assert re.fullmatch(rf"undetected +{figures} +worse *", line)


def test_cannot_tell_says_how_many_more_samples_would(gate: Gate) -> None:
    gate(FEW, "--update")
    done = gate(FEW)
    assert done.exit_code == 2
    more = json.loads(gate(FEW, "--json").stdout)["more"]
    assert f"cannot tell: {more} more samples on both sides would tell" in done.stdout


def test_the_margin_and_alpha_are_the_callers(gate: Gate) -> None:
    slightly = run(missed=every(6))
    assert gate(slightly, "--margin", "0.3").exit_code == 0
    assert gate(slightly, "--margin", "0.08").exit_code == 2
    assert gate(slightly, "--alpha", "0.4").exit_code == 1


def test_sequential_use_tells_how_much_was_looked_at(gate: Gate) -> None:
    rows = run(200, 1)
    gate(rows, "--update")
    done = gate(run(200, 1, missed=every(2)), "--sequential")
    assert done.exit_code == 1
    assert "of 200 blocks looked at" in " ".join(done.stdout.split())


def test_json_holds_everything_and_no_nan(gate: Gate) -> None:
    done = gate(INERT, "--json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(done.stdout, parse_constant=refuse)
    assert done.exit_code == 2
    assert told["verdict"] == "cannot tell"
    assert {one["name"] for one in told["measures"]} >= {"catch_rate", "attempts", "safety"}
    assert told["causes"][0]["name"] == "attacker inert or refusing"


@pytest.mark.parametrize(
    ("rows", "failures", "skipped"),
    [
        (SAME, set(), set()),
        (WORSE, {"undetected", "catch_rate"}, set()),
        (INERT, {"inert attacker"}, {"catch_rate", "attempts"}),
    ],
)
def test_junit_has_a_case_for_each_measure_and_guard(
    gate: Gate, tmp_path: Path, rows: list[Row], failures: set[str], skipped: set[str]
) -> None:
    file = tmp_path / "gate.xml"
    gate(rows, "--junit", file)
    root = ET.parse(file).getroot()
    suite = root.find("testsuite")
    assert root.tag == "testsuites" and suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == len({case.get("name") for case in cases}) == 4 + 6
    assert all(case.get("classname") for case in cases)
    assert {case.get("name") for case in cases if case.find("failure") is not None} == failures
    assert {case.get("name") for case in cases if case.find("skipped") is not None} == skipped
    counts = {name: int(suite.get(name, -1)) for name in ("tests", "failures", "skipped")}
    assert counts == {"tests": 10, "failures": len(failures), "skipped": len(skipped)}


EVIL = '"><script>|x|`\x00\n| **bold**'


def test_names_from_logs_are_no_markup(gate: Gate, tmp_path: Path) -> None:
    rows = [replace(row, run=replace(RUN, protocol=EVIL)) for row in WORSE]
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    done = gate(rows, "--junit", junit, "--markdown", markdown)
    assert done.exit_code == 1, done.output
    text = ET.parse(junit).getroot().findtext("testsuite/system-out")
    assert text is not None and "<script>" in text and "\x00" not in text
    told = markdown.read_text()
    assert "<script>" not in told and "**bold**" not in told
    tables = [line for line in told.splitlines() if line.startswith("|")]
    assert len(tables) == 2 + 6


def test_markdown_says_verdict_causes_and_what_to_do(gate: Gate, tmp_path: Path) -> None:
    file = tmp_path / "gate.md"
    gate(WORSE, "--markdown", file)
    told = file.read_text()
    assert told.startswith("## Sallyport gate\n\n**regression\\: undetected")
    assert "protocol weaker" in told and "--update" in told


def test_an_update_is_whole_or_not_at_all(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "baseline.json"
    before = file.read_text()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        assert gate(WORSE, "--update").exit_code != 0
    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["baseline.json"]
    assert gate(WORSE, "--update").exit_code == 0
    assert gate(WORSE).exit_code == 0


def test_an_update_from_what_nothing_can_pass_is_warned_of(gate: Gate) -> None:
    assert "no attack was tried" in gate(INERT, "--update").stderr
    assert "so many samples are void" in gate(run(void=every(2)), "--update").stderr
    assert gate(SAME, "--update").stderr == ""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--baseline", "none.json"], "write it from logs that you trust with --update"),
        (["--baseline", "."], "is a directory"),
        (["--alpha", "5"], "--alpha"),
        (["--margin", "15"], "--margin"),
        (["--update", "--markdown", "x.md"], "leave out --junit"),
        (["--junit", "no/such/folder/x.xml"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_3(
    gate: Gate, options: list[str], line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = gate(SAME, *options)
    assert done.exit_code == 3, done.output
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_baseline_and_doubled_samples_are_bad_input(gate: Gate, tmp_path: Path) -> None:
    assert "give the logs of one run" in gate([*SAME, *SAME]).stderr
    assert "--update" in gate([replace(row, setting="other") for row in SAME]).stderr
    (tmp_path / "baseline.json").write_bytes(b"\xff{")
    done = gate(SAME)
    assert done.exit_code == 3
    assert "is no baseline" in done.stderr and "--update" in done.stderr


def test_logs_are_read(tmp_path: Path) -> None:
    """Without a stand-in for the reader: the run that the baseline was made from passes."""
    [log] = make(tmp_path / "logs", 1, 240)
    baseline = tmp_path / "baseline.json"
    assert call(log, "--baseline", baseline, "--update").stdout.startswith(f"wrote {baseline}: 240")
    done = call(log, "--baseline", baseline)
    assert done.exit_code == 0, done.output
