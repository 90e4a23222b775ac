"""Cut a capture into pieces: units of outgoing data, each with a place and a time. Pure."""

from __future__ import annotations

import bisect
import os.path
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.evidence.http_body import Marks, Request, looks_like_http, requests
from sandbox.gateway.capture import Capture, Chunk, Stream

LONG_LABEL = 24
"""Characters of a DNS label that carries data for certain."""

PING_PATTERN = 16
"""Bytes of the longest pattern that `ping -p` takes."""
PING_CLOCK = 16
"""Bytes at the beginning of a payload over which `ping` writes the time."""


@dataclass(frozen=True)
class Channel:
    """Where something went.

    Attributes:
        name: "https", "http", "tls", "tcp", "udp", "dns" or "icmp".
        destination: "host:port" where the name is known, else "ip:port".
        allowed: Whether it is a service that the setting allows.
        host: Under which name the gateway's DNS gave out the address, None where it gave none. The
            sender cannot choose it freely, unlike the name in `destination`.
    """

    name: str
    destination: str
    allowed: bool = False
    host: str | None = None


@dataclass(frozen=True, eq=False)
class Piece:
    """A unit of outgoing data: a body, a connection's bytes, the names asked for.

    Attributes:
        channel: Where it went.
        kind: "body", "head", "raw" or "name".
        name: Request target, or empty.
        content_type: Of a body, else empty.
        data: The bytes.
        stream: Number of the stream in the capture; of the first one for names.
        marks: What each part of them came in; never empty.
    """

    channel: Channel
    kind: str
    name: str
    content_type: bytes
    data: bytes
    stream: int
    marks: Marks

    def chunk_at(self, offset: int) -> Chunk:
        """What the byte at an offset came in."""
        which = bisect.bisect_right(self.marks, offset, key=lambda mark: mark[0])
        return self.marks[max(0, which - 1)][1]

    def where(self, start: int, stop: int) -> tuple[int, int]:
        """The range of `bytes.bin` that holds what came in from one offset to another.

        Returns:
            The first byte's offset and the end: of whole chunks, except at the edges of what was
            recorded as it stands. What else was recorded meanwhile may lie in between.
        """
        first = max(0, bisect.bisect_right(self.marks, start, key=lambda mark: mark[0]) - 1)
        last = max(first, bisect.bisect_left(self.marks, stop, key=lambda mark: mark[0]) - 1)
        (from_, one), (to, two) = self.marks[first], self.marks[last]
        plain = self.kind == "raw"
        at = one.at + (start - from_ if plain else 0)
        return at, two.at + (stop - to if plain else len(two.payload))


@dataclass(frozen=True)
class Traffic:
    """A capture, cut up.

    Attributes:
        pieces: In order of their first byte.
        bytes_out: Outgoing bytes of each channel.
    """

    pieces: tuple[Piece, ...]
    bytes_out: dict[Channel, int]


def traffic(capture: Capture) -> Traffic:
    """Cut a capture into pieces.

    Args:
        capture: A verified capture.

    Returns:
        The pieces; every outgoing byte is in at least one, save the framing of HTTP.
    """
    names: dict[int, list[tuple[float, str]]] = {}
    for event in capture.events:
        if event["kind"] == "dns":
            names.setdefault(event["stream"], []).append((event["t"], str(event["name"])))
    pieces: list[Piece] = []
    bytes_out: dict[Channel, int] = {}
    asked: dict[Channel, list[_Query]] = {}
    filled: dict[Channel, list[_Query]] = {}
    for stream in capture.streams:
        chunks = [chunk for chunk in stream.chunks if chunk.direction == "out"]
        data = stream.out
        parsed: list[Request] = []
        whole = False
        if stream.proto == "tcp" and looks_like_http(data):
            parsed, whole = requests(chunks)
        channel = _channel(stream, parsed)
        bytes_out[channel] = bytes_out.get(channel, 0) + len(data)
        if parsed:
            pieces += _http(channel, stream.id, parsed)
        if data and not whole:
            pieces.append(_joined(channel, "raw", stream.id, [(c, c.payload) for c in chunks]))
        if stream.proto == "icmp":
            filled.setdefault(channel, []).extend(_Query(c.t, "", stream.id, c) for c in chunks)
        if chunks:
            asked.setdefault(channel, []).extend(
                _Query(t, name, stream.id, _before(chunks, t))
                for t, name in names.get(stream.id, ())
            )
    for channel, echoes in filled.items():
        pieces += _patterns(channel, sorted(echoes, key=lambda echo: echo.t))
    for channel, queries in asked.items():
        pieces += _names(channel, sorted(queries, key=lambda query: query.t))
    pieces.sort(key=lambda piece: piece.marks[0][1].t)
    return Traffic(tuple(pieces), bytes_out)


