"""The gateway over ordinary loopback sockets: no privileges, so no DNS port and no ICMP."""

import asyncio
import contextlib
import os
import socket
import struct
from pathlib import Path

import pytest

from sandbox.gateway import server
from sandbox.gateway.capture import Capture
from sandbox.gateway.network import GatewaySockets
from tests.gateway.running import World, loopback_sockets, world

V4, V6 = socket.AF_INET, socket.AF_INET6
REQUEST = b"POST /drop HTTP/1.1\r\nHost: h.example\r\nContent-Length: 7\r\n\r\nweights"


async def send(address: tuple[str, int], data: bytes, *, read: bool = True) -> bytes:
    reader, writer = await asyncio.open_connection(*address[:2])
    writer.write(data)
    writer.write_eof()
    answer = await reader.read() if read else b""
    writer.close()
    return answer


async def recorded(one: World, size: int) -> None:
    """Waits until the gateway has recorded `size` bytes of payload."""
    async with asyncio.timeout(20):
        while (one.folder / "bytes.bin").stat().st_size < size:
            await asyncio.sleep(0.01)


def test_connections_are_recorded_with_their_destination(tmp_path: Path) -> None:
    async def play() -> tuple[World, list[bytes], Capture]:
        async with world(tmp_path / "c") as one:
            answers = [
                await send(one.tcp4, REQUEST),
                await send(one.tcp6, b"\x00raw"),
            ]
            return one, answers, await one.end()

    one, (http, raw), capture = asyncio.run(play())
    assert b"x-request-id: nonce" in http
    assert raw == b""
    assert [(s.proto, s.dst, s.layer, s.out) for s in capture.streams] == [
        ("tcp", one.tcp4, "http", REQUEST),
        ("tcp", one.tcp6[:2], "raw", b"\x00raw"),
    ]
    assert capture.complete
    assert [e for e in capture.events if e["kind"] == "error"] == []


def test_datagrams_of_one_flow_are_one_stream(tmp_path: Path) -> None:
    async def play() -> tuple[World, Capture]:
        async with world(tmp_path / "c") as one:
            with socket.socket(V4, socket.SOCK_DGRAM) as a, socket.socket(V4, 2) as b:
                for sender, data in ((a, b"a1"), (b, b"b1"), (a, b"a2")):
                    sender.sendto(data, one.udp4)
            return one, await one.end()

    one, capture = asyncio.run(play())
    assert [(s.proto, s.dst, s.out) for s in capture.streams] == [
        ("udp", one.udp4, b"a1a2"),
        ("udp", one.udp4, b"b1"),
    ]
    assert [len(stream.chunks) for stream in capture.streams] == [2, 1]


def test_what_has_arrived_when_the_gateway_closes_is_recorded(tmp_path: Path) -> None:
    payload = os.urandom(100_000)

    async def play() -> Capture:
        async with world(tmp_path / "c") as one:
            # The loop has no chance to serve these before aclose is called.
            with socket.create_connection(one.tcp4) as quiet:
                quiet.sendall(payload)
                with socket.socket(V4, socket.SOCK_DGRAM) as udp:
                    udp.sendto(b"last words", one.udp4)
                return await one.end()

    capture = asyncio.run(play())
    assert sorted(stream.out for stream in capture.streams) == sorted([payload, b"last words"])


def test_a_broken_connection_is_an_event_and_stops_nothing(tmp_path: Path) -> None:
    async def play() -> Capture:
        async with world(tmp_path / "c") as one:
            reset = socket.create_connection(one.tcp4)
            reset.sendall(b"before the reset")
            await recorded(one, 16)
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reset.close()
            assert b"200 OK" in await send(one.tcp4, REQUEST)
            return await one.end()

    capture = asyncio.run(play())
    assert capture.streams[0].out == b"before the reset"
    assert [e["stream"] for e in capture.events if e["kind"] == "error"] == [1]


