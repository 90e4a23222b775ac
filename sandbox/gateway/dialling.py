"""Connections from the outside world to the agent, as FTP's active mode wants them.

Sockets cannot be made here: they have to come from the gateway's network namespace, and a box has
one for each version of IP. After a call it is hung up and used again, so calls wait for each other.
"""

import asyncio
import contextlib
import ctypes
import ipaddress
import socket
from collections.abc import AsyncIterator

from sandbox.gateway.capture import Address
from sandbox.gateway.network import IP_BIND_ADDRESS_NO_PORT, GatewaySockets

_PATIENCE = 10.0  # seconds for the agent to accept
_NOWHERE = bytes(16)  # an address of the family AF_UNSPEC


class Dialler:
    """Calls the agent of one box."""

    def __init__(self, sockets: GatewaySockets) -> None:
        """Takes the box's sockets, which stay the caller's to close."""
        self._lines = {4: sockets.call4, 6: sockets.call6}
        self._free = {version: asyncio.Lock() for version in self._lines}

    @contextlib.asynccontextmanager
    async def call(self, source: str, target: Address) -> AsyncIterator[socket.socket]:
        """A connection to the agent at `target` that seems to come from the address `source`.

        Raises:
            OSError: The agent does not accept it.
            TimeoutError: Nor does it refuse.
        """
        version = ipaddress.ip_address(target[0]).version
        line = self._lines[version]
        async with self._free[version]:
            try:
                # The port is found when connecting, so that the next call can have another one.
                line.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                line.bind((source, 0))
                async with asyncio.timeout(_PATIENCE):
                    await asyncio.get_running_loop().sock_connect(line, target)
                yield line
            finally:
                _hang_up(line)


def _hang_up(line: socket.socket) -> None:
    """Makes a TCP socket unconnected again, which Python has no call for."""
    if line.fileno() >= 0:  # else the gateway has been closed
        ctypes.CDLL(None).connect(line.fileno(), _NOWHERE, len(_NOWHERE))
