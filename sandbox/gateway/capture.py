"""Captures: an append-only, hash-chained record of everything that reached the gateway.

A capture is a folder of two files. `events.jsonl` has one compact JSON object per line,
`{"seq": n, "prev": hex, "t": seconds, "kind": ..., ..., "sum": hex}`, where `prev` is the SHA-256
of the previous line (64 zeros first) and `sum` checks the line itself, so that the last line of a
capture that was never sealed is protected too. `bytes.bin` holds the payloads that `data` events
point into. An `end` event seals the capture: only a sealed capture is complete.

Standard library only: this module also runs inside the gateway image.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

VERSION = 1
EVENTS = "events.jsonl"
BYTES = "bytes.bin"
_ZERO = "0" * 64
_SUM = b',"sum":"'
_EVENTS_FLOOR = 1 << 20  # bytes: the event log has the payload's limit for itself, but no less

Direction = Literal["out", "in"]
Address = tuple[str, int]


class CaptureFull(Exception):
    """The capture takes no more: its limit was reached or the disk refused a write."""


class ChainBroken(Exception):
    """The capture is not what the gateway wrote; the one-line reason names the line."""


@dataclass(frozen=True)
class Chunk:
    """One piece of a stream.

    Attributes:
        t: Unix time in seconds at which it was recorded.
        direction: "out" when it came from the agent, "in" when the gateway answered it.
        at: Offset of the payload in `bytes.bin`.
        payload: The bytes; plaintext when the stream was TLS.
    """

    t: float
    direction: Direction
    at: int
    payload: bytes


@dataclass(frozen=True)
class Stream:
    """One TCP connection, or one UDP or ICMP flow between two addresses.

    Attributes:
        id: Number of the stream, unique in its capture.
        proto: "tcp", "udp" or "icmp".
        src: Address and port of the agent (port 0 for ICMP).
        dst: Address and port the agent meant to reach (port 0 for ICMP).
        host: Name under which the gateway's DNS had given out `dst`, if any.
        layer: "raw", "tls", "http" or "dns"; HTTP inside TLS is "tls".
        sni: Server name the client asked for in TLS, if any.
        chunks: The payloads in the order in which they were recorded.
    """

    id: int
    proto: str
    src: Address
    dst: Address
    host: str | None
    layer: str
    sni: str | None
    chunks: tuple[Chunk, ...]

    @property
    def out(self) -> bytes:
        """Everything the agent sent on this stream, joined."""
        return b"".join(chunk.payload for chunk in self.chunks if chunk.direction == "out")


@dataclass(frozen=True)
class Capture:
    """A verified capture.

    Attributes:
        nonce: The nonce of the gateway that wrote it.
        streams: All streams in order of opening.
        events: All events in order, as decoded from their lines.
        head: SHA-256 of the last whole line.
        complete: Whether an `end` event seals it.
        truncated_by_limit: Whether the gateway stopped because the capture was full.
    """

    nonce: str
    streams: tuple[Stream, ...]
    events: tuple[dict[str, Any], ...]
    head: str
    complete: bool
    truncated_by_limit: bool


class CaptureWriter:
    """Writes one capture; every call appends at once, so a kill loses nothing that was recorded."""

    def __init__(
        self,
        folder: Path,
        *,
        nonce: str,
        limit: int = 96 << 20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Starts a capture.

        Args:
            folder: Where the two files go; created if missing.
            nonce: Proves later which gateway this was; the gateway shows it in `x-request-id`.
            limit: Bytes of payload, or of events, after which the capture is full.
            clock: Unix time in seconds.

        Raises:
            FileExistsError: The folder already holds a capture (a gateway must not restart).
        """
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._events_fd = os.open(folder / EVENTS, flags, 0o600)
        self._bytes_fd = os.open(folder / BYTES, flags, 0o600)
        self._clock = clock
        self._limit = limit
        self._events_limit = max(limit, _EVENTS_FLOOR)
        self._seq = 0
        self._events_size = 0
        self._bytes_size = 0
        self._streams = 0
        self._totals: dict[int, dict[str, int]] = {}
        self._full = self._failed = self._ended = False
        self.nonce = nonce
        self.head = _ZERO
        """SHA-256 of the last line."""
        self.event("start", version=VERSION, nonce=nonce)

    @property
    def full(self) -> bool:
        """Whether the capture takes no more payload."""
        return self._full

    def open(
        self, proto: str, src: Address, dst: Address, host: str | None = None, layer: str = "raw"
    ) -> int:
        """Opens a stream and returns its id.

        Raises:
            CaptureFull: The event log is at its limit.
        """
        if self._events_size >= self._events_limit:
            self._fill("event log at its limit")
        self._refuse()
        self._streams += 1
        stream = self._streams
        self._totals[stream] = {"out": 0, "in": 0}
        self.event("open", stream=stream, proto=proto, src=src, dst=dst, host=host, layer=layer)
        return stream

    def data(self, stream: int, direction: Direction, payload: bytes) -> None:
        """Records a payload; the part that still fits when it does not fit whole.

        Raises:
            CaptureFull: The limit is reached; a `limit` event has been written.
        """
        self._refuse()
        kept = payload[: self._limit - self._bytes_size]
        if kept:
            at = self._bytes_size
            self._append(self._bytes_fd, kept)
            self._bytes_size += len(kept)
            self._totals[stream][direction] += len(kept)
            digest = hashlib.sha256(kept).hexdigest()
            self.event("data", stream=stream, dir=direction, at=at, n=len(kept), sha256=digest)
        if len(kept) < len(payload):
            self._fill(f"{self._limit} bytes of payload recorded")
        if self._events_size >= self._events_limit:
            self._fill("event log at its limit")

    def event(self, kind: str, **fields: Any) -> None:
        """Appends one event; `fields` must be JSON and must not be named seq, prev, t or kind.

        Raises:
            CaptureFull: The disk refused the write.
        """
        if self._ended:
            raise CaptureFull("the capture is sealed")
        head = {"seq": self._seq, "prev": self.head, "t": round(self._clock(), 6), "kind": kind}
        body = json.dumps(head | fields, separators=(",", ":")).encode()[:-1]
        line = body + _SUM + _check(body) + b'"}'
        self._append(self._events_fd, line + b"\n")
        self._events_size += len(line) + 1
        self._seq += 1
        self.head = hashlib.sha256(line).hexdigest()

    def close_stream(self, stream: int) -> None:
        """Closes a stream, recording its totals; closing it twice does nothing."""
        totals = self._totals.pop(stream, None)
        if totals is not None:
            self.event("close", stream=stream, **totals)

    def end(self) -> None:
        """Closes what is open, seals the capture and releases the files; twice does nothing."""
        if self._ended:
            return
        try:
            for stream in list(self._totals):
                self.close_stream(stream)
            self.event("end", events=self._seq + 1, bytes=self._bytes_size)
        finally:
            self._ended = self._full = True
            os.close(self._events_fd)
            os.close(self._bytes_fd)

    def _refuse(self) -> None:
        if self._full:
            raise CaptureFull("the capture is full")

    def _fill(self, reason: str) -> None:
        if not self._full:
            self._full = True
            self.event("limit", reason=reason)
        raise CaptureFull(reason)

    def _append(self, fd: int, data: bytes) -> None:
        # After a write that failed half way nothing may follow, or the tail would look edited.
        if self._failed:
            raise CaptureFull("the capture could not be written")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError as error:
            self._failed = self._full = True
            raise CaptureFull(f"the capture could not be written: {error.strerror}") from error