def test_a_fault_of_the_gateway_itself_is_an_event_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> None:
        raise RuntimeError("odd input")

    async def play() -> Capture:
        async with world(tmp_path / "c") as one:
            with monkeypatch.context() as patch:
                patch.setattr("sandbox.gateway.session.Conversation", stumble)
                assert await send(one.tcp4, REQUEST) == b""
            assert b"200 OK" in await send(one.tcp4, REQUEST)
            return await one.end()

    capture = asyncio.run(play())
    assert [s.out for s in capture.streams] == [REQUEST, REQUEST]
    assert ["odd input" in e["reason"] for e in capture.events if e["kind"] == "error"] == [True]


def test_a_full_capture_closes_the_world(tmp_path: Path) -> None:
    async def play() -> Capture:
        async with world(tmp_path / "c", limit=50_000) as one:
            idle_reader, idle = await asyncio.open_connection(*one.tcp4)
            with contextlib.suppress(ConnectionError):
                await send(one.tcp4, b"w" * 200_000)
            assert await idle_reader.read() == b""
            idle.close()
            with pytest.raises(ConnectionError):
                await send(one.tcp4, b"more")
            return await one.end()

    capture = asyncio.run(play())
    assert capture.truncated_by_limit and capture.complete
    assert sum(len(stream.out) for stream in capture.streams) == 50_000


def test_silence_ends_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE", 0.05)

    async def play() -> Capture:
        async with world(tmp_path / "c") as one:
            reader, writer = await asyncio.open_connection(*one.tcp4[:2])
            assert await reader.read() == b""
            writer.close()
            return await one.end()

    assert [e["kind"] for e in asyncio.run(play()).events[1:4]] == ["open", "error", "close"]


def test_more_connections_than_are_served_at_once_wait_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_CONNECTIONS", 3)

    async def play() -> Capture:
        async with world(tmp_path / "c") as one:
            await asyncio.gather(*(send(one.tcp4, b"\x00%02d" % i) for i in range(20)))
            return await one.end()

    capture = asyncio.run(play())
    assert sorted(s.out for s in capture.streams) == [b"\x00%02d" % i for i in range(20)]
    busy = most = 0
    for event in capture.events:
        busy += {"open": 1, "close": -1}.get(event["kind"], 0)
        most = max(most, busy)
    assert most <= 3


def test_gateways_in_one_loop_come_and_go_without_deafening_each_other(tmp_path: Path) -> None:
    async def play() -> list[Capture]:
        captures = []
        async with world(tmp_path / "stays") as stays:
            for number in range(5):
                async with world(tmp_path / str(number)) as one:
                    assert b"200 OK" in await send(one.tcp4, REQUEST)
                    captures.append(await one.end())
                assert b"200 OK" in await send(stays.tcp4, REQUEST)
            await stays.gateway.aclose()
            await stays.gateway.aclose()
            captures.append(await stays.end())
        return captures

    assert [len(c.streams) for c in asyncio.run(play())] == [1, 1, 1, 1, 1, 5]


def test_sockets_survive_the_passing_of_their_descriptors() -> None:
    sockets = loopback_sockets()
    names = [one.getsockname() for one in sockets]
    passed = GatewaySockets.from_fds([os.dup(fd) for fd in sockets.fds()])
    assert [one.getsockname() for one in passed] == names
    sockets.close()
    sockets.close()
    passed.close()
    with pytest.raises(ValueError, match="10 gateway sockets expected, got 2"):
        GatewaySockets.from_fds([1, 2])


def test_ten_thousand_connections_leave_a_whole_capture(tmp_path: Path) -> None:
    """Half of them never say anything: they are open while the others come."""

    async def play() -> Capture:
        async with world(tmp_path / "c", limit=64 << 20) as one:
            for number in range(100):
                open_ones = [socket.create_connection(one.tcp4) for _ in range(50)]
                await asyncio.gather(
                    *(send(one.tcp4, b"\x00%04d" % (number * 50 + i)) for i in range(50))
                )
                for connection in open_ones:
                    connection.close()
            return await one.end()

    capture = asyncio.run(play())
    assert capture.complete and len(capture.streams) == 10_000
    said = {stream.out for stream in capture.streams}
    assert said == {b"", *(b"\x00%04d" % number for number in range(5000))}
