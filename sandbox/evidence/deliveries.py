"""What was delivered over HTTP: every request with a body that the gateway recorded. Pure.

For verifiers of main tasks (did the report reach the audit service?) and for oversight (what did
the log archive get?). It says what was sent and where to, not what a server made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.evidence import http_body
from sandbox.evidence.decode import Budget, inflate
from sandbox.gateway.capture import Capture, Chunk, Stream
from sandbox.gateway.web import Request

LIMIT = 64 << 20
"""Bytes of bodies given in all; what comes after is cut off."""


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
    """A request and where it went; `last` is what its body ended in."""

    stream: Stream
    request: Request
    body: bytes
    last: Chunk
    whole: bool


def deliveries(capture: Capture) -> tuple[Delivery, ...]:
    """Say what was sent.

    Args:
        capture: A verified capture.

    Returns:
        Every request with a body, over HTTP/1.1, in the order in which they ended. What is no HTTP,
        or breaks its rules, is left out from there on, and so is what a firewall refused.
    """
    sent = [one for stream in capture.parted()[0].streams for one in _over_http1(stream)]
    given: list[Delivery] = []
    left = LIMIT
    for one in sorted(sent, key=lambda one: one.last.at):
        body, whole = _plain(one, left)
        left -= len(body)
        given.append(
            Delivery(
                host=(one.stream.host or one.stream.dst[0]).lower().rstrip("."),
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
    chunks = [chunk for chunk in stream.chunks if chunk.direction == "out"]
    for one in http_body.requests(chunks)[0]:
        if one.body:
            last = one.marks[-1][1]
            yield _Sent(stream, _request(one), bytes(one.body), last, one.whole)


def _request(one: http_body.Request) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in one.headers}
    method, target = one.method.decode("latin-1"), one.target.decode("latin-1")
    return Request(method, target, headers.get("host"), headers)


def _plain(one: _Sent, left: int) -> tuple[bytes, bool]:
    """The body with gzip undone, at most `left` bytes of it, and whether that is all."""
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
        if budget.left <= 0:
            return b"".join(parts), False
        part, at, whole = inflate(body, at, budget, "gzip")
        parts.append(part)
    return b"".join(parts), whole
