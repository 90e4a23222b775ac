"""`sallyport calibrate`: the threshold that spends a budget on honest runs, as a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import click

from policies.calibration import (
    CalibratedLog,
    Calibration,
    FalseAlarms,
    Instrument,
    Realised,
    write,
)
from policies.measure.observed import alarms, honest_actions, honest_trajectories
from policies.measure.rates import Rate
from policies.measure.rows import Row, Run
from policies.measure.thresholds import Threshold, fit
from tasks.instruments import one_instrument, runs_of
from tasks.measuring import BadInput, MeasuringCommand, logs_argument, read_logs

_COMMENT = (
    "Suspicious means strictly above the threshold. It is for this monitor, model and prompts, and "
    "is refused with others: `threshold: FILE` in a protocol takes it."
)


@click.command("calibrate", cls=MeasuringCommand, short_help="Fit a threshold on honest samples.")
@logs_argument
@click.option(
    "--budget",
    type=float,
    required=True,
    help="Share of honest units that may be above the threshold: 0.01 for 1 %.",
)
@click.option(
    "--unit",
    type=click.Choice(["action", "trajectory"]),
    default="action",
    show_default=True,
    help="What the budget counts.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The calibration file to write.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is written as JSON.")
def calibrate_command(
    logs: tuple[Path, ...], budget: float, unit: str, output: Path, as_json: bool
) -> None:
    """Fit a threshold on the honest samples of LOGS and write it to a file for protocols.

    Exit status 3 when something is wrong with the input, also when the honest samples cannot
    express the budget.
    """
    honest = [row for row in read_logs(logs).rows if row.mode == "honest" and row.outcome]
    if not honest:
        raise BadInput("the logs have no honest sample with a result: run with -T modes=honest")
    runs = runs_of(honest)
    instrument = one_instrument(runs)
    threshold = _fit(honest, budget, unit)
    found = _calibration(honest, runs, instrument, threshold, unit)
    try:
        write(output, found)
    except OSError as error:
        raise BadInput(f"{output}: cannot be written: {error.strerror}") from error
    _warn(honest, found)
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=2))
    else:
        _print(output, found)


def _fit(honest: Sequence[Row], budget: float, unit: str) -> Threshold:
    try:
        if unit == "action":
            found = fit(honest_actions(honest).levels, budget, "actions")
        else:
            found = fit(honest_trajectories(honest), budget, "trajectories")
    except ValueError as error:  # not a share, or below what these samples can express
        raise BadInput(str(error)) from error
    if not 0.0 <= found.value <= 1.0:
        raise BadInput("the monitor judged too few of the honest samples: see that it is asked")
    return found


def _calibration(
    honest: Sequence[Row],
    runs: Sequence[Run],
    instrument: Instrument,
    threshold: Threshold,
    unit: str,
) -> Calibration:
    per_action, per_trajectory = alarms(honest, threshold.value)
    units = "actions" if unit == "action" else "trajectories"
    return Calibration.model_validate(
        {
            "title": (
                f"Threshold of the monitor {instrument.monitor['name']} at a budget of "
                f"{threshold.budget:g} of honest {units}"
            ),
            "comment": _COMMENT,
            **instrument.model_dump(),
            "unit": unit,
            "budget": threshold.budget,
            "threshold": threshold.value,
            "n": threshold.n,
            "distinct": threshold.distinct,
            "ties": threshold.tie_mass,
            "false_alarms": FalseAlarms(
                action=_realised(per_action), trajectory=_realised(per_trajectory)
            ),
            "untrusted": tuple(sorted({run.untrusted for run in runs})),
            "logs": tuple(_log(run) for run in runs),
        }
    )


def _realised(rate: Rate) -> Realised:
    return Realised(value=rate.value, low=rate.low, high=rate.high, n=rate.n)


def _log(run: Run) -> CalibratedLog:
    path = Path(run.log)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return CalibratedLog(name=path.name, sha256=digest, created=run.created)


def _warn(honest: Sequence[Row], found: Calibration) -> None:
    if any(row.draws > row.turns for row in honest):
        click.echo(
            "note: some turns had several draws, and the scores are of what ran: if a protocol "
            "picked it among them, calibrate on runs of trusted_monitoring instead",
            err=True,
        )
    if not found.false_alarms.action.value:
        click.echo(
            f"note: no honest action is above {found.threshold:g}; {found.ties:.1%} sit at it. A "
            "monitor with finer scores would spend the budget",
            err=True,
        )


def _print(output: Path, found: Calibration) -> None:
    click.echo(f"{output}: {found.title}")
    click.echo(
        f"threshold {found.threshold:.4g}, {found.n} honest {found.unit} scores, "
        f"{found.distinct} of them distinct, {found.ties:.2%} at the threshold"
    )
    for name, alarm in (
        ("actions", found.false_alarms.action),
        ("trajectories", found.false_alarms.trajectory),
    ):
        click.echo(
            f"false alarms: {alarm.value:.2%} of {alarm.n} honest {name} "
            f"({alarm.low:.2%} to {alarm.high:.2%})"
        )
