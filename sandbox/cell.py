"""The cell of one sample, whatever the provider: choosing it, sealing its capture, cleaning up.

A cell is two Inspect sandboxes: `default`, the agent's box, and `gateway`, which plays the outside
world and holds the capture under `CAPTURE_FOLDER`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import anyio.to_thread
import docker
from docker.errors import APIError
from inspect_ai.util import SandboxEnvironment, sandbox

from sandbox import images, state
from sandbox.box.box import Box
from sandbox.box.plan import BoxError, missing_programs
from sandbox.gateway.capture import Capture, read_capture
from sandbox.gateway.control import LEFT, MANNERS, SEAL, TURN
from sandbox.gateway.manners import Manners
from sandbox.namespace import CAPTURE_FOLDER

Provider: TypeAlias = Literal["namespace", "docker"]

HARNESS_LABEL = "ai.sallyport.harness"
"""Label of every container: the harness that made it, as `state.harness_id` names it."""
HARNESS = "SALLYPORT_HARNESS"
"""Environment variable that docker/compose.yaml puts into that label."""
RUNTIME = "SALLYPORT_RUNTIME"
"""Environment variable: the engine's runtime for agents, `runsc` for gVisor; docker/compose.yaml
asks for it."""
_UNPACK_SECONDS = 120


class CellError(RuntimeError):
    """No cell can be made; one line that says what to install or to type."""


def choose(wanted: str) -> Provider:
    """Pick a provider that works here, and prove it for `namespace` by starting a box.

    Args:
        wanted: `auto` (docker when an engine answers and the images are there, or when `RUNTIME`
            is set, else namespace), `namespace` or `docker`.

    Raises:
        CellError: unknown, or it cannot work here.
    """
    if wanted not in ("auto", *get_args(Provider)):
        raise CellError(f"unknown sandbox {wanted!r}: use auto, namespace or docker")
    if wanted == "auto" and os.environ.get(RUNTIME):
        wanted = "docker"  # who asks for a runtime does not want a box without it
    no_docker = why_no_docker() if wanted != "namespace" else None
    if wanted != "namespace" and no_docker is None:
        clean()
        return "docker"
    if wanted == "docker":
        raise CellError(f"the docker sandbox cannot start: {no_docker}")
    no_namespace = why_no_namespace()
    if no_namespace is None:
        return "namespace"
    if wanted == "namespace":
        raise CellError(f"the namespace sandbox cannot start: {no_namespace}")
    raise CellError(f"no sandbox works here: namespace: {no_namespace}; docker: {no_docker}")


def why_no_docker() -> str | None:
    """What keeps the Docker provider from working, in one line; None when it works."""
    reason = images.engine()
    if reason is not None:
        return reason
    runtime = os.environ.get(RUNTIME)
    if runtime and runtime not in images.runtimes():
        known = ", ".join(images.runtimes())
        return (
            f"the engine has no runtime {runtime} (it has {known}): register it as "
            f"docs/providers.md says, or unset {RUNTIME}"
        )
    missing = images.missing()
    if missing:
        return f"{' and '.join(missing)} missing or out of date: run `sallyport images build`"
    return None


def why_no_namespace() -> str | None:
    """What keeps the namespace provider from working, in one line; None when it works."""
    packages = missing_programs()
    if packages:
        return f"install {' '.join(packages)}: run `make prepare`"
    try:
        Box.trial()
    except BoxError as error:
        return str(error)
    return None


def sandbox_spec(provider: Provider) -> str | tuple[str, str]:
    """What Inspect's `Task(sandbox=)` takes.

    The engine's containers get this harness's name as `HARNESS_LABEL`, so that no other one takes
    them for a dead harness's.
    """
    if provider == "namespace":
        return "namespace"
    os.environ[HARNESS] = state.harness_id()
    return ("docker", str(images.docker_folder() / "compose.yaml"))


def agent_box() -> SandboxEnvironment:
    """The current sample's agent side."""
    return sandbox("default")


async def unpack(agent: SandboxEnvironment, tar: bytes) -> None:
    """Fill a fresh box.

    Args:
        agent: The agent's side.
        tar: As `World.tar` and `Cargo.tar` make it.

    Raises:
        CellError: It does not fit.
    """
    command = ["tar", "-x", "-p", "-f", "-", "-C", "/"]
    done = await agent.exec(command, input=tar, timeout=_UNPACK_SECONDS)
    if not done.success:
        raise CellError(f"the cell cannot be filled: {done.stderr.strip()}")


def gateway_box() -> SandboxEnvironment:
    """The current sample's gateway."""
    return sandbox("gateway")


