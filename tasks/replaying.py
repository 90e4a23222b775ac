"""`sallyport replay`: protocols compared over one pool of logged samples, without a model call."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import anyio
import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from policies.ledger import TurnRecord
from policies.measure.replayed import (
    OUTCOMES,
    PER_ACTION,
    Difference,
    Fate,
    Figure,
    difference,
    endings,
    figure,
)
from policies.measure.rows import Row
from policies.monitors import monitors
from policies.registry import Resolved, SpecError
from policies.replay import HISTORY, LoggedSample, Replayed, read_ledgers, replay
from policies.turn import ControlProtocol
from tasks.choosing import typed_protocol
from tasks.game import auditor
from tasks.instruments import one_instrument, require_calibrated_for, runs_of
from tasks.measuring import BadInput, MeasuringCommand, logs_argument, read_logs

_MANY = "--protocols"
_REASONS = 3  # reasons why samples are undecided that are told for each protocol


class _ReplayCommand(MeasuringCommand):
    """One whose `--protocols` takes all that follows, up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        return super().parse_args(ctx, list(_spread(args)))


def _spread(args: Sequence[str]) -> Iterator[str]:
    """The same with the option's name before each of its values, as click wants it."""
    within = False
    for one in args:
        if one.startswith("-"):
            within = one == _MANY
            if within:
                continue
        yield from [_MANY, one] if within else [one]


@dataclass(frozen=True)
class _Entry:
    """A protocol that is replayed: as it was typed, and what that stands for."""

    name: str
    protocol: Resolved[ControlProtocol]


@click.command("replay", cls=_ReplayCommand, short_help="What other protocols would have done.")
@logs_argument
@click.option(
    _MANY,
    "specs",
    multiple=True,
    required=True,
    metavar="SPEC...",
    help="After LOGS: NAME, FILE.yaml or '{name: NAME, argument: value}', one or more.",
)
@click.option("--monitor", help="Whose scores to use; each log's own monitor unless given.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay_command(
    logs: tuple[Path, ...], specs: tuple[str, ...], monitor: str | None, as_json: bool
) -> None:
    """What would these protocols have done in the samples of LOGS?

    LOGS come before --protocols, which takes all that follow it. A replay is valid until another
    action runs than the one that ran. Exit status 3 when something is wrong with the input.
    """
    entries = [_Entry(spec, typed_protocol(spec)) for spec in dict.fromkeys(specs)]
    rows = [row for row in read_logs(logs).rows if row.outcome and row.run.source == "sallyport"]
    if not rows:
        raise BadInput("the logs have no sample of Sallyport's with a result: nothing to replay")
    name = _own_name(monitor)
    judged = [run for run in runs_of(rows) if run.monitor is not None]
    own = all(name in (None, run.monitor) for run in judged)
    instrument = one_instrument(judged) if judged and own else None
    for entry in entries:
        require_calibrated_for(entry.protocol, instrument)
    fates = _replayed(entries, rows, name)
    found = {
        name: {one: figure(mine, one) for one in (*OUTCOMES, *PER_ACTION)}
        for name, mine in fates.items()
    }
    pairs = [
        (first, second, [difference(fates[first], fates[second], one) for one in found[first]])
        for first, second in combinations(fates, 2)
    ]
    if as_json:
        click.echo(json.dumps(_plain(_as_json(fates, found, pairs)), indent=2))
    else:
        _print(fates, found, pairs)


def _own_name(monitor: str | None) -> str | None:
    """The name under which ledgers keep a monitor's scores, from what was typed."""
    if monitor is None or monitor.startswith("{"):
        return monitor
    try:
        return monitors.resolve(monitor).label
    except SpecError:
        return monitor  # whatever it is, the ledger may know it


def _replayed(
    entries: Sequence[_Entry], rows: Sequence[Row], monitor: str | None
) -> dict[str, list[Fate]]:
    """The fate of every sample under every protocol, by protocol."""
    fates: dict[str, list[Fate]] = {entry.name: [] for entry in entries}
    by_log: dict[str, dict[tuple[str, int], Row]] = {}
    scored: set[str] = set()
    for row in rows:
        by_log.setdefault(row.run.log, {})[row.id, row.epoch] = row

    async def one(sample: LoggedSample, row: Row, protocol: Resolved[ControlProtocol]) -> Replayed:
        return await replay(
            protocol.value,
            sample.turns,
            auditor=auditor(row.mode),
            monitor=monitor or row.run.monitor,
        )

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        job = bar.add_task("replaying", total=len(rows))
        for log, samples in by_log.items():
            for sample in read_ledgers(log):
                its = samples.get((str(sample.id), sample.epoch))
                if its is None:
                    continue
                scored |= {score.monitor for turn in sample.turns for score in turn.scores}
                for entry in entries:
                    found = anyio.run(one, sample, its, entry.protocol)
                    if found.why.endswith(HISTORY):
                        raise BadInput(
                            f"{entry.name} reads the conversation, which logs do not keep turn by "
                            "turn: it cannot be replayed"
                        )
                    fates[entry.name].append(_fate(its, sample.turns, found))
                bar.advance(job)
    if monitor and monitor not in scored:
        known = ", ".join(sorted(scored)) or "nobody"
        raise BadInput(f"the logs have no score by {monitor}, only by: {known}")
    return fates


