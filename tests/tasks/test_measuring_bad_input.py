"""Whatever is wrong with the input of a command that measures: one line, exit status 3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from benchmarks.many_logs import make
from tasks.cli import main
from tasks.errors import usage_error
from tasks.measuring import MeasuringCommand, logs_argument, read_logs


@click.command("tiny", cls=MeasuringCommand)
@logs_argument
@click.option("--budget", type=float)
def tiny(logs: tuple[Path, ...], budget: float | None) -> None:
    """What every one of them does first."""
    if budget:
        raise usage_error(f"no budget\nof {budget}")
    if budget is not None:
        raise RuntimeError("nobody thought of nought")
    click.echo(f"{len(read_logs(logs).rows)} rows")


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of those that there are."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        elif isinstance(command, MeasuringCommand):
            yield (*before, name)


TINY = ("tiny",)
COMMANDS = [TINY, *commands(main)]
# What they cannot do without besides logs.
NEEDED = {"gate": ["--baseline", "{folder}/baseline.json"], "replay": ["--protocols", "none"]}
INPUTS = ("nothing", "missing path", "empty folder", "text", "truncated", "unknown option")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make(tmp_path_factory.mktemp("logs"), 2, 4)


def call(command: tuple[str, ...], *arguments: str) -> Result:
    if command == TINY:
        return CliRunner().invoke(tiny, arguments, prog_name="sallyport tiny")
    return CliRunner().invoke(main, [*command, *arguments], prog_name="sallyport")


def given(what: str, folder: Path, logs: list[Path]) -> list[str]:
    if what == "nothing":
        return []
    if what == "unknown option":
        return [str(logs[0]), "--no-such-option"]
    path = folder / "input.eval"
    if what == "empty folder":
        path.mkdir()
    elif what == "text":
        path.write_text("notes\n")
    elif what == "truncated":
        path.write_bytes(logs[0].read_bytes()[:5000])
    return [str(path)]


@pytest.mark.parametrize("what", INPUTS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_bad_input_is_one_line_and_exit_status_3(
    command: tuple[str, ...], what: str, tmp_path: Path, logs: list[Path]
) -> None:
    arguments = given(what, tmp_path, logs)
    if what != "nothing":
        arguments += [one.format(folder=tmp_path) for one in NEEDED.get(command[-1], [])]
    done = call(command, *arguments)
    assert done.exit_code == 3, done.output
    assert isinstance(done.exception, SystemExit), "no traceback"
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("Error: ") and done.stdout == ""


def test_every_mistake_is_bad_input_whoever_finds_it(logs: list[Path]) -> None:
    done = call(TINY, str(logs[0]), "--budget", "1")
    assert (done.exit_code, done.stderr) == (3, "Error: no budget of 1.0\n")


def test_the_line_says_what_is_wrong_and_what_to_do(tmp_path: Path, logs: list[Path]) -> None:
    def line(what: str) -> str:
        return call(TINY, *given(what, tmp_path, logs)).stderr.strip()

    assert line("nothing") == "Error: Missing argument 'LOGS...'. See `sallyport tiny --help`."
    assert "input.eval' does not exist. See `" in line("missing path")
    assert line("text") == (
        f"Error: there is no sample to measure. {tmp_path}/input.eval: it is damaged, cut short or "
        "no log of Inspect (ValueError: EOCD not found). "
        "Give logs of `inspect eval sallyport/...`."
    )


def test_what_is_skipped_is_named_and_the_rest_is_read(tmp_path: Path, logs: list[Path]) -> None:
    for number in range(12):
        (tmp_path / f"{number:02d}.eval").write_text("notes")
    done = call(TINY, str(tmp_path), str(logs[0]))
    assert (done.exit_code, done.stdout) == (0, "4 rows\n")
    first, *_, last = done.stderr.splitlines()
    assert first.startswith(f"skipped {tmp_path}/00.eval: it is damaged")
    assert last == "skipped 2 more logs"
    assert len(done.stderr.splitlines()) == 11


def test_a_fault_of_the_program_is_no_answer(logs: list[Path]) -> None:
    done = call(TINY, str(logs[0]), "--budget", "0")
    assert done.exit_code == 4
    assert "RuntimeError: nobody thought of nought" in done.stderr
