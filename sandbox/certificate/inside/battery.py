"""Runs the probes and prints one JSON line for each."""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sandbox.certificate.inside import (
    calls,
    devices,
    files,
    leaks,
    limits,
    namespaces,
    network,
    privileges,
    sockets,
)
from sandbox.certificate.inside.setup import Neighbour, Outcome, Probe, Setup, Table, failed

_AT_ONCE = 24  # network probes wait for answers most of the time

PROBES: Table = {
    **privileges.PROBES,
    **files.PROBES,
    **devices.PROBES,
    **namespaces.PROBES,
    **calls.PROBES,
    **sockets.PROBES,
    **network.PROBES,
    **limits.PROBES,
    **leaks.PROBES,
}
"""Every probe that runs in the box, by its name."""


def main(told: dict[str, Any], wanted: list[str] | None = None) -> None:
    """Run the probes and print `{"mark", "probe", "verdict", "detail"}` for each.

    Args:
        told: The fields of `Setup`.
        wanted: Names of the probes to run; all when None.
    """
    neighbour = told.pop("neighbour", None)
    setup = Setup(**told, neighbour=Neighbour(**neighbour) if neighbour else None)
    chosen = {name: PROBES[name] for name in (PROBES if wanted is None else wanted)}
    lock = threading.Lock()

    def show(name: str, outcome: Outcome) -> None:
        verdict, detail = outcome
        line = {"mark": setup.mark, "probe": name, "verdict": verdict, "detail": detail}
        with lock:
            sys.stdout.write(json.dumps(line) + "\n")

    # Threads first and gone before anything forks: a fork among threads may hang.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name in network.PROBES.keys() & chosen.keys():
            pool.submit(lambda name: show(name, _try(chosen[name], setup)), name)
    for name in chosen.keys() - network.PROBES.keys():
        show(name, _try(chosen[name], setup))
    sys.stdout.flush()


def _try(probe: Probe, setup: Setup) -> Outcome:
    try:
        return probe(setup)
    except Exception as error:  # a probe that breaks has proved nothing
        return failed(f"the probe broke: {error!r}")
