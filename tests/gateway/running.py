"""A gateway that runs on ordinary loopback sockets, and real clients that talk to it."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from sandbox.gateway.capture import Capture, CaptureWriter, load_capture
from sandbox.gateway.manners import Manners
from sandbox.gateway.network import IP_RECVORIGDSTADDR, GatewaySockets
from sandbox.gateway.server import Gateway
from tests.gateway.worlds import AUTHORITY

V4, V6 = socket.AF_INET, socket.AF_INET6


def loopback_sockets() -> GatewaySockets:
    """Sockets like those of `open_sockets`; the ones that need privileges stay silent."""

    def tcp(family: socket.AddressFamily, address: str) -> socket.socket:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind((address, 0))
        listener.listen()
        return listener

    udp4 = socket.socket(V4, socket.SOCK_DGRAM)
    udp4.setsockopt(socket.IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
    udp4.bind(("127.0.0.1", 0))
    silent = [socket.socket(V4, socket.SOCK_DGRAM) for _ in range(5)]
    call = [socket.socket(family, socket.SOCK_STREAM) for family in (V4, V6)]
    return GatewaySockets(tcp(V4, "127.0.0.1"), tcp(V6, "::1"), udp4, *silent, *call)


class World:
    """A running gateway and the addresses it is reached at."""

    def __init__(self, folder: Path, limit: int, manners: Manners | None) -> None:
        self.folder = folder
        self.writer = CaptureWriter(folder, nonce="nonce", limit=limit)
        self.gateway = Gateway(self.writer, AUTHORITY, manners)
        self.sockets = loopback_sockets()
        self.tcp4 = self.sockets.tcp4.getsockname()
        self.tcp6 = self.sockets.tcp6.getsockname()
        self.udp4 = self.sockets.udp4.getsockname()

    async def end(self) -> Capture:
        await self.gateway.aclose()
        self.writer.end()
        return load_capture(self.folder)


@contextlib.asynccontextmanager
async def world(
    folder: Path, limit: int = 1 << 20, manners: Manners | None = None
) -> AsyncIterator[World]:
    one = World(folder, limit, manners)
    await one.gateway.serve(one.sockets)
    try:
        yield one
    finally:
        await one.gateway.aclose()


def run(*command: str, cwd: Path | None = None, given: bytes = b"") -> bytes:
    """What a client prints; it must succeed. No configuration of this machine's user is seen."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@a.example",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@a.example",
    }
    done = subprocess.run(
        command, cwd=cwd, input=given, env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def played(
    folder: Path,
    scene: Callable[[World], None],
    *,
    manners: Manners | None = None,
    limit: int = 64 << 20,
) -> Capture:
    """The capture of a scene, which runs in a thread of its own so that it may block."""

    async def play() -> Capture:
        async with world(folder, limit, manners) as one:
            await asyncio.to_thread(scene, one)
            return await one.end()

    return asyncio.run(play())