class _Reader:
    """Rebuilds the streams while it checks what every event claims."""

    def __init__(self, blob: bytes) -> None:
        self.blob = blob
        self.size = 0
        self.nonce = ""
        self.sealed = False
        self.limited = False
        self.streams: dict[int, Stream] = {}
        self.chunks: dict[int, list[Chunk]] = {}
        self.closed: set[int] = set()

    def take(self, seq: int, event: dict[str, Any]) -> None:
        if self.sealed:
            raise ChainBroken("an event follows the seal")
        if event["seq"] != seq or (event["kind"] == "start") != (seq == 0):
            raise ChainBroken("out of order")
        match event["kind"]:
            case "start":
                if event["version"] != VERSION:
                    raise ChainBroken(f"version {event['version']}, expected {VERSION}")
                self.nonce = event["nonce"]
            case "open":
                self._open(event)
            case "data":
                self._data(event)
            case "close":
                self._close(self._stream(event), event)
            case "tls":
                stream = self._stream(event)
                self.streams[stream.id] = replace(stream, layer="tls", sni=event["sni"])
            case "http" | "dns" as layer:
                stream = self._stream(event)
                if stream.layer == "raw":  # a connection is opened before it says what it carries
                    self.streams[stream.id] = replace(stream, layer=layer)
            case "limit":
                self.limited = True
            case "end":
                if (event["events"], event["bytes"]) != (seq + 1, self.size):
                    raise ChainBroken("the seal counts other events or bytes")
                if len(self.blob) != self.size:
                    raise ChainBroken("payload follows the sealed bytes")
                self.sealed = True

    def finish(self) -> tuple[Stream, ...]:
        return tuple(
            replace(stream, chunks=tuple(self.chunks[number]))
            for number, stream in self.streams.items()
        )

    def _stream(self, event: dict[str, Any]) -> Stream:
        if event["stream"] in self.closed:
            raise ChainBroken("an event of a closed stream")
        return self.streams[event["stream"]]

    def _open(self, event: dict[str, Any]) -> None:
        number = event["stream"]
        if number in self.streams:
            raise ChainBroken("a stream was opened twice")
        (src, sport), (dst, dport) = event["src"], event["dst"]
        proto, host, layer = event["proto"], event["host"], event["layer"]
        self.streams[number] = Stream(
            number, proto, (src, sport), (dst, dport), host, layer, sni=None, chunks=()
        )
        self.chunks[number] = []

    def _data(self, event: dict[str, Any]) -> None:
        at, n, direction = event["at"], event["n"], event["dir"]
        payload = self.blob[at : at + n]
        if at != self.size or hashlib.sha256(payload).hexdigest() != event["sha256"]:
            raise ChainBroken("the payload is not the one recorded")
        self.size += n
        stream = self._stream(event)
        self.chunks[stream.id].append(Chunk(event["t"], direction, at, payload))

    def _close(self, stream: Stream, event: dict[str, Any]) -> None:
        self.closed.add(stream.id)
        for direction in ("out", "in"):
            chunks = self.chunks[stream.id]
            if event[direction] != sum(len(c.payload) for c in chunks if c.direction == direction):
                raise ChainBroken("the totals of a closed stream do not add up")


