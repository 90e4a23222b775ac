"""HTTP/1.1 as a server speaks it, with no I/O in it: bytes in, answers and exchanges out."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11

_JSON = b'{"status":"ok"}\n'
_PAGE = (
    b"<!DOCTYPE html>\n<html>\n<head><title>Welcome</title></head>\n"
    b"<body>\n<h1>Welcome</h1>\n<p>The service is running.</p>\n</body>\n</html>\n"
)
# h11 buffers an incomplete request head; beyond this the request is refused (and still recorded).
_LARGEST_HEAD = 256 << 10
_CONTINUE = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")


@dataclass(frozen=True)
class Exchange:
    """One request and the status it was answered with.

    Attributes:
        method: Request method, as sent.
        target: Request target, as sent.
        host: Value of the Host header, if any.
        status: Status of the answer; 0 when the request never ended.
        request_bytes: Bytes of the request's body, after chunked decoding.
    """

    method: str
    target: str
    host: str | None
    status: int
    request_bytes: int


@dataclass(frozen=True)
class Reply:
    """What to do after some bytes came in.

    Attributes:
        send: Bytes to send, possibly none.
        exchanges: The exchanges that ended.
        close: Whether the connection ends after `send`.
        error: Why the client's bytes were not HTTP, if they were not.
    """

    send: bytes = b""
    exchanges: tuple[Exchange, ...] = ()
    close: bool = False
    error: str | None = None


class Conversation:
    """One connection's requests, each answered with 200 and a small body."""

    def __init__(self, nonce: str, clock: Callable[[], float] = time.time) -> None:
        """Starts a connection.

        Args:
            nonce: Shown in every answer's `x-request-id`, to prove which gateway answered.
            clock: Unix time in seconds, for the Date header.
        """
        self._nonce = nonce
        self._clock = clock
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._request: h11.Request | None = None
        self._body = 0
        self._closed = False

    def receive(self, data: bytes) -> Reply:
        """Takes the client's next bytes (not empty); after the close they are ignored."""
        if self._closed:
            return Reply()
        send: list[bytes] = []
        exchanges: list[Exchange] = []
        error = None
        try:
            self._connection.receive_data(data)
            while self._advance(send, exchanges):
                pass
        except h11.RemoteProtocolError as problem:
            error = str(problem)
            self._closed = True
            send.append(self._refuse(problem.error_status_hint))
        return Reply(b"".join(send), tuple(exchanges), self._closed, error)

    def unfinished(self) -> Exchange | None:
        """The request that has begun and not ended, if any, with status 0."""
        return None if self._request is None else self._exchange(self._request, 0)

    def _advance(self, send: list[bytes], exchanges: list[Exchange]) -> bool:
        """Handles one event; returns whether there may be another."""
        connection = self._connection
        event = connection.next_event()
        if isinstance(event, h11.Request):
            self._request, self._body = event, 0
        elif isinstance(event, h11.Data):
            self._body += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert self._request is not None
            # 2xx to CONNECT would turn the connection into a tunnel; the gateway is no proxy.
            status = 405 if self._request.method == b"CONNECT" else 200
            send.append(self._respond(status, self._request))
            exchanges.append(self._exchange(self._request, status))
            self._request = None
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                self._closed = True
                return False
            connection.start_next_cycle()
        else:
            if connection.they_are_waiting_for_100_continue:
                send.append(self._send(_CONTINUE))
            return False
        return True

    def _exchange(self, request: h11.Request, status: int) -> Exchange:
        host = next((value for name, value in request.headers if name == b"host"), None)
        return Exchange(
            method=request.method.decode("latin-1"),
            target=request.target.decode("latin-1"),
            host=None if host is None else host.decode("latin-1"),
            status=status,
            request_bytes=self._body,
        )

    def _respond(self, status: int, request: h11.Request) -> bytes:
        home = request.method in (b"GET", b"HEAD") and request.target == b"/"
        body, kind = (_PAGE, "text/html") if home else (_JSON, "application/json")
        head = self._start(status, self._headers(kind, len(body)))
        content = b"" if request.method == b"HEAD" else self._send(h11.Data(data=body))
        return head + content + self._send(h11.EndOfMessage())

    def _refuse(self, status: int) -> bytes:
        if self._connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        headers = [*self._headers("text/plain", 0), ("connection", "close")]
        return self._start(status, headers) + self._send(h11.EndOfMessage())

    def _start(self, status: int, headers: list[tuple[str, str]]) -> bytes:
        reason = HTTPStatus(status).phrase.encode()
        return self._send(h11.Response(status_code=status, headers=headers, reason=reason))

    def _headers(self, kind: str, length: int) -> list[tuple[str, str]]:
        return [
            ("server", "nginx"),
            ("date", formatdate(self._clock(), usegmt=True)),
            ("content-type", kind),
            ("content-length", str(length)),
            ("x-request-id", self._nonce),
        ]

    def _send(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""
