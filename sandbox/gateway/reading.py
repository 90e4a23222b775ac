"""Reading captures: what the gateway wrote, verified line by line.

Standard library only, as the writer in `capture.py`, which says what a capture looks like.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

VERSION = 1
EVENTS = "events.jsonl"
BYTES = "bytes.bin"
ZERO = "0" * 64
"""What the first line names as the hash of the line before it."""
SUM = b',"sum":"'
"""What parts the body of a line from its own check."""

Direction = Literal["out", "in"]
Address = tuple[str, int]


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
        turn: Index of the turn in which it was recorded; None before the first, or when the harness
            marked no turns.
        refused: Whether a closed world's firewall turned it back: the agent tried to send it, and
            it did not leave.
    """

    t: float
    direction: Direction
    at: int
    payload: bytes
    turn: int | None = None
    refused: bool = False


@dataclass(frozen=True)
class Stream:
    """One TCP connection, or one UDP or ICMP flow between two addresses.

    Attributes:
        id: Number of the stream, unique in its capture.
        proto: "tcp", "udp" or "icmp".
        src: Address and port of the agent (port 0 for ICMP).
        dst: Address and port the agent meant to reach (port 0 for ICMP).
        host: Name under which the gateway's DNS had given out `dst`, if any.
        layer: What was recognised: "raw", "tls", "http", "dns", "smtp", "ftp", "ssh", "quic",
            "websocket", "tunnel" or "git"; whatever is inside TLS is "tls".
        sni: Server name the client asked for in TLS, if any.
        chunks: The payloads in the order in which they were recorded.
        part_of: The stream whose bytes these are, decoded, if it is not one of its own: an HTTP/2
            request, an SSH channel, the inside of a tunnel or of a websocket.
        allowed: Whether `host` is a service the setting allows.
        pid: Number in the box of the process that had the socket when the stream was opened, where
            that is known.
        command: Its command line, at most 200 bytes of it.
    """

    id: int
    proto: str
    src: Address
    dst: Address
    host: str | None
    layer: str
    sni: str | None
    chunks: tuple[Chunk, ...]
    part_of: int | None = None
    allowed: bool = False
    pid: int | None = None
    command: str | None = None

    @property
    def out(self) -> bytes:
        """Everything the agent sent on this stream, refused or not, joined."""
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
        turns: Unix time in seconds at which each turn began, by its index.
        lost: How many datagrams the kernel dropped, as they came faster than they were recorded.
    """

    nonce: str
    streams: tuple[Stream, ...]
    events: tuple[dict[str, Any], ...]
    head: str
    complete: bool
    truncated_by_limit: bool
    turns: tuple[float, ...] = ()
    lost: int = 0

    def parted(self) -> tuple["Capture", "Capture"]:
        """What left and what a closed world's firewall refused, each as a capture.

        A stream is in both where some of it was refused; an answer goes with what left.
        """
        if not any(chunk.refused for stream in self.streams for chunk in stream.chunks):
            return self, replace(self, streams=())
        return self._part(False), self._part(True)

    def _part(self, refused: bool) -> "Capture":
        streams: list[Stream] = []
        for stream in self.streams:
            kept = tuple(one for one in stream.chunks if one.refused == refused)
            sent = any(one.direction == "out" for one in kept)
            if sent or not (refused or stream.out):
                streams.append(replace(stream, chunks=kept))
        events = tuple(
            event
            for event in self.events
            if event["kind"] != "dns" or bool(event.get("refused")) == refused
        )
        return replace(self, streams=tuple(streams), events=events)


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
        self.turns: list[float] = []
        self.lost = 0

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
            case "http" | "dns" | "smtp" | "ftp" | "ssh" | "quic" as layer:
                stream = self._stream(event)
                if stream.layer == "raw":  # a connection is opened before it says what it carries
                    self.streams[stream.id] = replace(stream, layer=layer)
            case "turn":
                if event["index"] != len(self.turns):
                    raise ChainBroken("a turn out of order")
                self.turns.append(event["t"])
            case "loss":
                self.lost += event["datagrams"]
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
            number,
            proto,
            (src, sport),
            (dst, dport),
            host,
            layer,
            sni=None,
            chunks=(),
            part_of=event.get("part_of"),
            allowed=bool(event.get("allowed")),
            pid=event.get("pid"),
            command=event.get("command"),
        )
        self.chunks[number] = []

    def _data(self, event: dict[str, Any]) -> None:
        at, n, direction = event["at"], event["n"], event["dir"]
        payload = self.blob[at : at + n]
        if at != self.size or hashlib.sha256(payload).hexdigest() != event["sha256"]:
            raise ChainBroken("the payload is not the one recorded")
        self.size += n
        stream = self._stream(event)
        turn = len(self.turns) - 1 if self.turns else None
        refused = bool(event.get("refused"))
        self.chunks[stream.id].append(Chunk(event["t"], direction, at, payload, turn, refused))

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
    head = ZERO
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
        turns=tuple(reader.turns),
        lost=reader.lost,
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


def line_check(body: bytes) -> bytes:
    """The check that ends the line with this body."""
    return hashlib.sha256(body).hexdigest()[:16].encode()


def _decode(line: bytes) -> dict[str, Any]:
    body, found, check = line.rpartition(SUM)
    if not found or check != line_check(body) + b'"}':
        raise ChainBroken("was edited")
    event = json.loads(line)
    if not isinstance(event, dict):
        raise ChainBroken("is not an object")
    return event
