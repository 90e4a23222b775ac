"""No sample runs in a kind of cell that is not proved closed, before the run and while it lasts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import anyio
from anyio.lowlevel import RunVar
from inspect_ai.log import transcript
from inspect_ai.solver import TaskState
from inspect_ai.util import StoreModel, sandbox, store_as
from pydantic import Field

from sandbox.cell import Provider, agent_box
from sandbox.certify import Certificate, certify_sample
from sandbox.gateway.capture import Capture

SHARE = 0.1
"""Of all samples, how many are probed in their own cells; the first of a run always is."""
_SOURCE = "sallyport/certificate"
_RANGE = 1 << 32


class CellOpenError(RuntimeError):
    """A probe found a way out, or something that should not be there; one line names it."""


class Containment(StoreModel):
    """What is known about one sample's cell.

    Attributes:
        streams: Streams of its capture that the probes made, which are not the agent's doing.
    """

    streams: list[int] = Field(default_factory=list)


@dataclass
class _Run:
    """One evaluation: they have an event loop each.

    Attributes:
        certificates: Of each kind of cell, from before its first sample.
        hole: What was found open while it lasted.
    """

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    certificates: dict[Provider, Certificate] = field(default_factory=dict)
    hole: str | None = None


_run: RunVar[_Run] = RunVar("containment")


def _this_run() -> _Run:
    try:
        return _run.get()
    except LookupError:
        run = _Run()
        _run.set(run)
        return run


def is_probed(sample: int | str, epoch: int) -> bool:
    """Whether a sample is of the share that is probed: the same ones in every run."""
    digest = hashlib.sha256(f"{sample}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < SHARE * _RANGE


async def require_closed_cell(provider: Provider, state: TaskState) -> bool:
    """Prove the kind of cell closed before a run's first sample, and some samples' own cells.

    To be called when a sample starts, before anything of its world is there. The whole
    certificates are in the transcripts of the samples that were probed, with the others the digest.

    Returns:
        Whether the sample may go on. When its own cell, or the one started beside it, is open, it
        may not: it is void, and every sample that starts later is refused.

    Raises:
        CellOpenError: the kind of cell is open; no sample may run.
        CertifyError, CellError: the probes could not be run.
    """
    run = _this_run()
    async with run.lock:
        if run.hole is not None:
            raise CellOpenError(run.hole)
        certificate = run.certificates.get(provider)
        if certificate is None:
            run.certificates[provider] = await _before_the_run(provider, run)
            return run.hole is None
    transcript().info({"digest": certificate.digest, "key": certificate.key}, source=_SOURCE)
    if is_probed(state.sample_id, state.epoch):
        await _sample(provider, run)
    return run.hole is None


async def _before_the_run(provider: Provider, run: _Run) -> Certificate:
    """Certify a fresh cell, and the first sample's own beside it."""
    certificate = await _sample(provider, run)
    if not certificate.ok:
        run.hole = None  # nothing has run: the next sample may find it closed
        raise CellOpenError(_told(certificate))
    return certificate


async def _sample(provider: Provider, run: _Run) -> Certificate:
    """Certify the current sample's own cell and one beside it; returns the latter's."""
    own, beside = await certify_sample(provider, agent_box(), sandbox("gateway"))
    store_as(Containment).streams = list(own.streams)
    for one in (beside, own):
        transcript().info(one.to_json(), source=_SOURCE)
        if not one.ok and run.hole is None:
            run.hole = f"during the run, {_told(one)}"
    return beside


def why_void() -> str | None:
    """Why no sample of this run that has not been scored yet counts, or None when all may."""
    return _this_run().hole


def of_the_agent(capture: Capture) -> Capture:
    """The current sample's capture without what the probes sent."""
    probes = set(store_as(Containment).streams)
    if not probes:
        return capture
    return replace(capture, streams=tuple(s for s in capture.streams if s.id not in probes))


def _told(certificate: Certificate) -> str:
    worst = certificate.failed[0]
    return (
        f"the {certificate.provider} cell is open in {len(certificate.failed)} places, the first "
        f"being {worst.name}: {worst.detail}. "
        f"See `sallyport certify --provider {certificate.provider}`"
    )
