"""Snapshots of an agent's box, and forks: fresh cells that begin with what a snapshot holds.

What the agent's writable folders hold is taken along, nothing else: background processes, open
connections and shared memory are not, so take a snapshot between two tool calls. See
docs/providers.md for what it costs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio.to_thread
from inspect_ai.util import SandboxEnvironment, SandboxUnavailableError

from sandbox.box.layer import Layer
from sandbox.cell import CellError, Provider
from sandbox.certificate.cells import docker_cell, namespace_cell
from sandbox.namespace import AgentBox
from sandbox.volumes import Copy, VolumeError


class SnapshotError(CellError):
    """A snapshot cannot be taken; one line says why."""


@dataclass(frozen=True)
class Snapshot:
    """What an agent's writable folders held at one moment.

    It takes memory (Docker: disk) until nobody holds it any more, or the process ends; forks that
    run do not need it.

    Attributes:
        content: The provider's own.
    """

    content: tuple[Layer, ...] | Copy

    @property
    def provider(self) -> Provider:
        """Where forks of it run: where it was taken."""
        return "docker" if isinstance(self.content, Copy) else "namespace"


async def snapshot(agent: SandboxEnvironment) -> Snapshot:
    """Take a snapshot of a cell's agent side, which is stopped meanwhile and then goes on.

    Args:
        agent: A sample's `sandbox("default")`, or the first of what `fork` and `fresh_cell` give.

    Raises:
        SnapshotError: The box is gone, or its files cannot be copied.
    """
    try:
        box = agent.as_type(AgentBox)
    except TypeError:
        return await _docker(agent)
    try:
        return Snapshot(await box.freeze())
    except SandboxUnavailableError as error:
        raise SnapshotError(str(error)) from error


async def _docker(agent: SandboxEnvironment) -> Snapshot:
    try:
        container = (await agent.connection()).container
    except (NotImplementedError, ConnectionError) as error:
        raise SnapshotError(f"no snapshot of this sandbox: {error}") from error
    if container is None:
        raise SnapshotError("no snapshot of this sandbox: it is no container")
    try:
        return Snapshot(await anyio.to_thread.run_sync(Copy.of, container))
    except VolumeError as error:
        raise SnapshotError(str(error)) from error


@asynccontextmanager
async def fork(content: Snapshot) -> AsyncIterator[tuple[SandboxEnvironment, SandboxEnvironment]]:
    """A fresh cell whose agent finds what the snapshot holds: the agent's sandbox, the gateway's.

    It is as sealed as any, with a gateway and a capture of its own, and shares nothing with the
    box that the snapshot is of or with other forks of it.

    Args:
        content: The snapshot; any number of forks of it may run at once.

    Raises:
        CellError: It did not start.
    """
    held = content.content
    if not isinstance(held, Copy):
        async with namespace_cell(held) as cell:
            yield cell
        return

    async def fill(container: str) -> None:
        try:
            await anyio.to_thread.run_sync(held.fill, container)
        except VolumeError as error:
            raise CellError(str(error)) from error

    async with docker_cell(fill) as cell:
        yield cell
