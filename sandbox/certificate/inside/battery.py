"""Runs the probes and prints one JSON line for each."""

from __future__ import annotations

import json
import os
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
from sandbox.certificate.inside.kernel import CALLS, in_children
from sandbox.certificate.inside.setup import Neighbour, Outcome, Probe, Setup, Table, failed

_AT_ONCE = 24  # network probes wait for answers most of the time
_LONGEST = 1000  # characters of a detail; lines of two processes must not mix in the pipe
_STDOUT = 1

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

_USE_UP = ("resources.processes",)  # what every other probe needs too
_LEAVE_TRACES = {*_USE_UP, "resources.disk", "resources.shared_memory"}

QUIET = frozenset(PROBES.keys() - _LEAVE_TRACES - (network.PROBES.keys() - network.QUIET))
"""Probes that leave nothing where the agent could see it, as long as they do not fail.

They make no file and no connection; what they send are single datagrams.
"""


def main(told: dict[str, Any], wanted: list[str] | None = None) -> None:
    """Run the probes and print `{"mark", "probe", "verdict", "detail"}` for each.

    Args:
        told: The fields of `Setup`.
        wanted: Names of the probes to run; all when None.
    """
    neighbour = told.pop("neighbour", None)
    setup = Setup(**told, neighbour=Neighbour(**neighbour) if neighbour else None)
    chosen = {name: PROBES[name] for name in (PROBES if wanted is None else wanted)}

    def show(name: str, outcome: Outcome | None = None) -> None:
        verdict, detail = outcome or _try(chosen[name], setup)
        told = {"mark": setup.mark, "probe": name, "verdict": verdict, "detail": detail[:_LONGEST]}
        os.write(_STDOUT, json.dumps(told).encode() + b"\n")

    # In a process of its own, meanwhile: a fork among threads may hang.
    waiting = os.fork()
    if waiting == 0:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            pool.map(show, network.PROBES.keys() & chosen.keys())
        os._exit(0)
    calls = {name: CALLS[probe] for name, probe in chosen.items() if probe in CALLS}
    for name, outcome in in_children(calls).items():
        show(name, outcome)
    for name in chosen.keys() - network.PROBES.keys() - calls.keys() - set(_USE_UP):
        show(name)
    os.waitpid(waiting, 0)
    for name in filter(chosen.__contains__, _USE_UP):
        show(name)


def _try(probe: Probe, setup: Setup) -> Outcome:
    try:
        return probe(setup)
    except Exception as error:  # a probe that breaks has proved nothing
        return failed(f"the probe broke: {error!r}")
