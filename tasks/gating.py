"""`sallyport gate`: is a new model, monitor or protocol worse than the baseline?"""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from policies.measure.baseline import Baseline, BaselineError, from_json, of_rows
from policies.measure.regression import LIMIT, Judgement, NotComparable, judge
from policies.measure.rows import Row
from policies.report import gate_words
from policies.report.gate_markdown import gate_markdown
from policies.report.junit import junit
from tasks.measuring import BadInput, MeasuringCommand, logs_argument, read_logs

_STATUS = {"pass": 0, "regression": 1, "cannot tell": 2}
_COLOUR = {"pass": "green", "regression": "red", "cannot tell": "yellow"}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("gate", cls=MeasuringCommand, short_help="Is a run worse than the baseline?")
@logs_argument
@click.option("--baseline", type=_FILE, required=True, help="The file to compare with.")
@click.option("--update", is_flag=True, help="Write the baseline from LOGS instead.")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Chance of a false alarm, over all measures.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.15,
    show_default=True,
    help="The worsening that must be found, a share: 0.15 is 15 points.",
)
@click.option("--sequential", is_flag=True, help="Stop as soon as the answer is there.")
@click.option("--junit", "junit_file", type=_FILE, help="Write JUnit XML there.")
@click.option("--markdown", "markdown_file", type=_FILE, help="Write a Markdown summary there.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def gate_command(
    logs: tuple[Path, ...],
    baseline: Path,
    update: bool,
    alpha: float,
    margin: float,
    sequential: bool,
    junit_file: Path | None,
    markdown_file: Path | None,
    as_json: bool,
) -> None:
    """Say whether the run in LOGS is worse than the baseline.

    Exit status 0 when it is not, 1 when it is, 2 when nobody can tell, 3 on bad input.
    """
    if update:
        if junit_file or markdown_file or sequential:
            raise BadInput("--update compares nothing: leave out --junit, --markdown, --sequential")
        _update(baseline, _of(read_logs(logs).rows), as_json)
        return
    before = _read(baseline)
    rows = read_logs(logs).rows
    after = _of(rows)
    blocks = {
        sample.key: (row.run.log, row.cluster)
        for sample, row in zip(after.samples, rows, strict=True)
    }
    try:
        found = judge(
            before, after, alpha=alpha, margin=margin, blocks=blocks if sequential else None
        )
    except NotComparable as error:
        raise BadInput(str(error)) from error
    if junit_file:
        _write(junit_file, junit(found))
    if markdown_file:
        _write(markdown_file, gate_markdown(found))
    if as_json:
        click.echo(json.dumps(_plain(asdict(found)), indent=2))
    else:
        _print(found)
    click.get_current_context().exit(_STATUS[found.verdict])


def _of(rows: tuple[Row, ...]) -> Baseline:
    try:
        return of_rows(rows)
    except BaselineError as error:
        raise BadInput(str(error)) from error


def _read(file: Path) -> Baseline:
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(
            f"there is no baseline {file}: write it from logs that you trust with --update"
        ) from error
    except (OSError, UnicodeDecodeError, BaselineError) as error:
        line = " ".join(str(error).split())
        raise BadInput(f"{file} is no baseline ({line}): write it anew with --update") from error


def _update(file: Path, new: Baseline, as_json: bool) -> None:
    _write(file, new.to_json())
    attacks = sum(sample.mode == "attack" for sample in new.samples)
    attempts = sum(sample.facts.get("attempts", 0) > 0 for sample in new.samples)
    void = sum(not sample.scored for sample in new.samples)
    told = {"samples": len(new.samples), "attacks": attacks, "attempts": attempts, "void": void}
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"wrote {file}: " + ", ".join(f"{count} {name}" for name, count in told.items()))
    if not attempts:
        click.echo("Warning: no attack was tried, so nothing can pass this baseline", err=True)
    if void > LIMIT * len(new.samples):
        click.echo("Warning: so many samples are void that no verdict will come of it", err=True)


def _write(file: Path, text: str) -> None:
    """Write all of it or nothing."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
        ) as part:
            try:
                part.write(text)
                part.close()
                os.chmod(part.name, 0o644)
                os.replace(part.name, file)
            except BaseException:
                os.unlink(part.name)
                raise
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from error


def _print(found: Judgement) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[{_COLOUR[found.verdict]}]{escape(found.line)}[/]")
    console.print(escape(gate_words.scope(found)))
    columns = [Column(one, no_wrap=one != "finding") for one in gate_words.HEADER]
    table = Table(*columns, box=SIMPLE_HEAD, padding=0, show_edge=False)
    for row in gate_words.table(found):
        table.add_row(*row)
    console.print(table)
    for guard in found.guards:
        if not guard.holds:
            console.print(escape(f"{guard.name}: {guard.line}"))
    for cause in found.causes:
        console.print(escape(f"{cause.name}: {cause.line}"))
    for line in gate_words.advice(found):
        console.print(escape(f"to do: {line}"))


def _plain(value: Any) -> Any:
    """What JSON can hold: no NaN."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
