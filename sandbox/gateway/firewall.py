"""The firewall of a closed world: what may be reached in it, and what becomes of the rest.

What it turns back is recorded like everything else, and marked as refused: it has not left.
"""

from __future__ import annotations

import socket
import struct

from sandbox.gateway.dns import address_of
from sandbox.gateway.manners import Manners
from sandbox.gateway.reads import drain, receive
from sandbox.gateway.recognise import SILENCE
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Answer, Request, text

_PORTS = frozenset({80, 443})
_GIT_PORTS = _PORTS | {22}
_RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: closing sends a reset and waits for nothing


def bars_port(manners: Manners, host: str | None, port: int) -> bool:
    """Whether a TCP port of a host cannot be reached: services have HTTP's, and git SSH's too.

    Args:
        manners: Of the world.
        host: As for `bars`.
        port: The port.
    """
    if not manners.closed:
        return False
    service = manners.service(host) or manners.service(addresses(manners).get(host or ""))
    return port not in (_GIT_PORTS if service == "git" else _PORTS)


def bars(manners: Manners, host: str | None) -> bool:
    """Whether a host cannot be reached.

    Args:
        manners: Of the world.
        host: Its name, or its address as such; None for an address that belongs to no name.
    """
    if not manners.closed:
        return False
    if host is None:
        return True
    return manners.service(host) is None and host not in addresses(manners)


def addresses(manners: Manners) -> dict[str, str]:
    """The allowed hosts by the addresses that DNS gives them."""
    return {address_of(host): host for host in manners.allowed}


def barred(manners: Manners, request: Request) -> str | None:
    """The first host that a request names and that cannot be reached, if there is one.

    An address that is allowed may be the front of others: what the request calls its host counts.
    """
    if not manners.closed:
        return None
    named = [request.host or "", request.headers.get("host", "")]
    if "://" in request.target:
        named.append(request.target.partition("://")[2].partition("/")[0])
    for one in filter(None, map(_host, named)):
        if bars(manners, one):
            return one
    if request.method == "CONNECT" and manners.service(_host(request.target)) is None:
        return request.target
    return None


def _host(authority: str) -> str:
    """The host in `user@host:port`, without the brackets of an address."""
    host = authority.strip().rpartition("@")[2]
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


class Forbidden:
    """Answers a request that the firewall turns back."""

    def take(self, data: bytes) -> None:
        """Takes no notice; it is recorded elsewhere."""

    def answer(self) -> Answer:
        """403."""
        return text(403, "text/plain", b"Forbidden\n")


async def turn_away(connection: socket.socket, tape: Tape) -> None:
    """Resets a connection to where nothing can be reached, once its first bytes are recorded.

    Raises:
        CaptureFull: The capture takes no more.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    tape.refuse(f"{tape.dst[0]} is not allowed")
    try:
        tape.out(await receive(connection, SILENCE, quiet=True))
    finally:  # also when the gateway closes meanwhile
        drain(connection, tape.out)
