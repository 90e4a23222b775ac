"""A box with its gateway, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from sandbox.box.box import Box, Finished
from sandbox.box.owners import Owners
from sandbox.gateway.capture import Capture, load_capture
from sandbox.recorder import Recording, recorder

T = TypeVar("T")


@dataclass
class Cell:
    """A box and the recording of its gateway."""

    box: Box
    recording: Recording

    async def sh(self, script: str, timeout: float = 60) -> Finished:
        """Run a shell script as the agent."""
        return await self.box.run(["bash", "-c", script], timeout=timeout)

    async def capture(self) -> Capture:
        """Seal the recording and read it."""
        await anyio.to_thread.run_sync(recorder().stop, self.recording)
        return load_capture(self.recording.folder)


@asynccontextmanager
async def cell(folder: Path) -> AsyncIterator[Cell]:
    """A running cell that records into `folder`/capture."""
    box = await Box.start(recorder().trust())
    recording = recorder().start(box.take_sockets(), folder / "capture", Owners(box.init))
    try:
        yield Cell(box, recording)
    finally:
        await anyio.to_thread.run_sync(recorder().stop, recording)
        await box.close()


def in_cell(folder: Path, work: Callable[[Cell], Awaitable[T]]) -> T:
    """Run `work` in a fresh cell."""

    async def main() -> T:
        async with cell(folder) as fresh:
            return await work(fresh)

    return anyio.run(main)
