"""Datagrams and echo requests: recorded, counted where the kernel lost some, and DNS answered."""

import ipaddress
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable

from sandbox.gateway.capture import Address, CaptureWriter
from sandbox.gateway.datagrams import Datagram, dropped, reply_from
from sandbox.gateway.dns import Answer
from sandbox.gateway.network import DNS_PORT

_FLOWS = 1024  # kept open at once
_QUIC_SMALLEST = 1200  # bytes of a datagram with which a QUIC connection begins
_LONGEST_ID = 20
_BROADCAST = "255.255.255.255"

OpenStream = Callable[[str, Address, Address, str], int]
"""Opens a stream in the capture: protocol, agent's address, destination, layer."""
Ask = Callable[[bytes], Answer]
"""Answers a DNS message."""
Note = Callable[[int, Answer], None]
"""Records on a stream what a DNS message asked."""
Bars = Callable[[Address], bool]
"""Whether nothing can be reached at a destination."""


class Flows:
    """The datagrams of one box.

    Every method raises `CaptureFull` when the capture takes no more.
    """

    def __init__(
        self, writer: CaptureWriter, open_stream: OpenStream, ask: Ask, note: Note, bars: Bars
    ) -> None:
        """Starts with none."""
        self._writer = writer
        self._open_stream = open_stream
        self._ask = ask
        self._note = note
        self._bars = bars
        self._flows: OrderedDict[tuple[str, Address, Address], int] = OrderedDict()
        self._lost: dict[socket.socket, int] = {}

    def take(self, one: socket.socket, proto: str, datagram: Datagram) -> None:
        """Records what came to a socket, and answers it if it is a DNS message."""
        stream = self._flow(proto, datagram)
        self._count(one, datagram.lost, stream)
        if proto != "udp" or datagram.dst[1] != DNS_PORT:
            barred = self._bars(datagram.dst)
            self._writer.data(stream, "out", datagram.payload, barred)
            if datagram.reply and not barred and not _own(datagram):
                self._send(one, stream, proto, datagram.reply, datagram)
            return
        # Whatever resolver was meant, a firewall takes the question itself.
        answer = self._ask(datagram.payload)
        self._writer.data(stream, "out", datagram.payload, answer.refused)
        self._note(stream, answer)
        if answer.reply is not None:
            self._writer.data(stream, "in", answer.reply)
            self._send(one, stream, "DNS", answer.reply, datagram)

    def finish(self, sockets: list[socket.socket]) -> None:
        """Records what the sockets lost after their last datagram."""
        for one in sockets:
            self._count(one, dropped(one), None)

    def close(self) -> None:
        """Closes all flows."""
        while self._flows:
            self._writer.close_stream(self._flows.popitem()[1])

    def _send(
        self, one: socket.socket, stream: int, proto: str, reply: bytes, datagram: Datagram
    ) -> None:
        try:
            reply_from(one, reply, datagram.dst[0], datagram.src)
        except OSError as error:
            reason = f"{proto} reply not sent: {error.strerror}"
            self._writer.event("error", stream=stream, reason=reason)

    def _count(self, one: socket.socket, total: int, stream: int | None) -> None:
        """Says that datagrams were lost, where the socket's count has grown to `total`."""
        lost = total - self._lost.get(one, 0)
        if lost > 0:
            self._lost[one] = total
            self._writer.event("loss", stream=stream, datagrams=lost)

    def _flow(self, proto: str, datagram: Datagram) -> int:
        key = (proto, datagram.src, datagram.dst)
        stream = self._flows.get(key)
        if stream is None:
            dns_flow = proto == "udp" and datagram.dst[1] == DNS_PORT
            stream = self._open_stream(*key, "dns" if dns_flow else "raw")
            self._flows[key] = stream
            if proto == "udp" and (version := quic_version(datagram.payload)) is not None:
                self._writer.event("quic", stream=stream, version=f"{version:#010x}")
            if len(self._flows) > _FLOWS:
                self._writer.close_stream(self._flows.popitem(last=False)[1])
        else:
            self._flows.move_to_end(key)
        return stream


def _own(datagram: Datagram) -> bool:
    """Whether the agent sent it to itself, where the kernel answers, or to a group."""
    dst = ipaddress.ip_address(datagram.dst[0])
    return dst.is_loopback or dst.is_multicast or datagram.dst[0] in (datagram.src[0], _BROADCAST)


def quic_version(payload: bytes) -> int | None:
    """The version of QUIC that a datagram opens a connection in; None if it does not (RFC 8999).

    The gateway does not answer QUIC, as networks that block it do not; clients go on with TCP.
    """
    if len(payload) < _QUIC_SMALLEST or payload[0] & 0xC0 != 0xC0:
        return None
    version: int = struct.unpack_from("!I", payload, 1)[0]
    theirs = payload[5]
    ours = payload[6 + theirs] if theirs <= _LONGEST_ID else _LONGEST_ID + 1
    return version if version and ours <= _LONGEST_ID else None
