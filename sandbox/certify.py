"""The containment certificate: proof, from inside the agent's box, that there is no way out.

`certify` takes the two sandboxes of a cell, tries what an agent could try, and holds what the
probes say against what the gateway recorded and what came to the host. It takes about a second;
its packets stay in the capture, in the streams that the certificate names. `certify_sample` does
so for a sample that is about to start: quietly in its own box, and in full in a cell beside it.
See docs/containment.md for what is proved and what is not.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import anyio
import anyio.to_thread
from inspect_ai.util import OutputLimitExceededError, SandboxEnvironment

from sandbox.cell import Provider
from sandbox.certificate import signing
from sandbox.certificate.canary import Canary, host_canaries
from sandbox.certificate.cells import fresh_cells
from sandbox.certificate.findings import (
    GROUPS,
    Probe,
    Verdict,
    failures,
    judge,
    probe_streams,
    reported,
    unrecorded,
)
from sandbox.certificate.inside.battery import PROBES, QUIET
from sandbox.certificate.inside.setup import Setup
from sandbox.certificate.neighbour import planted
from sandbox.certificate.script import COMMAND, script
from sandbox.certificate.signing import run_key
from sandbox.gateway.capture import Capture, ChainBroken, read_capture
from sandbox.namespace import CAPTURE_FOLDER, AgentBox

__all__ = [
    "GROUPS",
    "Certificate",
    "CertifyError",
    "Probe",
    "Scope",
    "Verdict",
    "certify",
    "certify_fresh",
    "certify_sample",
    "run_key",
    "verify",
]

Scope: TypeAlias = Literal["full", "quiet"]
"""Every probe, or those that leave nothing behind which the agent could see."""

_TIMEOUT = 60  # seconds for all probes; they take about one
_SETTLE = 5.0  # seconds for the gateway to record what the probes have sent
_PAUSE = 0.05


class CertifyError(RuntimeError):
    """The probes could not be run; one line says why. The box is not certified."""


@dataclass(frozen=True)
class Certificate:
    """What was tried in one box, and what came of it.

    Attributes:
        provider: Which kind of cell it is.
        scope: Which probes were made.
        started: Unix time in seconds.
        seconds: How long it took.
        nonce: The nonce of the gateway that answered; binds the certificate to one capture.
        probes: Every probe, sorted by group and name.
        streams: Ids of the probes' own streams in the capture, which are not the agent's doing.
        key: The public key it is signed with, hexadecimal.
        digest: SHA-256 of all of the above, hexadecimal.
        signature: Ed25519 signature of the digest, hexadecimal.
    """

    provider: Provider
    scope: Scope
    started: float
    seconds: float
    nonce: str
    probes: tuple[Probe, ...]
    streams: tuple[int, ...]
    key: str
    digest: str
    signature: str

    @property
    def ok(self) -> bool:
        """Whether no probe failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Probe, ...]:
        """What is open."""
        return failures(self.probes)

    def to_json(self) -> dict[str, Any]:
        """The certificate as a JSON object, as `verify` reads it."""
        return _body(self) | {"digest": self.digest, "signature": self.signature}


def verify(document: Mapping[str, Any], key: str) -> bool:
    """Whether a certificate (`Certificate.to_json`) is unchanged and was made by one run.

    Args:
        document: The certificate, as logged.
        key: The run's public key, as `run_key` gave it.
    """
    return signing.holds(document, key)


async def certify(
    agent: SandboxEnvironment,
    gateway: SandboxEnvironment,
    *,
    neighbour: SandboxEnvironment | None = None,
    scope: Scope = "full",
) -> Certificate:
    """Try every way out of a fresh cell and sign what came of it.

    Args:
        agent: The sandbox where the agent will work (`sandbox("default")`).
        gateway: The sandbox that holds the capture (`sandbox("gateway")`).
        neighbour: The agent's sandbox of another sample, to look for from this one.
        scope: "full", or "quiet" in a box where an agent will work.

    Returns:
        The certificate; it is for the caller to refuse a run whose certificate is not `ok`.

    Raises:
        CertifyError: The probes could not be run.
    """
    started, clock = time.time(), time.monotonic()
    mark = secrets.token_hex(8)
    try:
        before = await _read(gateway)
    except (ChainBroken, OSError) as error:
        raise CertifyError(f"the gateway's capture cannot be read: {error}") from error
    nonce, closed = before.nonce, any(e.get("others") == "refuse" for e in before.events)
    with host_canaries(mark, nonce) as (setup, canary):
        setup = setup._replace(closed=closed)
        wanted = PROBES.keys() if scope == "full" else QUIET
        box = _namespace_box(agent)
        if box is not None and box.limits.in_all:
            setup = setup._replace(limits=box.limits.text)
        said = await _probe(agent, setup, neighbour, wanted)
        capture = await _recorded(gateway, said, mark)
        probes = judge(said, wanted, capture, _visits(canary), mark)
    unsigned = Certificate(
        provider="docker" if box is None else "namespace",
        scope=scope,
        started=started,
        seconds=round(time.monotonic() - clock, 3),
        nonce=nonce,
        probes=probes,
        streams=probe_streams(capture, mark) if capture else (),
        key=run_key(),
        digest="",
        signature="",
    )
    digest, signature = signing.seal(_body(unsigned))
    return replace(unsigned, digest=digest, signature=signature)


