"""Datagrams and echo requests as the gateway's sockets deliver them.

Here is what Linux puts beside a datagram: where it was meant to go, how many were lost before it,
and from which address a reply must leave.
"""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.gateway.capture import Address
from sandbox.gateway.network import (
    IP_PKTINFO,
    IP_RECVORIGDSTADDR,
    IPV6_RECVORIGDSTADDR,
    SO_MEMINFO,
    SO_RXQ_OVFL,
)

_LARGEST = 65535
_ANCILLARY = 256
_ECHO_REQUEST = {socket.IPPROTO_ICMP: 8, socket.IPPROTO_ICMPV6: 128}
_ICMP_HEADER = 8
_DROPS = 8 * 4  # where SO_MEMINFO has the count of drops

Ancillary = list[tuple[int, int, bytes]]


@dataclass(frozen=True)
class Datagram:
    """One datagram or echo request.

    Attributes:
        src: The agent's address and port (port 0 for an echo request).
        dst: The address and port it was sent to (port 0 for an echo request).
        payload: Its bytes without headers.
        lost: How many datagrams the socket's queue had dropped in all before this one.
        reply: The message that answers it, if it is an echo request.
    """

    src: Address
    dst: Address
    payload: bytes
    lost: int
    reply: bytes = b""


Receive = Callable[[socket.socket], Datagram | None]
"""Takes the next message of a non-blocking socket; None when it is not the agent's.

Raises BlockingIOError when nothing waits.
"""


def receive_udp(one: socket.socket) -> Datagram | None:
    """Takes the next UDP datagram; see `Receive`."""
    payload, ancillary, _, src = one.recvmsg(_LARGEST, _ANCILLARY)
    dst = None
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_RECVORIGDSTADDR):
            dst = (socket.inet_ntop(socket.AF_INET, value[4:8]), _port(value))
        elif (level, kind) == (socket.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR):
            dst = (socket.inet_ntop(socket.AF_INET6, value[8:24]), _port(value))
    if dst is None:  # the kernel always says when it was asked, as open_sockets does
        raise OSError("a datagram without its destination: open the socket with open_sockets()")
    return Datagram(src[:2], dst, payload, _lost(ancillary))


def receive_echo(one: socket.socket) -> Datagram | None:
    """Takes the next ICMP message, None unless it is an echo request; see `Receive`."""
    packet, ancillary, _, src = one.recvmsg(_LARGEST, _ANCILLARY)
    if one.family == socket.AF_INET:
        dst = socket.inet_ntop(socket.AF_INET, packet[16:20])
        message = packet[(packet[0] & 15) * 4 :]
    else:
        dst = _pktinfo6(ancillary)
        message = packet
    if len(message) < _ICMP_HEADER or message[0] != _ECHO_REQUEST[one.proto]:
        return None
    payload, reply = message[_ICMP_HEADER:], _echo_reply(message)
    return Datagram((src[0], 0), (dst, 0), payload, _lost(ancillary), reply)


def reply_from(one: socket.socket, reply: bytes, source: str, target: Address) -> None:
    """Sends a datagram that seems to come from `source`, from the port of the socket."""
    if one.family == socket.AF_INET:
        info = struct.pack("=I4s4s", 0, socket.inet_aton(source), bytes(4))
        ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, info)]
    else:
        info = socket.inet_pton(socket.AF_INET6, source) + struct.pack("=I", 0)
        ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
    one.sendmsg([reply], ancillary, 0, target)


def _echo_reply(request: bytes) -> bytes:
    """The answer to an echo request; the checksum of ICMPv6 is the kernel's to fill in."""
    if request[0] == _ECHO_REQUEST[socket.IPPROTO_ICMPV6]:
        return bytes([129]) + request[1:]
    # The type changes from 8 to 0, the checksum with it (RFC 1624).
    total = (~int.from_bytes(request[2:4], "big") & 0xFFFF) + (~0x0800 & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return bytes([0, request[1]]) + struct.pack("!H", checksum) + request[4:]


def dropped(one: socket.socket) -> int:
    """How many datagrams a socket's queue has dropped in all."""
    drops: int = struct.unpack_from(
        "=I", one.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 64), _DROPS
    )[0]
    return drops


def _port(address: bytes) -> int:
    port: int = struct.unpack_from("!H", address, 2)[0]
    return port


def _lost(ancillary: Ancillary) -> int:
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
            count: int = struct.unpack_from("=I", value)[0]
            return count
    return 0


def _pktinfo6(ancillary: Ancillary) -> str:
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return socket.inet_ntop(socket.AF_INET6, value[:16])
    raise OSError("an ICMPv6 message without its destination: use open_sockets()")
