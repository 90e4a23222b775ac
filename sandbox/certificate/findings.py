"""What the probes said, held against what the gateway recorded and the canaries saw."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from sandbox.certificate.inside import network
from sandbox.certificate.inside.setup import FAILED, OK
from sandbox.certificate.inside.wire import tag_of
from sandbox.gateway.capture import Capture

Verdict: TypeAlias = Literal["ok", "failed", "not applicable"]

GROUPS = ("priv", "fs", "ns", "syscalls", "sockets", "net", "resources", "leaks")
"""The groups of probes, in the order in which people read them."""

HOST_PROBES = ("net.capture", "net.canary_unvisited")
"""Probes that are made in the harness."""


@dataclass(frozen=True)
class Probe:
    """One thing that was tried.

    Attributes:
        name: The group, a dot, and what was tried.
        verdict: "ok" (closed), "failed" (open) or "not applicable" (`detail` says why).
        detail: One line.
    """

    name: str
    verdict: Verdict
    detail: str

    @property
    def group(self) -> str:
        """One of `GROUPS`."""
        return self.name.partition(".")[0]


def reported(output: str, mark: str) -> dict[str, Probe]:
    """The probes' own lines; whatever else was printed is passed over.

    Args:
        output: What the battery printed.
        mark: The run's: a line without it is somebody else's.
    """
    found = {}
    for line in output.splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # not ours
            continue
        if not isinstance(said, dict) or said.get("mark") != mark:
            continue
        if said["verdict"] in get_args(Verdict):
            detail = " ".join(str(said["detail"]).split())
            found[said["probe"]] = Probe(said["probe"], said["verdict"], detail)
    return found


def unrecorded(probes: Mapping[str, Probe], capture: Capture, mark: str) -> tuple[str, ...]:
    """The probes that were answered although the capture has nothing of them."""
    sent = b"".join(stream.out + b"\0" for stream in capture.streams)
    return tuple(
        name
        for name in network.RECORDED
        if name in probes and probes[name].verdict == OK and tag_of(mark, name).encode() not in sent
    )


def probe_streams(capture: Capture, mark: str) -> tuple[int, ...]:
    """The ids of the streams that the probes made."""
    return tuple(s.id for s in capture.streams if mark.encode() in s.out)


def judge(
    said: Mapping[str, Probe],
    expected: Collection[str],
    capture: Capture | None,
    visits: Iterable[bytes],
    mark: str,
) -> tuple[Probe, ...]:
    """Every probe's final verdict, sorted by group and name.

    Args:
        said: What the probes in the box said.
        expected: The probes that had to speak; a silent one failed.
        capture: The gateway's record; None when it could not be read or was tampered with.
        visits: What came to the host's canaries.
        mark: The run's.
    """
    probes = {
        name: said.get(name) or Probe(name, "failed", "it did not report") for name in expected
    }
    seen = b"\0".join(visit for visit in visits if mark.encode() in visit)
    for name in expected:
        if tag_of(mark, name).encode() in seen:
            probes[name] = Probe(name, "failed", "its packets came to the host")
    if capture is None:
        probes["net.capture"] = Probe("net.capture", "failed", "it cannot be read, or was changed")
    else:
        for name in unrecorded(probes, capture, mark):
            probes[name] = Probe(name, "failed", "answered, but the gateway has no record of it")
        probes["net.capture"] = _capture_probe(capture, mark)
    probes["net.canary_unvisited"] = (
        Probe("net.canary_unvisited", "failed", "packets of the probes came to the host")
        if seen
        else Probe("net.canary_unvisited", "ok", "nothing of the probes came to the host")
    )
    return tuple(sorted(probes.values(), key=lambda p: (GROUPS.index(p.group), p.name)))


def _capture_probe(capture: Capture, mark: str) -> Probe:
    name = "net.capture"
    streams = len(probe_streams(capture, mark))
    if capture.truncated_by_limit:
        return Probe(name, "failed", "the capture is full")
    if not streams:
        return Probe(name, "failed", "the gateway recorded nothing of the probes")
    return Probe(name, "ok", f"its chain holds; {streams} streams of the probes are in it")


def failures(probes: Iterable[Probe]) -> tuple[Probe, ...]:
    """What is open."""
    return tuple(probe for probe in probes if probe.verdict == FAILED)
