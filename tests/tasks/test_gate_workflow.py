"""The workflow in the docs is YAML, and calls what there is with the options that there are."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tasks.cli import main
from tasks.exfil import exfil

_DOCS = Path(__file__).parents[2] / "docs"
WORKFLOW = yaml.safe_load((_DOCS / "gate-workflow.yml").read_text())
STEPS = WORKFLOW["jobs"]["gate"]["steps"]


def called(program: str) -> Iterator[list[str]]:
    """The arguments of each call of a program."""
    for step in STEPS:
        for line in step.get("run", "").splitlines():
            words = shlex.split(line)
            if words and Path(words[0]).name == program:
                yield words[1:]


@pytest.mark.parametrize("words", called("sallyport"), ids=" ".join)
def test_every_sallyport_command_takes_its_arguments(words: list[str], tmp_path: Path) -> None:
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    words = [str(tmp_path) if word == "logs" else word for word in words]
    command.make_context("called", words)


def test_it_gates_evaluates_and_reports() -> None:
    assert [words[0] for words in called("sallyport")] == ["images", "gate", "report"]
    [evaluation] = called("inspect")
    assert evaluation[:2] == ["eval", "tasks/exfil.py"]
    given = [evaluation[i + 1] for i, word in enumerate(evaluation) if word == "-T"]
    assert {one.split("=")[0] for one in given} <= set(inspect.signature(exfil).parameters)


def test_it_runs_on_a_model_by_name_and_on_pull_requests() -> None:
    on = WORKFLOW[True]  # YAML 1.1 takes `on` for a truth value
    assert on["workflow_dispatch"]["inputs"]["model"]["required"] is True
    assert "pull_request" in on


def test_no_name_from_outside_is_shell_code() -> None:
    assert not any("${{" in step.get("run", "") for step in STEPS)


def test_what_the_gate_writes_is_kept() -> None:
    [gate] = [words for words in called("sallyport") if words[0] == "gate"]
    [kept] = [step["with"]["path"].split() for step in STEPS if "upload-artifact" in str(step)]
    assert {gate[gate.index(name) + 1] for name in ("--junit", "--markdown")} <= set(kept)
    assert any("$GITHUB_STEP_SUMMARY" in step.get("run", "") for step in STEPS)