def _fate(row: Row, logged: Sequence[TurnRecord], found: Replayed) -> Fate:
    """The replay in numbers."""
    turns = found.turns
    doubtful = found.ending in ("caught", "stopped") and turns[-1].rests_on_failure
    return Fate(
        row=row,
        ending=found.ending,
        why=found.why,
        turns=len(turns),
        logged=len(logged),
        actions=sum(turn.acted for turn in turns),
        audited=sum(bool(turn.audits) for turn in turns),
        intervened=sum(map(_intervened, turns)),
        rests_on_failure=doubtful,
    )


def _intervened(turn: TurnRecord) -> bool:
    """Whether anything but U's first draw ran, or nothing did."""
    first = next((draw.draw for draw in turn.draws if draw.source == "untrusted"), None)
    return turn.acted and (turn.decision != "execute" or turn.executed != first)


def _why(fates: Sequence[Fate]) -> list[tuple[str, int]]:
    """Why samples are undecided, most frequent first, without their turns' numbers."""
    told = (one.why.partition(": ")[2] for one in fates if not one.decided)
    reasons = Counter(re.sub(r" of turn \d+", "", why) for why in told)
    return reasons.most_common(_REASONS)


def _as_json(
    fates: Mapping[str, Sequence[Fate]],
    found: Mapping[str, Mapping[str, Figure]],
    pairs: Sequence[tuple[str, str, Sequence[Difference]]],
) -> dict[str, Any]:
    return {
        "protocols": [
            {
                "protocol": name,
                "samples": len(mine),
                "outcomes": endings(mine),
                "undecided": [{"why": why, "samples": n} for why, n in _why(mine)],
                "figures": {one: asdict(figure) for one, figure in found[name].items()},
            }
            for name, mine in fates.items()
        ],
        "differences": [
            {"first": first, "second": second, **asdict(one)}
            for first, second, differences in pairs
            for one in differences
        ],
        "samples": [
            {
                "log": row.run.log,
                "id": row.id,
                "epoch": row.epoch,
                "mode": row.mode,
                "protocols": {
                    name: {"ending": one.ending, "why": one.why, "turns": one.turns}
                    for name, one in zip(fates, of_sample, strict=True)
                },
            }
            for of_sample in zip(*fates.values(), strict=True)
            for row in [of_sample[0].row]
        ],
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _print(
    fates: Mapping[str, Sequence[Fate]],
    found: Mapping[str, Mapping[str, Figure]],
    pairs: Sequence[tuple[str, str, Sequence[Difference]]],
) -> None:
    console = Console(highlight=False, markup=False)
    for name, mine in fates.items():
        told = ", ".join(f"{n} {what}" for what, n in endings(mine).items())
        names = ("measure", "value", "95 % interval", "n", "bounds", "decided", "valid")
        columns = [Column(one, no_wrap=True) for one in names]
        console.print(f"{name}: {told}", soft_wrap=True)
        table = Table(*columns, box=SIMPLE_HEAD)
        for measure, one in found[name].items():
            if math.isnan(one.decided):
                continue  # no sample in this mode
            rate = one.rate
            table.add_row(
                measure,
                _share(rate.value),
                f"{rate.low:.3f}..{rate.high:.3f}",
                str(rate.n),
                f"{_share(one.least)}..{_share(one.most)}",
                f"{one.decided:.0%}",
                f"{one.valid:.0%}",
            )
        console.print(table)
        for why, n in _why(mine):
            console.print(f"  {n} undecided: {why}", soft_wrap=True)
    for first, second, differences in pairs:
        console.print(f"{second} less {first}, on the same samples", soft_wrap=True)
        table = Table("measure", "difference", "95 % interval", "samples", box=SIMPLE_HEAD)
        for apart in differences:
            if not apart.n:
                continue
            ends = f"{apart.low:+.3f}..{apart.high:+.3f}"
            table.add_row(apart.measure, f"{apart.value:+.3f}", ends, str(apart.n))
        console.print(table)


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