async def furnish(gateway: SandboxEnvironment, manners: Manners) -> None:
    """Let the world around a cell answer as its setting says; before the agent's first packet.

    Args:
        gateway: The gateway's sandbox of the cell.
        manners: How to answer, and the allowed services.

    Raises:
        OSError: the gateway refuses, since the agent has met the world already, or it is gone.
    """
    done = await gateway.exec(MANNERS, input=manners.pack(), timeout=60)
    if not done.success:
        raise OSError(f"the gateway does not take the setting's manners: {_said(done.stderr)}")


async def mark_turn(gateway: SandboxEnvironment, index: int) -> None:
    """Note in a capture that a turn begins.

    What the agent's processes sent until now and the gateway has not read yet still counts for the
    turn before.

    Args:
        gateway: The gateway's sandbox of the cell.
        index: The turn's number, from 0 without gaps.

    Raises:
        OSError: it is not the next turn's, or the gateway is gone; the sample is void.
    """
    done = await gateway.exec([*TURN, str(index)], timeout=60)
    if not done.success:
        raise OSError(f"turn {index} cannot be noted: {_said(done.stderr)}")


async def bytes_out(gateway: SandboxEnvironment) -> int:
    """Bytes that have left a cell so far, headers included, as `EgressReport.bytes_out` counts.

    Args:
        gateway: The gateway's sandbox of the cell.

    Raises:
        OSError: the gateway is gone or does not answer.
    """
    done = await gateway.exec(LEFT, timeout=60)
    if not done.success:
        raise OSError(f"the gateway does not say how much has left: {_said(done.stderr)}")
    return int(done.stdout)


def _said(stderr: str) -> str:
    return (stderr.strip().splitlines() or ["no reason given"])[-1]


async def sealed_files(gateway: SandboxEnvironment) -> tuple[bytes, bytes]:
    """Stop a gateway and fetch its capture: `events.jsonl` and `bytes.bin`.

    Raises:
        OSError, SandboxUnavailableError: the gateway is gone or does not answer.
    """
    sealed = await gateway.exec(SEAL, timeout=60)
    if not sealed.success:
        raise OSError(f"the gateway cannot be sealed: {sealed.stderr.strip()}")
    events = await gateway.read_file(f"{CAPTURE_FOLDER}/events.jsonl", text=False)
    blob = await gateway.read_file(f"{CAPTURE_FOLDER}/bytes.bin", text=False)
    return events, blob


async def sealed_capture() -> Capture:
    """Stop the current sample's gateway and read its capture.

    Raises:
        ChainBroken: the capture was tampered with.
        OSError, SandboxUnavailableError: as `sealed_files`; the sample is void.
    """
    events, blob = await sealed_files(gateway_box())
    return await anyio.to_thread.run_sync(read_capture, events, blob)


def clean() -> tuple[str, ...]:
    """Remove what dead harnesses left: captures, and containers with their volumes.

    Returns:
        A line for each thing that was removed.
    """
    removed = [f"captures {folder}" for folder in state.clean()]
    if images.engine() is None:
        removed += _clean_docker()
    return tuple(removed)


def _clean_docker() -> list[str]:
    client = docker.from_env()
    try:
        # Another harness may end, or clean up as well, while this one looks at its containers.
        containers = client.containers.list(
            all=True, filters={"label": HARNESS_LABEL}, ignore_removed=True
        )
        dead = [c for c in containers if state.harness_ended(c.labels[HARNESS_LABEL])]
        projects = {c.labels.get("com.docker.compose.project") for c in dead} - {None}
        for container in dead:
            _remove(container.remove, force=True, v=True)
        removed = [f"container {container.name}" for container in dead]
        for project in projects:
            label = {"label": f"com.docker.compose.project={project}"}
            for volume in client.volumes.list(filters=label):
                _remove(volume.remove, force=True)
                removed.append(f"volume {volume.name}")
            for network in client.networks.list(filters=label):
                _remove(network.remove)
                removed.append(f"network {network.name}")
        for volume in client.volumes.list(filters={"label": HARNESS_LABEL}):  # of snapshots
            if state.harness_ended(volume.attrs["Labels"][HARNESS_LABEL]):
                _remove(volume.remove, force=True)
                removed.append(f"volume {volume.name}")
        return removed
    finally:
        client.close()


def _remove(remove: Callable[..., None], **how: bool) -> None:
    try:
        remove(**how)
    except APIError as error:
        going = error.status_code == 409 and "already in progress" in str(error.explanation)
        if not (going or error.status_code == 404):
            raise
