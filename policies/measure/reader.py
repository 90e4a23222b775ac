"""Logs into rows: what measuring reads, whoever wrote it. The only I/O of measuring.

A log that cannot be read is reported with the reason, never left out in silence.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import anyio
from inspect_ai.log import (
    EvalLog,
    EvalSample,
    EvalSampleSummary,
    list_eval_logs,
    read_eval_log_async,
    read_eval_log_sample_async,
    read_eval_log_sample_summaries_async,
)

from policies.measure import control_arena, sallyport
from policies.measure.errors import LogError
from policies.measure.rows import Row, Run

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many logs are done, of how many."""

_BATCH = 10  # logs between two signs of progress
_WORTH = 4  # batches that make up for starting a process
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
        rows: one per sample, in the order of the logs; in each by name and epoch, not by what ended
            first: the same samples are the same rows.
        runs: one per log.
        skipped: the logs, or folders, without rows.
    """

    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class _Log:
    eval_id: str
    task_id: str
    run: Run
    rows: tuple[Row, ...]


def read(paths: Sequence[str | Path], progress: Progress | None = None) -> Reading:
    """Read logs: `.eval` files, Inspect's `.json` ones, and whatever of them lies in folders.

    Args:
        paths: files and folders, searched however deep.
        progress: called after every few logs.

    Returns:
        Their rows. A log that is named twice counts once; of a log and its retry the retry counts.
    """
    skipped: list[Skipped] = []
    files = list(_files(paths, skipped))
    found: list[_Log] = []
    done = 0
    for batch in _batches([files[at : at + _BATCH] for at in range(0, len(files), _BATCH)]):
        skipped += [one for one in batch if isinstance(one, Skipped)]
        found += [one for one in batch if isinstance(one, _Log)]
        done += len(batch)
        if progress:
            progress(done, len(files))
    logs = list(_once(found, skipped))
    rows = tuple(row for log in logs for row in log.rows)
    return Reading(rows, tuple(log.run for log in logs), tuple(skipped))


def _batches(batches: Sequence[Sequence[str]]) -> Iterator[list[_Log | Skipped]]:
    """What the logs hold, batch by batch in this order; many are read by all processors at once."""
    workers = min(len(batches) // _WORTH, processors())
    if workers < 2:
        yield from map(_read_batch, batches)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        yield from pool.map(_read_batch, batches)


def processors() -> int:
    """How many processes may be forked to share the work.

    A fork takes along the locks that other threads hold, and nobody in it would ever open them; on
    macOS the system has such threads of its own.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return 1
    return len(os.sched_getaffinity(0))


def _read_batch(files: Sequence[str]) -> list[_Log | Skipped]:
    found: list[_Log | Skipped] = []

    async def each() -> None:
        for file in files:
            found.append(await _read_one(file))

    anyio.run(each)  # returns nothing: asyncio would write out all of it, for its own log
    return found


def _once(found: Sequence[_Log], skipped: list[Skipped]) -> Iterator[_Log]:
    """Every evaluation once: not its copies, nor what a retry has taken over from it."""
    last: dict[str, _Log] = {}
    for log in found:
        kept = last.setdefault(log.task_id, log)
        if log.run.created > kept.run.created:
            last[log.task_id] = log
    for log in found:
        kept = last[log.task_id]
        if log is kept:
            yield log
        elif log.eval_id == kept.eval_id:
            skipped.append(Skipped(log.run.log, f"the same evaluation as {kept.run.log}"))
        else:
            skipped.append(Skipped(log.run.log, f"it was tried again: {kept.run.log}"))


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
        if sallyport.is_ours(header):
            run, rows = await _our_rows(file, header)
        elif control_arena.is_theirs(header):
            run, rows = await _their_rows(file, header)
        else:
            return Skipped(file, "neither Sallyport nor ControlArena wrote it")
    except LogError as error:
        return Skipped(file, str(error))
    except Exception as error:  # Inspect does not say what it raises on damaged logs
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        return Skipped(file, f"it is damaged, cut short or no log of Inspect ({told})")
    if not rows:
        return Skipped(file, f"it holds no finished sample (its status is {header.status})")
    rows.sort(key=lambda row: (row.id, row.epoch))
    return _Log(header.eval.eval_id, header.eval.task_id or file, run, tuple(rows))


async def _our_rows(file: str, header: EvalLog) -> tuple[Run, list[Row]]:
    run = sallyport.run_of(header, file)
    rows = []
    for sample in await read_eval_log_sample_summaries_async(file):
        score = sallyport.score_of(sample.scores)
        if score is not None and sallyport.cut(score):
            score = sallyport.score_of((await _in_full(file, sample, _LONG)).scores)
        rows.append(sallyport.row_of(sample, run, score))
    return run, rows


async def _their_rows(file: str, header: EvalLog) -> tuple[Run, list[Row]]:
    run = control_arena.run_of(header, file)
    mode = (header.eval.metadata or {})["mode"]
    return run, [
        control_arena.row_of(await _in_full(file, sample, _LONG - {"messages"}), run, mode)
        for sample in await read_eval_log_sample_summaries_async(file)
    ]


async def _in_full(file: str, sample: EvalSampleSummary, but: set[str]) -> EvalSample:
    return await read_eval_log_sample_async(file, sample.id, sample.epoch, exclude_fields=but)
