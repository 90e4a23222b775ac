"""Websockets as a server speaks them, with no I/O in it: the handshake, and frames taken apart."""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass

from sandbox.gateway.web import Request

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_CONTROL_LIMIT = 125
_ECHO_LIMIT = 4096
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


def accept(request: Request) -> tuple[tuple[str, str], ...] | None:
    """The headers that accept an upgrade to websocket; None when the request asks for none."""
    headers = request.headers
    key = headers.get("sec-websocket-key")
    if headers.get("upgrade", "").lower() != "websocket" or key is None:
        return None
    digest = hashlib.sha1(key.encode("latin-1") + _MAGIC, usedforsecurity=False).digest()
    proof = ("sec-websocket-accept", base64.b64encode(digest).decode())
    chosen = headers.get("sec-websocket-protocol", "").partition(",")[0].strip()
    protocol = (("sec-websocket-protocol", chosen),) if _TOKEN.fullmatch(chosen) else ()
    return (("upgrade", "websocket"), ("connection", "Upgrade"), proof, *protocol)


@dataclass(frozen=True)
class Frames:
    """What some bytes of a websocket were.

    Attributes:
        heads: Frame headers and masks, as they came.
        payload: The payloads between them, unmasked.
        send: Bytes to send, possibly none.
        close: Whether the connection ends after `send`.
        error: Why the bytes were no frames, if they were not.
    """

    heads: bytes = b""
    payload: bytes = b""
    send: bytes = b""
    close: bool = False
    error: str | None = None


class Frame:
    """The header of a frame.

    Attributes:
        opcode: What it is.
        final: Whether it ends its message.
        mask: Four bytes to XOR with, or none.
        left: Bytes of payload still to come.
        at: Bytes of payload that came.
    """

    def __init__(self, opcode: int, final: bool, mask: bytes, left: int) -> None:
        self.opcode = opcode
        self.final = final
        self.mask = mask
        self.left = left
        self.at = 0
        self.kept = b""


class WebSocket:
    """One websocket: small messages are echoed, large ones taken."""

    def __init__(self) -> None:
        """Starts after the handshake."""
        self._head = b""
        self._frame: Frame | None = None
        self._closed = False

    def receive(self, data: bytes) -> Frames:
        """Takes the client's next bytes; after the close they are given back as heads."""
        if self._closed:
            return Frames(heads=data)
        heads, payload, send = [], [], []
        at = 0
        error = None
        while at < len(data) and not self._closed:
            if self._frame is None:
                self._head += data[at : at + 1]
                at += 1
                try:
                    self._frame = _frame(self._head)
                except ValueError as problem:
                    error = str(problem)
                    self._closed = True
                    send.append(_encode(_CLOSE, struct.pack("!H", 1002)))
                if self._frame is not None or self._closed:
                    heads.append(self._head)
                    self._head = b""
            if self._frame is not None:
                piece = self._take(self._frame, data[at : at + self._frame.left])
                at += len(piece)
                payload.append(piece)
                if self._frame.left == 0:
                    send.append(self._answer(self._frame))
                    self._frame = None
        heads.append(data[at:])
        return Frames(b"".join(heads), b"".join(payload), b"".join(send), self._closed, error)

    def unfinished(self) -> bytes:
        """The part of a frame header that came last."""
        return self._head

    def _take(self, frame: Frame, piece: bytes) -> bytes:
        if frame.mask:
            piece = _unmasked(piece, frame.mask, frame.at)
        if len(frame.kept) + len(piece) <= _ECHO_LIMIT:
            frame.kept += piece
        frame.at += len(piece)
        frame.left -= len(piece)
        return piece

    def _answer(self, frame: Frame) -> bytes:
        if frame.opcode == _CLOSE:
            self._closed = True
            return _encode(_CLOSE, frame.kept)
        if frame.opcode == _PING:
            return _encode(_PONG, frame.kept)
        if frame.opcode in (_TEXT, _BINARY) and frame.final and frame.at <= _ECHO_LIMIT:
            return _encode(frame.opcode, frame.kept)
        return b""


def _frame(head: bytes) -> Frame | None:
    """The frame with this header; None while the header is incomplete.

    Raises:
        ValueError: There is no such frame.
    """
    if len(head) < 2:
        return None
    opcode, short = head[0] & 15, head[1] & 127
    if head[0] & 0x70:
        raise ValueError("an extension that was not agreed on")
    if opcode not in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG):
        raise ValueError(f"no such frame: {opcode}")
    if opcode >= _CLOSE and (short > _CONTROL_LIMIT or not head[0] & 0x80):
        raise ValueError("a control frame that is long or in parts")
    extended = {126: 2, 127: 8}.get(short, 0)
    masked = 4 if head[1] & 0x80 else 0
    if len(head) < 2 + extended + masked:
        return None
    length = int.from_bytes(head[2 : 2 + extended], "big") if extended else short
    return Frame(opcode, bool(head[0] & 0x80), head[2 + extended :], length)


def _unmasked(piece: bytes, mask: bytes, at: int) -> bytes:
    """`piece` XOR the mask, of which `at` bytes of payload are through."""
    turn = at % 4
    repeated = ((mask[turn:] + mask[:turn]) * (len(piece) // 4 + 1))[: len(piece)]
    mixed = int.from_bytes(piece, "big") ^ int.from_bytes(repeated, "big")
    return mixed.to_bytes(len(piece), "big")


def _encode(opcode: int, payload: bytes) -> bytes:
    short = len(payload) <= _CONTROL_LIMIT
    length = bytes([len(payload)]) if short else b"\x7e" + struct.pack("!H", len(payload))
    return bytes([0x80 | opcode]) + length + payload
