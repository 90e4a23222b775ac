"""Cut the requests out of the client's side of an HTTP/1.1 connection. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

from sandbox.gateway.capture import Chunk

LONGEST_HEAD = 1 << 20
"""Bytes of the longest request head that is understood."""

_START = re.compile(rb"[A-Z]{3,20} [^\r\n ]+ HTTP/1\.[01]\r?\n")

Marks = tuple[tuple[int, Chunk], ...]
"""Ascending offsets: from each on, the bytes are those of that chunk of the capture."""


@dataclass
class Request:
    """One request.

    Attributes:
        target: Request target as sent.
        headers: Names in lower case and values, in order.
        chunk: What completed its head.
        method: Request method as sent.
        body: The body, its transfer coding undone; what came of it if it was cut short.
        marks: What each part of the body came in.
        whole: Whether it came to its end.
    """

    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    chunk: Chunk
    method: bytes
    body: bytearray = field(default_factory=bytearray)
    marks: list[tuple[int, Chunk]] = field(default_factory=list)
    whole: bool = False

    def header(self, name: bytes) -> bytes:
        """Value of the first header of a name in lower case; empty when there is none."""
        return next((value for key, value in self.headers if key == name), b"")


def looks_like_http(data: bytes) -> bool:
    """Whether the first bytes of a client are an HTTP/1 request line."""
    return _START.match(data, 0, LONGEST_HEAD) is not None


def requests(chunks: Sequence[Chunk]) -> tuple[list[Request], bool]:
    """Read the requests of one connection.

    Args:
        chunks: What the client sent, in order.

    Returns:
        The requests, and whether the connection was HTTP to its end. When it was not (an upgrade,
        a tunnel, an error) the caller has to look at the plain bytes too.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    found: list[Request] = []
    try:
        for chunk in chunks:
            if chunk.payload:
                connection.receive_data(chunk.payload)
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Request):
                    headers = tuple(event.headers)
                    found.append(Request(event.target, headers, chunk, event.method))
                elif isinstance(event, h11.Data):
                    found[-1].marks.append((len(found[-1].body), chunk))
                    found[-1].body += event.data
                elif event is h11.PAUSED:
                    if connection.their_state is not h11.DONE:
                        return found, False
                    _answer(connection)
                    if connection.our_state is not h11.DONE:
                        return found, not connection.trailing_data[0]
                    connection.start_next_cycle()
                elif isinstance(event, h11.EndOfMessage):
                    found[-1].whole = True
                else:
                    break
    except h11.RemoteProtocolError:
        return found, False
    return found, True


def _answer(connection: h11.Connection) -> None:
    """Pretend to answer, so that h11 goes on to the next request."""
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
