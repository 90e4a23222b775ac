"""Floods: what is lost is counted, what waits is said, and everyone is served in the end."""

import asyncio
import socket
import struct
import time
from pathlib import Path

import pytest

from sandbox.gateway.capture import Capture
from sandbox.gateway.flows import quic_version
from sandbox.gateway.network import SO_RXQ_OVFL
from tests.gateway.running import World, played
from tests.gateway.test_server import REQUEST, send
from tests.sandbox.boxes import Cell, in_cell

SENT = 3000


@pytest.mark.parametrize("then", [0, 1], ids=["at the end", "before others"])
def test_lost_datagrams_are_counted(tmp_path: Path, then: int) -> None:
    async def play() -> Capture:
        one = World(tmp_path / "c", 8 << 20, None)
        udp = one.sockets.udp4
        udp.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(SENT):  # nobody reads yet
                sender.sendto(b"%04d" % number, one.udp4)
            await one.gateway.serve(one.sockets)
            while not one.writer.streams:
                await asyncio.sleep(0.01)
            for _ in range(then):
                sender.sendto(b"late", one.udp4)
        return await one.end()

    capture = asyncio.run(play())
    recorded = sum(len(stream.chunks) for stream in capture.streams)
    assert capture.lost > 0
    assert recorded + capture.lost == SENT + then
    if then:
        [stream] = capture.streams
        assert stream.out.endswith(b"late")


def test_half_open_handshakes_hold_nobody_up_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.gateway.server.IDLE", 0.5)
    halves = [
        b"",
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"SSH-2.0-",
        b"PRI * HTTP/2.0\r\n",
        b"EHLO",
        b"PUT /w HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf",
    ]

    def scene(one: World) -> None:
        held = []
        for number in range(700):
            connection = socket.create_connection(one.tcp4)
            connection.sendall(halves[number % len(halves)])
            held.append(connection)
        answer = asyncio.run(send(one.tcp4, REQUEST))
        assert b"200 OK" in answer
        for connection in held:
            connection.close()

    capture = played(tmp_path / "c", scene)
    sent = sorted(stream.out for stream in capture.streams)
    assert sent == sorted([REQUEST, *(halves[number % len(halves)] for number in range(700))])
    reasons = [event["reason"] for event in capture.events if event["kind"] == "error"]
    assert reasons.count("256 connections at once: more have to wait") <= 5, "said once a while"
    assert capture.complete


def test_a_connection_too_many_waits_and_the_capture_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.gateway.server._CONNECTIONS", 8)
    said = "8 connections at once: more have to wait"

    def scene(one: World) -> None:
        held = [socket.create_connection(one.tcp4) for _ in range(9)]  # nothing ends them meanwhile
        held[8].sendall(REQUEST)
        deadline = time.monotonic() + 30  # until a slow machine counts as a gateway that is silent
        while said not in (one.writer.folder / "events.jsonl").read_text():
            assert time.monotonic() < deadline, "it is not said"
            time.sleep(0.01)
        for connection in held[:8]:
            connection.close()
        assert b"200 OK" in held[8].recv(1 << 16)
        held[8].close()

    capture = played(tmp_path / "c", scene)
    reasons = [event["reason"] for event in capture.events if event["kind"] == "error"]
    assert reasons.count(said) == 1


def initial(version: int, ours: int = 8, theirs: int = 8, size: int = 1200) -> bytes:
    """The first datagram of a QUIC connection, as far as it can be read without its keys."""
    head = struct.pack("!BIB", 0xC3, version, theirs) + b"t" * theirs + bytes([ours]) + b"o" * ours
    return head + b"x" * (size - len(head))


def test_quic_is_recognised(tmp_path: Path) -> None:
    def scene(one: World) -> None:
        for wire in (initial(1), b"x" * 1300):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(wire, one.udp4)

    capture = played(tmp_path / "c", scene)
    assert [stream.layer for stream in capture.streams] == ["quic", "raw"]
    assert [e["version"] for e in capture.events if e["kind"] == "quic"] == ["0x00000001"]


@pytest.mark.parametrize(
    ("payload", "version"),
    [
        (initial(1), 1),
        (initial(0x6B3343CF, ours=0, theirs=20), 0x6B3343CF),
        (initial(0), None),
        (initial(1, ours=21), None),
        (initial(1, theirs=200), None),
        (initial(1, size=1199), None),
        (b"\x43" + initial(1)[1:], None),
        (b"\xff" * 1200, None),
        (b"", None),
    ],
)
def test_what_opens_a_quic_connection(payload: bytes, version: int | None) -> None:
    assert quic_version(payload) == version


@pytest.mark.namespace
def test_a_flood_of_datagrams_from_a_box_is_recorded_or_counted(tmp_path: Path) -> None:
    flood = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(60_000):
    one.sendto(b"%06d" % number * 20, ("192.0.2.1", 9))
"""

    async def work(cell: Cell) -> Capture:
        done = await cell.sh(f"python3 - <<'END'\n{flood}END\n")
        assert done.status == 0, done.stderr
        return await cell.capture()

    capture = in_cell(tmp_path, work)
    recorded = sum(len(stream.chunks) for stream in capture.streams)
    assert recorded + capture.lost == 60_000
    assert capture.complete
