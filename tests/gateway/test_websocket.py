"""Websockets: the handshake of RFC 6455, frames taken apart, payloads recorded unmasked."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.websocket import WebSocket
from tests.gateway.worlds import Net, send

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: h.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\x01\x7f\x80\xff"


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = MASK) -> bytes:
    length = len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 1 << 16:
        size = b"\xfe" + struct.pack("!H", length)
    else:
        size = b"\xff" + struct.pack("!Q", length)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([opcode | (0x80 if final else 0)]) + size + mask + masked


@pytest.mark.parametrize("size", [5, 7, 1 << 20])
def test_payloads_have_a_stream_of_their_own(tmp_path: Path, size: int) -> None:
    net = Net(tmp_path / "c")
    session = net.connect(80)
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in send(session, HANDSHAKE)
    wire = frame(2, bytes(200) * 40) + frame(1, b"hi") + frame(9, b"are you there")
    wire += frame(8, b"\x03\xe8")
    answer = send(session, *(wire[i : i + size] for i in range(0, len(wire), size)))
    assert answer == b"\x81\x02hi\x8a\x0dare you there\x88\x02\x03\xe8"
    assert session.closing
    outer, inner = net.end().streams
    assert inner.out == bytes(8000) + b"hi" + b"are you there" + b"\x03\xe8"
    assert (inner.layer, inner.part_of) == ("websocket", outer.id)
    assert len(outer.out) + len(inner.out) == len(HANDSHAKE) + len(wire)


@pytest.mark.parametrize(
    "wire",
    [b"\xc1\x80" + MASK, b"\x83\x80" + MASK, b"\x09\x80" + MASK, b"\x88\xff" + bytes(12)],
    ids=["extension", "opcode", "ping in parts", "long close"],
)
def test_what_is_no_frame_ends_it_and_is_recorded(tmp_path: Path, wire: bytes) -> None:
    net = Net(tmp_path / "c")
    session = net.connect(80)
    send(session, HANDSHAKE, wire, b"more")
    assert session.closing
    capture = net.end()
    assert b"".join(stream.out for stream in capture.streams) == HANDSHAKE + wire + b"more"
    assert [e["kind"] for e in capture.events].count("error") == 1


@given(st.binary(max_size=600), st.integers(1, 99))
def test_no_byte_is_lost_and_none_is_there_twice(wire: bytes, size: int) -> None:
    one = WebSocket()
    frames = [one.receive(wire[i : i + size]) for i in range(0, len(wire), size)]
    taken = sum(len(part.heads) + len(part.payload) for part in frames) + len(one.unfinished())
    assert taken == len(wire)
