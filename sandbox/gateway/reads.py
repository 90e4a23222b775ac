"""Reading from a connection's socket in an event loop, without losing a byte."""

import asyncio
import socket
from collections.abc import Callable

_READ = 256 << 10
_LARGEST_DRAIN = 16 << 20  # bytes of one connection read at the end: what its kernel queue may hold


async def receive(connection: socket.socket, patience: float, quiet: bool) -> bytes:
    """The next bytes, none at the end of the stream (or, if `quiet`, at any trouble).

    Waiting and reading are apart, so that a cancelled wait cannot take bytes with it.

    Raises:
        TimeoutError: Nothing came for `patience` seconds, and not `quiet`.
        OSError: The connection broke.
    """
    await asyncio.sleep(0)  # a fast sender must not keep the loop for itself
    while True:
        try:
            return connection.recv(_READ)
        except BlockingIOError:
            try:
                async with asyncio.timeout(patience):
                    await _readable(connection)
            except TimeoutError:
                if quiet:
                    return b""
                raise
        except OSError:
            if quiet:
                return b""
            raise


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())


def drain(connection: socket.socket, take: Callable[[bytes], object]) -> None:
    """Hands on what the kernel already holds for a connection that is being closed."""
    drained = 0
    while drained < _LARGEST_DRAIN:
        try:
            data = connection.recv(_READ)
        except OSError:  # nothing more, or the connection broke: either way that was all
            return
        if not data:
            return
        drained += len(data)
        take(data)
