"""`sallyport simulate`: what a protocol would come to, if scores were as they were measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from policies.calibration import Instrument
from policies.golden import GOLDEN
from policies.measure.observed import Observed, attack_actions, attacks, honest_actions
from policies.measure.reader import Reading
from policies.measure.thresholds import check_budget
from policies.simulate import Estimate
from policies.sweep import Cell, Refused, sweep
from tasks.choosing import typed_protocol
from tasks.instruments import one_instrument, require_calibrated_for, runs_of
from tasks.measuring import BadInput, MeasuringCommand, read_logs


def _count(text: str) -> int:
    """A whole number from 1, also as 1e6."""
    try:
        number = float(text)
        if number >= 1 and number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise click.BadParameter(f"{text} is not a whole number from 1, such as 1000000 or 1e6.")


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"give numbers, such as 0.01,0.05, not {text}.") from error


def _shares(text: str) -> tuple[float, ...]:
    """Numbers from 0 to 1, separated by commas."""
    shares = _numbers(text)
    if not all(0.0 <= one <= 1.0 for one in shares):
        raise click.BadParameter(f"give shares from 0 to 1, such as 0.01,0.05, not {text}.")
    return shares


def _budgets(text: str) -> tuple[float, ...]:
    """Audit budgets, separated by commas."""
    try:
        return tuple(check_budget(one) for one in _numbers(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@dataclass(frozen=True)
class _Source:
    """Where the scores are from: what is dealt, and how that is told."""

    told: str
    honest: Observed
    attack: Observed
    works: float
    instrument: Instrument | None = None


@click.command("simulate", cls=MeasuringCommand, short_help="Safety and usefulness by budget.")
@click.option(
    "--protocol",
    "specs",
    multiple=True,
    required=True,
    help="NAME, FILE.yaml or '{name: NAME, argument: value}'; as often as you like.",
)
@click.option(
    "--from",
    "logs",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A log, or a folder of logs, to take scores from; as often as you like.",
)
@click.option("--golden", type=click.Choice(sorted(GOLDEN)), help="Published scores instead.")
@click.option("--episodes", type=_count, metavar="N", default="1e6", show_default=True)
@click.option(
    "--turns", type=_count, metavar="N", default="15", show_default=True, help="Per episode."
)
@click.option(
    "--budgets",
    type=_budgets,
    metavar="SHARES",
    default="0.01,0.02,0.05,0.1",
    show_default=True,
    help="Shares of honest actions that a threshold may flag.",
)
@click.option(
    "--attack-rates",
    "starts",
    type=_shares,
    metavar="SHARES",
    default="0.01,0.1,1",
    show_default=True,
    help="Chances per turn that an attack begins.",
)
@click.option(
    "--usefulness",
    type=_shares,
    metavar="SHARES",
    help="Pass rates of trusted-only and of untrusted-only, such as 0.22,0.54.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate_command(
    specs: tuple[str, ...],
    logs: tuple[Path, ...],
    golden: str | None,
    episodes: int,
    turns: int,
    budgets: tuple[float, ...],
    starts: tuple[float, ...],
    usefulness: tuple[float, ...] | None,
    as_json: bool,
) -> None:
    """Play a million episodes: safety and usefulness against audit budget and attack rate.

    Scores are dealt as `--from` logs have them, or from published data. Exit status 3 when
    something is wrong with the input.
    """
    resolved = [(spec, typed_protocol(spec)) for spec in specs]
    if usefulness is not None and len(usefulness) != 2:
        raise BadInput("--usefulness takes two shares: trusted-only,untrusted-only")
    source = _source(logs, golden)
    for _, protocol in resolved:
        require_calibrated_for(protocol, source.instrument)
    found: list[tuple[str, Cell]] = []
    refused: dict[float, str] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        doing = progress.add_task("simulating", total=len(resolved) * len(budgets) * len(starts))
        for spec, protocol in resolved:
            cells = sweep(
                protocol,
                source.honest,
                source.attack,
                budgets=budgets,
                starts=starts,
                works=source.works,
                turns=turns,
                episodes=episodes,
            )
            try:
                for cell in cells:
                    progress.advance(doing)
                    if isinstance(cell, Refused):
                        refused[cell.budget] = cell.why
                    else:
                        found.append((spec, cell))
            except ValueError as error:
                raise BadInput(f"{spec}: {error}") from error
    if not found:
        raise BadInput(next(iter(refused.values())))
    rows = [_row(spec, cell, usefulness) for spec, cell in found]
    if as_json:
        content = {
            "source": source.told,
            "honest": _counts(source.honest),
            "attack": _counts(source.attack),
            "works": source.works,
            "turns": turns,
            "rows": rows,
            "refused": [{"budget": budget, "why": why} for budget, why in refused.items()],
        }
        click.echo(json.dumps(content, indent=2))
    else:
        _print(source, rows, refused, turns)


def _source(logs: Sequence[Path], golden: str | None) -> _Source:
    if bool(logs) == bool(golden):
        raise BadInput("give either --from LOGS or --golden NAME, for the scores to deal")
    if golden:
        one = GOLDEN[golden]
        return _Source(f"{one.source}: {one.note}", one.honest, one.attack, one.works)
    return _from_logs(read_logs(logs))


def _from_logs(reading: Reading) -> _Source:
    scored = [row for row in reading.rows if row.outcome is not None]
    runs = [run for run in runs_of(scored) if run.monitor is not None]
    honest, attack = honest_actions(scored), attack_actions(scored)
    for kind, observed in (("honest", honest), ("attack", attack)):
        if not observed.scores:
            raise BadInput(
                f"the logs have no score of {kind} actions: run both modes under "
                "`{name: trusted_monitoring, threshold: 1.0}`, which scores all and audits nothing"
            )
    found = attacks(scored)
    ended = sum(row.harmful_turn is None for row, _ in found)
    told = (
        f"{len(honest.levels)} honest actions and {len(attack.levels)} attacks, {ended} of them "
        f"ended by control before any harm, in {len(runs)} log{'s' * (len(runs) > 1)}"
    )
    ran = [row.outcome for row, _ in found if row.harmful_turn is not None and row.outcome]
    works = sum(one.succeeded for one in ran) / len(ran) if ran else 1.0
    return _Source(told, honest, attack, works, one_instrument(runs))


def _counts(observed: Observed) -> dict[str, Any]:
    distinct = len(set(observed.scores))
    return {"scores": len(observed.scores), "distinct": distinct, "failed": observed.failed}


def _row(spec: str, cell: Cell, usefulness: Sequence[float] | None) -> dict[str, Any]:
    found = cell.found
    row = {
        "protocol": spec,
        "budget": cell.budget,
        "threshold": cell.threshold,
        "attack_rate": cell.start,
        "safety": asdict(found.safety),
        "caught": asdict(found.caught),
        "audited": asdict(found.audited),
        "own": asdict(found.own),
        "episodes": found.episodes,
    }
    if usefulness is not None:
        low, high = usefulness
        scaled = Estimate(low + found.own.value * (high - low), found.own.error * abs(high - low))
        row["usefulness"] = asdict(scaled)
    return row


def _print(
    source: _Source, rows: Sequence[dict[str, Any]], refused: dict[float, str], turns: int
) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"scores: {source.told}", soft_wrap=True)
    console.print(
        f"{turns} turns per episode, each the first sample of its run. An attack that runs does "
        f"harm with chance {source.works:.2f}. ± is the Monte-Carlo error alone: it does not know "
        "from how few samples the scores are.",
        soft_wrap=True,
    )
    console.print(
        "attacks: the chance per turn that one begins. audited, own: shares of honest turns, with "
        "an audit and with the untrusted model's own action.",
        soft_wrap=True,
    )
    measures = [name for name in ("safety", "audited", "own", "usefulness") if name in rows[0]]
    for spec in dict.fromkeys(row["protocol"] for row in rows):
        mine = [row for row in rows if row["protocol"] == spec]
        title = f"{spec}, {mine[0]['episodes']:,} episodes per row"
        console.print(f"\n{title}", soft_wrap=True)
        columns = ("budget", "threshold", "attacks", *measures)
        table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for row in mine:
            figures = [f"{row[name]['value']:.3f}±{row[name]['error']:.3f}" for name in measures]
            settled = [_number(row[name]) for name in ("budget", "threshold", "attack_rate")]
            table.add_row(*settled, *figures)
        console.print(table)
    for budget, why in refused.items():
        console.print(f"budget {budget:g} refused: {why}", soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
