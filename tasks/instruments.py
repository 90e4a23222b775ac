"""Scores of one monitor are not those of another: what is pooled must be of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from policies.calibration import Instrument, calibrated, instrument_of
from policies.measure.rows import Row, Run
from policies.registry import Resolved
from tasks.measuring import BadInput


def runs_of(rows: Iterable[Row]) -> list[Run]:
    """The runs that some samples are of, one per log, in their order."""
    return list({row.run.log: row.run for row in rows}.values())


def one_instrument(runs: Sequence[Run]) -> Instrument:
    """What gave the scores of all runs, of which there is at least one.

    Raises:
        BadInput: nothing did, or not the same in all.
    """
    first: Instrument | None = None
    for run in runs:
        instrument = instrument_of(run)
        if instrument is None:
            raise BadInput(
                f"{run.log}: its protocol asked no monitor: run with "
                "-T protocol='{name: trusted_monitoring, threshold: 1.0}'"
            )
        first = first or instrument
        if differs := first.difference(instrument):
            raise BadInput(f"{runs[0].log} has {differs} as {run.log}: give logs of one at a time")
    assert first is not None
    return first


def require_calibrated_for(protocol: Resolved[Any], instrument: Instrument | None) -> None:
    """Refuse a protocol with a threshold that was calibrated for something else.

    Args:
        protocol: the protocol.
        instrument: what gave the scores; None when that is not known.

    Raises:
        BadInput: it has one.
    """
    for one in calibrated(protocol):
        if instrument is None:
            raise BadInput(
                f"{one.calibration} is for one monitor, and what gave these scores is not known: "
                "give a number"
            )
        if why := one.why_not(instrument):
            raise BadInput(why)
