"""`sallyport report`: what some logs come to, as one page."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from policies.measure.reader import processors
from policies.measure.rows import Row, Run
from policies.measure.thresholds import check_budget
from policies.report.build import Each, build
from policies.report.markdown import markdown
from policies.report.page import page
from tasks.measuring import BadInput, MeasuringCommand, logs_argument, read_logs


def _budget(context: click.Context, option: click.Parameter, value: float) -> float:
    try:
        return check_budget(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@click.command("report", cls=MeasuringCommand, short_help="One page on what logs come to.")
@logs_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The page to write.",
)
@click.option(
    "--markdown",
    "summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the main figures as Markdown too, for a CI summary.",
)
@click.option(
    "--budget",
    type=float,
    default=0.01,
    show_default=True,
    callback=_budget,
    help="Share of honest units that may be audited: 0.01 for 1 %.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every figure as JSON.")
def report_command(
    logs: tuple[Path, ...], output: Path, summary: Path | None, budget: float, as_json: bool
) -> None:
    """Write what the samples of LOGS (files and folders) come to as one page that works offline.

    Exit status 0 when it is written, 3 when something is wrong with the input.
    """
    console = Console(stderr=True)
    reading = read_logs(logs)
    rows = _placed(reading.rows)
    with _shared() as each, console.status("measuring"):
        data = build(
            rows,
            [(one.log, one.why) for one in reading.skipped],
            budget=budget,
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            versions={name: version(name) for name in ("sallyport", "inspect_ai", "numpy")},
            digests={log: _digest(log) for log in sorted({row.run.log for row in rows})},
            each=each,
        )
    _write(output, page(data))
    if summary is not None:
        _write(summary, markdown(data))
    if as_json:
        click.echo(json.dumps(_plain(data), indent=2))
    else:
        console.print(data.verdict[0], markup=False, highlight=False)
        click.echo(f"{output}")


@contextmanager
def _shared() -> Iterator[Each]:
    """A `map` over all processors, whose processes are forked before any thread is started."""
    workers = processors()
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        list(pool.map(abs, range(workers)))
        yield pool.map


def _placed(rows: Sequence[Row]) -> list[Row]:
    """The rows with their logs' absolute paths, which links need."""
    runs: dict[str, Run] = {}
    for row in rows:
        if row.run.log not in runs:
            place = str(Path(row.run.log).absolute())
            runs[row.run.log] = dataclasses.replace(row.run, log=place)
    return [dataclasses.replace(row, run=runs[row.run.log]) for row in rows]


def _digest(log: str) -> str:
    with open(log, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}") from error


def _plain(value: Any) -> Any:
    """Data as JSON has it: what is not a number, or has no end, is null."""
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Set):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
