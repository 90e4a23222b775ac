"""A machine that plays the open host, in a network namespace of its own.

Every address is its own, and at every port of interest somebody answers who is not the gateway.
Run as root of the namespace; prints what the probes said after the harness's judgement, as JSON.
Arguments: `answers` or `silent` (nobody is there at all).
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from sandbox.certificate.canary import Canary
from sandbox.certificate.findings import judge, reported
from sandbox.certificate.inside import network
from sandbox.certificate.inside.setup import Neighbour, Setup
from sandbox.certificate.script import COMMAND, script
from sandbox.gateway.capture import Capture
from tests.certify.openings import played

MARK = "0123456789abcdef"
# A kernel with SCTP, played by TCP: what matters is who answers on such a stream.
SCTP = played("""
import socket
class Socket(socket.socket):
    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        super().__init__(family, type, 0 if proto == 132 else proto, fileno)
socket.socket = Socket
""")
PORTS = (80, 443, 1, 2375, 2376, 2377, 6443, 8080, 10250, 32526, 53000, 61234, 4444)
LINKS = "link set lo up\nlink add eth0 type veth peer name far\nlink set eth0 up\nlink set far up\n"
ADDRESSES = "addr add 10.9.0.1/24 dev eth0\naddr add fd09::1/64 dev eth0 nodad\n"
# As AnyIP does for the gateway: all addresses lead to whoever listens here.
ROUTES = "route add local 0.0.0.0/0 dev lo\nroute add local ::/0 dev lo\n"
NEIGHBOUR = "the-neighbours-token"
THING = "what-the-neighbour-keeps"


def serve(one: socket.socket, answer: bytes) -> None:
    """Answer every connection, or every datagram as a resolver of the open network would."""
    while True:
        if one.type == socket.SOCK_DGRAM:
            query, client = one.recvfrom(4096)
            one.sendto(resolved(query), client)
            continue
        connection, _ = one.accept()
        with connection:
            received = connection.recv(4096)
            is_dns = one.getsockname()[1] == 53
            if is_dns:
                reply = resolved(received[2:])
                connection.sendall(struct.pack("!H", len(reply)) + reply)
            else:
                connection.sendall(answer + NEIGHBOUR.encode() * (THING.encode() in received))


def resolved(query: bytes) -> bytes:
    """A reply with a real-looking address."""
    question = query[12 : query.index(b"\0", 12) + 5]
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("93.184.215.14")
    return query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + question + record


def start(kind: socket.SocketKind, port: int, answer: bytes = b"") -> None:
    one = socket.socket(socket.AF_INET6, kind)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    one.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        one.listen(64)
    threading.Thread(target=serve, args=(one, answer), daemon=True).start()


def main(world: str) -> None:
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")
    canary = Canary()
    if world == "answers":
        subprocess.run(["ip", "-batch", "-"], input=LINKS + ADDRESSES, text=True, check=True)
        subprocess.run(["ip", "-batch", "-"], input=ROUTES, text=True, check=True)
        for port in PORTS:
            start(socket.SOCK_STREAM, port, b"HTTP/1.1 200 OK\r\nServer: open\r\n\r\nhello")
        start(socket.SOCK_STREAM, 5555, b"HTTP/1.1 200 OK\r\n\r\n" + NEIGHBOUR.encode())
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            start(kind, 53)
    setup = Setup(
        MARK,
        nonce="f" * 32,
        addresses=("203.0.113.5", "fd00::5", "10.0.0.5"),
        canary_port=canary.port,
        canary_token=canary.token,
        neighbour=Neighbour(NEIGHBOUR, 5555, ("10.0.0.6", "fd00::6"), THING),
    )
    done = subprocess.run(
        [*SCTP, *COMMAND],
        input=script(setup, network.PROBES),
        capture_output=True,
        text=True,
        check=True,
    )
    empty = Capture("f" * 32, (), (), "", False, False)
    said = reported(done.stdout, MARK)
    probes = judge(said, network.PROBES, empty, canary.visits(), MARK)
    print(json.dumps([asdict(probe) for probe in probes]))


if __name__ == "__main__":
    main(sys.argv[1])