def read_capture(events: bytes, blob: bytes) -> Capture:
    """Verifies and reads a capture, finished or still being written.

    Args:
        events: Content of `events.jsonl`; when the gateway still runs, read before `blob`.
        blob: Content of `bytes.bin`.

    Returns:
        The capture. Without its seal `complete` is False; a line cut short at the end is left out.

    Raises:
        ChainBroken: A line or payload was edited, removed, added or moved.
    """
    *lines, rest = events.split(b"\n")
    if not lines:
        raise ChainBroken("the capture has no start: its first line is missing or cut short")
    reader = _Reader(blob)
    head = _ZERO
    decoded: list[dict[str, Any]] = []
    for seq, line in enumerate(lines):
        try:
            event = _decode(line)
            if event["prev"] != head:
                raise ChainBroken("does not follow the line before it")
            reader.take(seq, event)
        except ChainBroken as broken:
            raise ChainBroken(f"line {seq + 1}: {broken}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ChainBroken(f"line {seq + 1}: not an event ({error!r})") from error
        decoded.append(event)
        head = hashlib.sha256(line).hexdigest()
    if reader.sealed and rest:
        raise ChainBroken(f"line {len(lines) + 1}: an event follows the seal")
    return Capture(
        nonce=reader.nonce,
        streams=reader.finish(),
        events=tuple(decoded),
        head=head,
        complete=reader.sealed,
        truncated_by_limit=reader.limited,
    )


def load_capture(folder: Path) -> Capture:
    """Reads and verifies the capture in `folder`.

    Raises:
        ChainBroken: See `read_capture`.
        OSError: A file of the capture is missing or unreadable.
    """
    # Events first: the writer appends a payload before the event that points to it.
    events = (folder / EVENTS).read_bytes()
    return read_capture(events, (folder / BYTES).read_bytes())


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def _decode(line: bytes) -> dict[str, Any]:
    body, found, check = line.rpartition(_SUM)
    if not found or check != _check(body) + b'"}':
        raise ChainBroken("was edited")
    event = json.loads(line)
    if not isinstance(event, dict):
        raise ChainBroken("is not an object")
    return event
