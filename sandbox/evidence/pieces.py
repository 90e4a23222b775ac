"""Cut a capture into pieces: units of outgoing data, each with a place and a time. Pure."""

from __future__ import annotations

import bisect
import os.path
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox.evidence.http_body import Marks, Request, looks_like_http, requests
from sandbox.gateway.capture import Capture, Stream

LONG_LABEL = 24
"""Characters of a DNS label that carries data for certain."""


@dataclass(frozen=True)
class Channel:
    """Where something went.

    Attributes:
        name: "https", "http", "tls", "tcp", "udp", "dns" or "icmp".
        destination: "host:port" where the name is known, else "ip:port".
    """

    name: str
    destination: str


@dataclass(frozen=True, eq=False)
class Piece:
    """A unit of outgoing data: a body, a connection's bytes, the names asked for.

    Attributes:
        channel: Where it went.
        kind: "body", "head", "raw" or "name".
        name: Request target, or empty.
        content_type: Of a body, else empty.
        data: The bytes.
        marks: When each part of them left.
    """

    channel: Channel
    kind: str
    name: str
    content_type: bytes
    data: bytes
    marks: Marks

    def time_at(self, offset: int) -> float:
        """When the byte at an offset left, in Unix seconds."""
        which = bisect.bisect_right(self.marks, offset, key=lambda mark: mark[0])
        return self.marks[max(0, which - 1)][1]


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
    asked: dict[Channel, list[tuple[float, str]]] = {}
    for stream in capture.streams:
        chunks = [(c.t, c.payload) for c in stream.chunks if c.direction == "out"]
        data = stream.out
        parsed: list[Request] = []
        whole = False
        if stream.proto == "tcp" and looks_like_http(data):
            parsed, whole = requests(chunks)
        channel = _channel(stream, parsed)
        bytes_out[channel] = bytes_out.get(channel, 0) + len(data)
        if parsed:
            pieces += _http(channel, parsed)
        if data and not whole:
            pieces.append(_joined(channel, "raw", chunks))
        if stream.id in names:
            asked.setdefault(channel, []).extend(names[stream.id])
    for channel, queries in asked.items():
        pieces += _names(channel, sorted(queries, key=lambda query: query[0]))
    pieces.sort(key=lambda piece: piece.marks[0][1])
    return Traffic(tuple(pieces), bytes_out)


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
    return Channel(name, f"{host}:{stream.dst[1]}")


def _http(channel: Channel, parsed: list[Request]) -> Iterator[Piece]:
    heads: list[tuple[float, bytes]] = []
    for request in parsed:
        lines = [request.target, *(key + b": " + value for key, value in request.headers)]
        heads.append((request.t, b"\n".join(lines) + b"\n\n"))
        if request.body:
            yield Piece(
                channel,
                "body",
                request.target.decode("latin-1"),
                request.header(b"content-type"),
                bytes(request.body),
                tuple(request.marks),
            )
    yield _joined(channel, "head", heads)


def _joined(channel: Channel, kind: str, chunks: Iterable[tuple[float, bytes]]) -> Piece:
    marks: list[tuple[int, float]] = []
    parts: list[bytes] = []
    size = 0
    for t, payload in chunks:
        marks.append((size, t))
        parts.append(payload)
        size += len(payload)
    return Piece(channel, kind, "", b"", b"".join(parts), tuple(marks))


def _names(channel: Channel, queries: list[tuple[float, str]]) -> Iterator[Piece]:
    """The labels in front of each domain, put together in the order in which they were asked.

    A resolver asks for one name several times (A, AAAA, again): repeats are dropped.
    """
    first = {name.rstrip("."): t for t, name in reversed(queries)}
    domains: dict[tuple[str, ...], list[tuple[float, list[str]]]] = {}
    for name, t in sorted(first.items(), key=lambda item: item[1]):
        labels = name.split(".")
        domains.setdefault(tuple(labels[-2:]), []).append((t, labels[:-2]))
    for asked in domains.values():
        fixed = len(os.path.commonprefix([labels[::-1] for _, labels in asked]))
        if len(asked) == 1:
            fixed = 0
        cut = [labels[: len(labels) - fixed] for _, labels in asked]
        left, right = _margins(cut)
        chunks = [
            (t, _payload(labels, left, right)) for (t, _), labels in zip(asked, cut, strict=True)
        ]
        if any(payload for _, payload in chunks):
            yield _joined(channel, "name", chunks)


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
