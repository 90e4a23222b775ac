"""The group `sockets`: no kind of socket that goes round the gateway, or into the kernel."""

from __future__ import annotations

import os
import socket
import struct

from sandbox.certificate.inside.kernel import name_of, status
from sandbox.certificate.inside.setup import (
    Outcome,
    Probe,
    Setup,
    Table,
    failed,
    not_applicable,
    ok,
)

_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_STREAM, _DATAGRAM, _RAW, _SEQPACKET, _PACKET = 1, 2, 3, 5, 10
_ALL_PROTOCOLS = 0x300  # ETH_P_ALL in network order
_TCP_REPAIR = 19
_IP_TRANSPARENT = 19


def _cannot_make(family: int, kind: int, protocol: int = 0) -> Probe:
    def probe(setup: Setup) -> Outcome:
        try:
            socket.socket(family, kind, protocol).close()
        except OSError as error:
            return ok(name_of(error.errno or 0))
        return failed("it can be made")

    return probe


def _vsock(setup: Setup) -> Outcome:
    """A virtual machine's channel to its host, which no network namespace confines."""
    try:
        one = socket.socket(socket.AF_VSOCK, _STREAM)
    except OSError as error:
        return ok(name_of(error.errno or 0))
    one.close()
    return failed("it can be made: a way to the machine's own host")


def netlink(protocol: int, kind: int, body: bytes, flags: int = _ACK) -> int | None:
    """The errno with which a netlink protocol answers a request; None when none can be made.

    0 means that it did as asked, or answered with data.

    Args:
        protocol: The netlink protocol.
        kind: The message's type.
        body: What follows the message's header.
        flags: Beside NLM_F_REQUEST.
    """
    try:
        one = socket.socket(socket.AF_NETLINK, _RAW, protocol)
    except OSError:
        return None
    with one:
        one.settimeout(2)
        header = struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, 1, 0)
        try:
            one.sendto(header + body, (0, 0))
            reply = one.recv(4096)
        except OSError as error:  # a timeout has no errno: nobody there who would answer
            return error.errno or 110
    answered = struct.unpack_from("=H", reply, 4)[0]
    if answered not in (_ERROR, _DONE) or len(reply) < 20:
        return 0
    return -int(struct.unpack_from("=i", reply, 16)[0])


def _netlink(protocol: int, kind: int, body: bytes, flags: int = _DUMP) -> Probe:
    """A probe: the protocol cannot be opened, or does nothing for one without capabilities."""

    def probe(setup: Setup) -> Outcome:
        code = netlink(protocol, kind, body, flags)
        if code is None:
            return ok("cannot be made")
        if name_of(code) in ("EPERM", "ECONNREFUSED", "EACCES"):
            return not_applicable(
                "the engine's filter lets it be made, but it refuses every request "
                f"({name_of(code)})"
            )
        return failed("it answers" if code == 0 else f"it takes requests: {name_of(code)}")

    return probe


def _netlink_to_look_at(protocol: int, group: int, shows: str) -> Probe:
    """A probe for a protocol without a request that needs a capability."""

    def probe(setup: Setup) -> Outcome:
        try:
            one = socket.socket(socket.AF_NETLINK, _RAW, protocol)
        except OSError as error:
            return ok(name_of(error.errno or 0))
        with one:
            try:
                one.bind((0, group))
            except OSError as error:
                return ok(f"cannot listen: {name_of(error.errno or 0)}")
        if os.getuid() == 0 or int(status()["CapEff"], 16):
            return failed(f"it can be made, with capabilities; it shows {shows}")
        return not_applicable(f"the engine's filter lets it be made; it shows {shows}")

    return probe


def _option(level: int, name: int, value: int) -> Probe:
    """A probe: an option that steps round routing or the firewall is refused."""

    def probe(setup: Setup) -> Outcome:
        with socket.socket(socket.AF_INET, _STREAM) as one:
            try:
                one.setsockopt(level, name, value)
            except OSError as error:
                code = name_of(error.errno or 0)
                return ok(code) if code in ("EPERM", "EACCES") else failed(f"let through: {code}")
        return failed("allowed")

    return probe


PROBES: Table = {
    "sockets.packet_raw": _cannot_make(17, _RAW, _ALL_PROTOCOLS),
    "sockets.packet_datagram": _cannot_make(17, _DATAGRAM, _ALL_PROTOCOLS),
    "sockets.packet_old": _cannot_make(2, _PACKET, _ALL_PROTOCOLS),
    "sockets.raw_icmp": _cannot_make(2, _RAW, 1),
    "sockets.raw_tcp": _cannot_make(2, _RAW, 6),
    "sockets.raw_any": _cannot_make(2, _RAW, 255),
    "sockets.raw_icmp6": _cannot_make(10, _RAW, 58),
    "sockets.vsock": _vsock,
    "sockets.crypto": _cannot_make(38, _SEQPACKET),
    "sockets.key": _cannot_make(15, _RAW, 2),
    "sockets.xdp": _cannot_make(44, _RAW),
    "sockets.bluetooth": _cannot_make(31, _RAW, 1),
    "sockets.tipc": _cannot_make(30, _STREAM),
    "sockets.smc": _cannot_make(43, _STREAM),
    "sockets.rds": _cannot_make(21, _SEQPACKET),
    "sockets.can": _cannot_make(29, _RAW, 1),
    "sockets.kcm": _cannot_make(41, _DATAGRAM),
    "sockets.qipcrtr": _cannot_make(42, _DATAGRAM),
    "sockets.nfc": _cannot_make(39, _SEQPACKET, 1),
    "sockets.pppox": _cannot_make(24, _STREAM),
    "sockets.appletalk": _cannot_make(5, _DATAGRAM),
    "sockets.x25": _cannot_make(9, _SEQPACKET),
    "sockets.ieee802154": _cannot_make(36, _RAW),
    "sockets.phonet": _cannot_make(35, _DATAGRAM),
    "sockets.netlink_netfilter": _netlink(12, 0x0A01, struct.pack("=BBH", 1, 0, 0)),
    "sockets.netlink_xfrm": _netlink(6, 18, bytes(224)),
    "sockets.netlink_audit": _netlink(9, 1000, b"", _ACK),
    "sockets.netlink_uevent": _netlink_to_look_at(15, 1, "devices that come and go on the host"),
    "sockets.netlink_generic": _netlink_to_look_at(16, 0, "what kernel services there are"),
    "sockets.netlink_diagnosis": _netlink_to_look_at(4, 0, "the sockets of the box's own network"),
    "sockets.netlink_connector": _netlink(11, _DONE, bytes(20), 0),
    "sockets.mark": _option(socket.SOL_SOCKET, 36, 1),
    "sockets.transparent": _option(socket.IPPROTO_IP, _IP_TRANSPARENT, 1),
    "sockets.tcp_repair": _option(socket.IPPROTO_TCP, _TCP_REPAIR, 1),
}
