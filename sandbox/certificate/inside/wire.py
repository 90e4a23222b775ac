"""What the network probes speak: HTTP, DNS, datagrams and echo, each with the run's mark in it."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct

from sandbox.certificate.inside.kernel import name_of
from sandbox.certificate.inside.setup import Outcome, Setup, failed, not_applicable, ok

PATIENCE = 5.0
"""Seconds to wait for any answer; on a machine that is busy one may take its time."""
_UNANSWERED = 0.5  # seconds for an answer that must not come
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
_A, _TXT = 1, 16
_NXDOMAIN = 3


def tag_of(mark: str, probe: str) -> str:
    """What goes out with a probe's packets, and is looked for in the capture.

    It ends in a dash, so that no probe's is the beginning of another's.
    """
    return f"{mark}-{probe.partition('.')[2].replace('_', '-')}-"


def tag(setup: Setup, probe: str) -> str:
    """`tag_of` this run."""
    return tag_of(setup.mark, probe)


def why(error: OSError) -> str:
    """An error's name, also where Python has taken the number away."""
    return name_of(error.errno) if error.errno else str(error) or type(error).__name__


def family_of(address: str) -> socket.AddressFamily:
    """IPv6 for an address with a colon."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def judge(setup: Setup, where: str, answer: bytes) -> Outcome:
    """Who answered: this run's gateway, the host, or somebody else."""
    if setup.canary_token and setup.canary_token.encode() in answer:
        return failed(f"{where}: the host answered")
    if setup.neighbour and setup.neighbour.token.encode() in answer:
        return failed(f"{where}: another sample's box answered")
    head = answer.lower().partition(b"\r\n\r\n")[0]
    if f"x-request-id: {setup.nonce}".lower().encode() in head:
        return ok(where)
    shown = answer[:40].decode("ascii", "replace").partition("\r")[0]
    return failed(f"{where}: {f'somebody else answered {shown!r}' if answer else 'no answer'}")


def http(
    setup: Setup,
    probe: str,
    address: str,
    port: int = 80,
    *,
    tls: str = "",
    protocol: int = 0,
    patience: float = PATIENCE,
) -> Outcome:
    """Ask for a page; the gateway's nonce has to be in the answer.

    Args:
        setup: What the harness told.
        probe: The probe's name, for the mark.
        address: IP address or name.
        port: TCP port.
        tls: Server name, to speak TLS with a certificate that the box trusts.
        protocol: Another protocol than TCP for the stream.
        patience: Seconds to wait for each step.
    """
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    request = f"GET /{tag(setup, probe)} HTTP/1.1\r\nHost: {tls or address.partition('%')[0]}\r\n"
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        family, kind, _, _, target = found[0]
        with contextlib.ExitStack() as stack:
            one = stack.enter_context(socket.socket(family, kind, protocol))
            one.settimeout(patience)
            one.connect(target)
            if tls:
                one = ssl.create_default_context().wrap_socket(one, server_hostname=tls)
                stack.enter_context(one)
            one.sendall(request.encode() + b"Connection: close\r\n\r\n")
            return judge(setup, where, _read(one))
    except OSError as error:
        return failed(f"{where}: the gateway does not answer ({why(error)})")


def fetch(host: str, path: str) -> bytes:
    """What a host gives for a path: the answer's head and body, 16 KiB at most.

    Raises:
        OSError: It does not answer.
    """
    with socket.create_connection((host, 80), PATIENCE) as one:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        one.sendall(request.encode())
        return _read(one)


def _read(one: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(OSError):  # what came before a reset counts
        while len(answer) < 1 << 14 and (more := one.recv(4096)):
            answer += more
    return answer


def everywhere(setup: Setup, probe: str, targets: list[tuple[str, int]]) -> Outcome:
    """`http` at several places; the first that is not the gateway's decides."""
    for address, port in targets:
        outcome = http(setup, probe, address, port)
        if outcome[0] != ok()[0]:
            return outcome
    places = ", ".join(address for address, _ in targets[:3])
    return ok(f"the gateway at {places}{' and more' if len(targets) > 3 else ''}")


def datagram(setup: Setup, probe: str, address: str, port: int, *, shared: bool = False) -> Outcome:
    """Send a datagram; whether the gateway recorded it is for the harness to say.

    Args:
        setup: What the harness told.
        probe: The probe's name, for the mark.
        address: IP address.
        port: UDP port.
        shared: To a group of receivers, where nobody needs to listen.
    """
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as one:
        one.settimeout(0.2)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        payload = tag(setup, probe).encode()
        try:
            target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][4]
            one.sendto(payload, target)
            if not shared:
                return ok(f"sent to {address}")
            answer = one.recv(4096)
        except OSError as error:
            return ok(f"{address}: {why(error)}") if shared else failed(f"{address}: {why(error)}")
    return failed(f"{address}: somebody answered {answer[:40]!r}")


def query(name: str, kind: int = _A) -> bytes:
    """A DNS query's wire form."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (
        os.urandom(2)
        + struct.pack("!5H", 0x100, 1, 0, 0, 0)
        + labels
        + struct.pack("!BHH", 0, kind, 1)
    )


def given_address(reply: bytes) -> str | None:
    """The IPv4 address at the end of a reply with one A record."""
    if len(reply) < 16 or reply[-6:-4] != b"\x00\x04":
        return None
    return socket.inet_ntop(socket.AF_INET, reply[-4:])


def judge_address(where: str, address: str | None) -> Outcome:
    """The gateway gives every name an address of 198.18.0.0/15, which nobody has."""
    if address is None:
        return failed(f"{where}: no address")
    if address.startswith(("198.18.", "198.19.")):
        return ok(f"{where}: {address}")
    return failed(f"{where}: somebody else answered {address}")


def ask(setup: Setup, probe: str, server: str, *, tcp: bool = False) -> Outcome:
    """Ask a resolver of one's own choice for a name with the mark in it."""
    message = query(f"{tag(setup, probe)}x.example.org")
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(family_of(server), kind) as one:
        one.settimeout(PATIENCE)
        try:
            one.connect((server, 53))
            one.sendall(struct.pack("!H", len(message)) + message if tcp else message)
            reply = one.recv(4096)
        except OSError as error:
            return failed(f"{server}: the gateway does not answer ({why(error)})")
    if setup.closed and reply[3:4] and reply[3] & 0xF == _NXDOMAIN:
        return ok(f"{server}: no such name")
    return judge_address(server, given_address(reply))


def echo(setup: Setup, probe: str, address: str) -> Outcome:
    """Ping with the mark as payload; whether the gateway recorded it is for the harness to say."""
    family = family_of(address)
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        one = socket.socket(family, socket.SOCK_DGRAM, protocol)
    except OSError as error:
        return not_applicable(f"no echo requests can be sent: {why(error)}")
    with one:
        one.settimeout(_UNANSWERED if setup.closed else PATIENCE)
        payload = tag(setup, probe).encode()
        try:
            one.connect((address, 0))
            one.send(struct.pack("!BBHHH", _ECHO[family][0], 0, 0, 0, 1) + payload)
            one.recv(4096)
        except OSError as error:
            if setup.closed and isinstance(error, TimeoutError):
                return ok(f"{address}: no answer")
            return failed(f"{address}: the gateway does not answer ({why(error)})")
    return failed(f"{address}: answered") if setup.closed else ok(f"answered at {address}")