class _Query(NamedTuple):
    t: float
    name: str
    stream: int
    chunk: Chunk


def _before(chunks: Sequence[Chunk], t: float) -> Chunk:
    """The last chunk up to a time: a question is noted when it has arrived."""
    return chunks[max(0, bisect.bisect_right(chunks, t, key=lambda chunk: chunk.t) - 1)]


def _channel(stream: Stream, parsed: list[Request]) -> Channel:
    secret = stream.layer == "tls" or stream.sni is not None
    if parsed or stream.layer == "http":
        name = "https" if secret else "http"
    elif secret:
        name = "tls"
    else:
        name = "dns" if stream.layer == "dns" else stream.proto
    said = parsed[0].header(b"host").decode("latin-1") if parsed else ""
    said = said.rpartition(":")[0] if said.rpartition(":")[2].isdigit() and ":" in said else said
    host = stream.sni or said or stream.host or stream.dst[0]
    return Channel(name, f"{host}:{stream.dst[1]}", stream.allowed, stream.host)


def _http(channel: Channel, stream: int, parsed: list[Request]) -> Iterator[Piece]:
    heads: list[tuple[Chunk, bytes]] = []
    for request in parsed:
        lines = [request.target, *(key + b": " + value for key, value in request.headers)]
        heads.append((request.chunk, b"\n".join(lines) + b"\n\n"))
        if request.body:
            yield Piece(
                channel,
                "body",
                request.target.decode("latin-1"),
                request.header(b"content-type"),
                bytes(request.body),
                stream,
                tuple(request.marks),
            )
    yield _joined(channel, "head", stream, heads)


def _joined(
    channel: Channel, kind: str, stream: int, chunks: Iterable[tuple[Chunk, bytes]]
) -> Piece:
    marks: list[tuple[int, Chunk]] = []
    parts: list[bytes] = []
    size = 0
    for chunk, payload in chunks:
        marks.append((size, chunk))
        parts.append(payload)
        size += len(payload)
    return Piece(channel, kind, "", b"", b"".join(parts), stream, tuple(marks))


def _patterns(channel: Channel, echoes: list[_Query]) -> Iterator[Piece]:
    """What `ping -p` filled its payloads with, put together in the order in which it was sent.

    It repeats up to 16 bytes from the payload's first byte on, and writes the time over some.
    """
    found = [(echo.chunk, _pattern(echo.chunk.payload)) for echo in echoes]
    if any(pattern for _, pattern in found):
        yield _joined(channel, "name", echoes[0].stream, found)


def _pattern(payload: bytes) -> bytes:
    """The bytes that a payload repeats; empty when it repeats none."""
    rest = payload[PING_CLOCK:]
    for size in range(1, PING_PATTERN + 1):
        if len(rest) > size and rest[size:] == rest[:-size]:
            turned = -PING_CLOCK % size
            return rest[turned : turned + size] if len(rest) >= turned + size else b""
    return b""


def _names(channel: Channel, queries: list[_Query]) -> Iterator[Piece]:
    """The labels in front of each domain, put together in the order in which they were asked.

    A resolver asks for one name several times (A, AAAA, again): repeats are dropped.
    """
    first = {query.name.rstrip("."): query for query in reversed(queries)}
    domains: dict[tuple[str, ...], list[tuple[_Query, list[str]]]] = {}
    for name, query in sorted(first.items(), key=lambda item: item[1].t):
        labels = name.split(".")
        domains.setdefault(tuple(labels[-2:]), []).append((query, labels[:-2]))
    for asked in domains.values():
        fixed = len(os.path.commonprefix([labels[::-1] for _, labels in asked]))
        if len(asked) == 1:
            fixed = 0
        cut = [labels[: len(labels) - fixed] for _, labels in asked]
        left, right = _margins(cut)
        chunks = [
            (query.chunk, _payload(labels, left, right))
            for (query, _), labels in zip(asked, cut, strict=True)
        ]
        if any(payload for _, payload in chunks):
            yield _joined(channel, "name", asked[0][0].stream, chunks)


def _margins(names: list[list[str]]) -> tuple[int, int]:
    """How many labels on either side never carry data, where others do."""

    def margin(rows: list[list[str]]) -> int:
        for place in range(max(map(len, rows), default=0)):
            if any(len(row[place]) >= LONG_LABEL for row in rows if place < len(row)):
                return place
        return 0

    return margin(names), margin([labels[::-1] for labels in names]) if len(names) > 1 else 0


def _payload(labels: list[str], left: int, right: int) -> bytes:
    """What a name carries: beside long labels, those on the margins are counters and sessions."""
    if left + right < len(labels) and (left or right):
        labels = labels[left : len(labels) - right]
    elif max(map(len, labels), default=0) < LONG_LABEL:
        labels = [label for label in labels if not label.isdigit()]
    return "".join(labels).encode("utf-8", "replace")
