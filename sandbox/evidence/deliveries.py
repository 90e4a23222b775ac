"""What was delivered over HTTP: every request with a body that the gateway recorded. Pure.

For verifiers of main tasks (did the report reach the audit service?) and for oversight (what did
the log archive get?). It says what was sent and where to, not what a server made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sandbox.evidence import http_body
from sandbox.evidence.decode import Budget, inflate
from sandbox.gateway.capture import Capture, Chunk, Stream
from sandbox.gateway.web import Request

LIMIT = 64 << 20
"""Bytes of bodies given in all; what comes after is cut off."""
_DIGITS = 5  # of a part's number


@dataclass(frozen=True)
class Delivery:
    """One request with a body.

    Attributes:
        host: Name under which the gateway's DNS had given out the address that was reached, in
            lower case, else the address. What the request calls its host decides nothing.
        method: As sent.
        path: Path of the target without query, percent-decoded.
        body: The body: transfer coding and gzip undone, multipart forms as they are.
        turn: Index of the turn in which the last of it came; None before the first turn or when
            the harness marked none.
        allowed: Whether `host` is a service that the setting allows.
        whole: False when `body` is not all of it: it broke off, its compression is damaged, or
            there were more than `LIMIT` bytes of bodies.
    """

    host: str
    method: str
    path: str
    body: bytes
    turn: int | None
    allowed: bool
    whole: bool = True


@dataclass(frozen=True)
class _Sent:
    """A request and where it went; `last` is what it ended in."""

    stream: Stream
    request: Request
    body: bytes
    last: Chunk
    whole: bool

    @property
    def host(self) -> str:
        return (self.stream.host or self.stream.dst[0]).lower().rstrip(".")


def deliveries(capture: Capture) -> tuple[Delivery, ...]:
    """Say what was sent.

    Args:
        capture: A verified capture.

    Returns:
        Every request with a body, over HTTP/1.1 and HTTP/2, in the order in which they ended. What
        is no HTTP, or breaks its rules, is left out from there on, and so is what a firewall
        refused. A multipart upload to an object store is one delivery, a PUT that came when it was
        completed; parts of one that never was are deliveries of their own, and not `whole`.
    """
    left_it = capture.parted()[0]
    sent = [one for stream in left_it.streams for one in _over_http1(stream)]
    sent += _over_http2(left_it)
    given: list[Delivery] = []
    left = LIMIT
    for one in _joined(sent):
        if not one.body:
            continue
        body, whole = _plain(one, left)
        left -= len(body)
        given.append(
            Delivery(
                host=one.host,
                method=one.request.method,
                path=one.request.path,
                body=body,
                turn=one.last.turn,
                allowed=one.stream.allowed,
                whole=whole,
            )
        )
    return tuple(given)


def _over_http1(stream: Stream) -> Iterator[_Sent]:
    if stream.proto != "tcp" or not http_body.looks_like_http(stream.out):
        return
    for one in http_body.requests(_out(stream))[0]:
        last = one.marks[-1][1] if one.marks else one.chunk
        yield _Sent(stream, _request(one), bytes(one.body), last, one.whole)


def _request(one: http_body.Request) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in one.headers}
    method, target = one.method.decode("latin-1"), one.target.decode("latin-1")
    return Request(method, target, headers.get("host"), headers)


def _over_http2(capture: Capture) -> Iterator[_Sent]:
    """The gateway records each body on a stream of its own, opened right after its head came."""
    streams = {one.id: one for one in capture.streams}
    chunks = {one.at: one for stream in capture.streams for one in _out(stream)}
    newest: dict[int, int] = {}
    heads: dict[int, Chunk] = {}
    for event in capture.events:
        number, whole = event.get("stream") or 0, event.get("part_of") or 0  # streams begin at 1
        match event["kind"]:
            case "data" if event["dir"] == "out":
                newest[number] = event["at"]
            case "open" if event["layer"] == "http" and newest.get(whole, -1) in chunks:
                heads[number] = chunks[newest[whole]]
            case "http" if number in streams and number in heads:
                stream, head = streams[number], heads[number]
                lines = (line.partition(b": ") for line in head.payload.split(b"\r\n"))
                fields = {name.decode("latin-1"): line.decode("latin-1") for name, _, line in lines}
                request = Request(event["method"], event["target"], event["host"], fields)
                last = [head, *_out(stream)][-1]
                yield _Sent(stream, request, stream.out, last, event["status"] != 0)


def _out(stream: Stream) -> list[Chunk]:
    return [chunk for chunk in stream.chunks if chunk.direction == "out"]


def _joined(sent: Iterable[_Sent]) -> list[_Sent]:
    """The same with the parts of multipart uploads put together as the gateway's store does."""
    given: list[_Sent] = []
    uploads: dict[tuple[str, str], dict[int, _Sent]] = {}
    for one in sorted(sent, key=lambda one: one.last.at):
        upload, number = (one.request.query.get(key, "") for key in ("uploadId", "partNumber"))
        key = (one.host, upload)
        if not upload or not one.whole:
            given.append(one)
        elif one.request.method == "PUT" and number.isdecimal() and len(number) <= _DIGITS:
            parts = uploads.setdefault(key, {})
            if int(number) in parts:
                given.append(replace(parts[int(number)], whole=False))
            parts[int(number)] = one
        elif one.request.method == "POST" and key in uploads:
            body = b"".join(part.body for _, part in sorted(uploads.pop(key).items()))
            target = one.request.target.partition("?")[0]
            request = Request("PUT", target, one.request.host, {})
            given.append(replace(one, request=request, body=body))
        else:
            given.append(one)
    given += [replace(part, whole=False) for parts in uploads.values() for part in parts.values()]
    return sorted(given, key=lambda one: one.last.at)


def _plain(one: _Sent, left: int) -> tuple[bytes, bool]:
    """The body with gzip undone, at most `left` bytes of it, and whether that is all."""
    if not left:
        return b"", False
    body, whole = one.body, one.whole
    if one.request.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip"):
        body, undone = _unzipped(body, left)
        whole = whole and undone
    return body[:left], whole and len(body) <= left


def _unzipped(body: bytes, left: int) -> tuple[bytes, bool]:
    """The members of a gzip file up to damage or about `left` bytes, and whether that is all."""
    budget = Budget(left + 1)
    parts: list[bytes] = []
    at, whole = 0, True
    while at < len(body) and whole:
        part, at, whole = inflate(body, at, budget, "gzip")
        parts.append(part)
    return b"".join(parts), whole