def _body(certificate: Certificate) -> dict[str, Any]:
    """What is signed."""
    return {
        "provider": certificate.provider,
        "scope": certificate.scope,
        "started": certificate.started,
        "seconds": certificate.seconds,
        "nonce": certificate.nonce,
        "ok": certificate.ok,
        "probes": [
            {"name": p.name, "group": p.group, "verdict": p.verdict, "detail": p.detail}
            for p in certificate.probes
        ],
        "streams": list(certificate.streams),
        "key": certificate.key,
    }


async def certify_fresh(provider: Provider) -> Certificate:
    """Certify a cell made for the purpose, with a second one beside it as its neighbour.

    Args:
        provider: As `sandbox.cell.choose` gave it.

    Raises:
        CellError: A cell did not start.
        CertifyError: The probes could not be run.
    """
    async with fresh_cells(provider, 2) as ((agent, gateway), (other, _)):
        return await certify(agent, gateway, neighbour=other)


async def certify_sample(
    provider: Provider, agent: SandboxEnvironment, gateway: SandboxEnvironment
) -> tuple[Certificate, Certificate]:
    """Certify a sample's cell before its agent comes in, so that the agent cannot see that it was.

    Quiet probes in the sample's own box, all of them in a cell that is started beside it for the
    purpose: what floods, writes or connects would leave its traces in the sample's world.

    Args:
        provider: The sample's kind of cell.
        agent: The sample's `sandbox("default")`.
        gateway: The sample's `sandbox("gateway")`.

    Returns:
        The certificate of the sample's own box, then the one of the cell beside it.

    Raises:
        CellError: A cell did not start.
        CertifyError: The probes could not be run.
    """
    async with fresh_cells(provider, 2) as ((beside, recording), (other, _)):
        made: dict[Scope, Certificate] = {}
        problems: list[CertifyError] = []

        async def make(scope: Scope, box: SandboxEnvironment, record: SandboxEnvironment) -> None:
            try:
                made[scope] = await certify(box, record, neighbour=other, scope=scope)
            except CertifyError as error:
                problems.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(make, "quiet", agent, gateway)
            group.start_soon(make, "full", beside, recording)
        if problems:
            raise problems[0]
        return made["quiet"], made["full"]


async def _probe(
    agent: SandboxEnvironment,
    setup: Setup,
    neighbour: SandboxEnvironment | None,
    wanted: Collection[str],
) -> dict[str, Probe]:
    async with contextlib.AsyncExitStack() as stack:
        if neighbour is not None:
            try:
                trace = await stack.enter_async_context(planted(neighbour))
            except OSError as error:
                raise CertifyError(str(error)) from error
            setup = setup._replace(neighbour=trace)
        try:
            done = await agent.exec(COMMAND, input=script(setup, wanted), timeout=_TIMEOUT)
        except TimeoutError as error:
            raise CertifyError(f"the probes did not end within {_TIMEOUT} s") from error
        except (OSError, OutputLimitExceededError) as error:
            raise CertifyError(f"the probes cannot be run: {error}") from error
    if not done.success:
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        raise CertifyError(f"the probes ended with status {done.returncode}: {reason[-1]}")
    return reported(done.stdout, setup.mark)


async def _recorded(
    gateway: SandboxEnvironment, said: Mapping[str, Probe], mark: str
) -> Capture | None:
    """The capture once everything that was answered is in it, or time is up; None if broken."""
    deadline = anyio.current_time() + _SETTLE
    while True:
        try:
            capture = await _read(gateway)
        except (ChainBroken, OSError):  # told as the probe net.capture
            return None
        if not unrecorded(said, capture, mark) or anyio.current_time() > deadline:
            return capture
        await anyio.sleep(_PAUSE)


async def _read(gateway: SandboxEnvironment) -> Capture:
    # Events first: the payloads they point to were written before them.
    events = await gateway.read_file(f"{CAPTURE_FOLDER}/events.jsonl", text=False)
    blob = await gateway.read_file(f"{CAPTURE_FOLDER}/bytes.bin", text=False)
    return await anyio.to_thread.run_sync(read_capture, events, blob)


def _visits(canary: Canary) -> tuple[bytes, ...]:
    return canary.visits()


def _namespace_box(agent: SandboxEnvironment) -> AgentBox | None:
    try:
        return agent.as_type(AgentBox)
    except TypeError:
        return None
