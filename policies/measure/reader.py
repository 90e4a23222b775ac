"""Logs into rows: what measuring reads, whoever wrote it. The only I/O of measuring.

A log that cannot be read is reported with the reason, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import anyio
from inspect_ai.log import (
    EvalLog,
    list_eval_logs,
    read_eval_log_async,
    read_eval_log_sample_async,
    read_eval_log_sample_summaries_async,
)

from policies.measure import sallyport
from policies.measure.rows import Row, Run

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many logs are done, of how many."""

_LONG = {"messages", "events", "store", "attachments", "output"}


@dataclass(frozen=True)
class Skipped:
    """A log without rows.

    Attributes:
        log: its path, as it was given.
        why: one line.
    """

    log: str
    why: str


@dataclass(frozen=True)
class Reading:
    """What some logs hold.

    Attributes:
        rows: one per sample, in the order of the logs.
        runs: one per log.
        skipped: the logs, or folders, without rows.
    """

    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Log:
    header: EvalLog
    run: Run
    rows: tuple[Row, ...]


def read(paths: Sequence[str | Path], progress: Progress | None = None) -> Reading:
    """Read logs: `.eval` files, Inspect's `.json` ones, and whatever of them lies in folders.

    Args:
        paths: files and folders, searched however deep.
        progress: called after each log.

    Returns:
        Their rows. A log that is named twice counts once; of a log and its retry the retry counts.
    """
    return anyio.run(_read_all, paths, progress)


async def _read_all(paths: Sequence[str | Path], progress: Progress | None) -> Reading:
    found: list[_Log] = []
    skipped: list[Skipped] = []
    files = list(_files(paths, skipped))
    for number, file in enumerate(files, 1):
        one = await _read_one(file)
        if isinstance(one, Skipped):
            skipped.append(one)
        else:
            found.append(one)
        if progress:
            progress(number, len(files))
    rows = tuple(row for one in found for row in one.rows)
    return Reading(rows, tuple(one.run for one in found), tuple(skipped))


def _files(paths: Sequence[str | Path], skipped: list[Skipped]) -> Iterator[str]:
    """Every file once, however it was named."""
    seen: set[Path] = set()
    for path in map(Path, paths):
        inside = [str(path)]
        if path.is_dir():
            inside = sorted(info.name.removeprefix("file://") for info in list_eval_logs(str(path)))
            if not inside:
                skipped.append(Skipped(str(path), "the folder holds no log"))
        for name in inside:
            real = Path(name).resolve()
            if real not in seen:
                seen.add(real)
                yield name


async def _read_one(file: str) -> _Log | Skipped:
    try:
        header = await read_eval_log_async(file, header_only=True)
        if not sallyport.is_ours(header):
            return Skipped(file, "neither Sallyport nor ControlArena wrote it")
        run = sallyport.run_of(header, file)
        rows = []
        for sample in await read_eval_log_sample_summaries_async(file):
            score = sallyport.score_of(sample.scores)
            if score is not None and sallyport.cut(score):
                full = await read_eval_log_sample_async(
                    file, sample.id, sample.epoch, exclude_fields=_LONG
                )
                score = sallyport.score_of(full.scores)
            rows.append(sallyport.row_of(sample, run, score))
    except Exception as error:  # damaged in whatever way: Inspect does not say in which it tells
        return Skipped(file, f"it cannot be read: {_line(error)}")
    return _Log(header, run, tuple(rows))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
