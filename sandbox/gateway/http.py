"""HTTP/1.1 as a server speaks it, with no I/O in it: bytes in, answers and exchanges out."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import h11

from sandbox.gateway import firewall, sites, websocket
from sandbox.gateway.web import Answer, Handler, Request, Site

# h11 buffers an incomplete request head; beyond this the request is refused (and still recorded).
_LARGEST_HEAD = 256 << 10
_CONTINUE = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
_NO_SWITCH = (h11.DONE, h11.MUST_CLOSE)  # of a client that asked for no other protocol
_AT_ONCE = 256 << 10
"""Bytes of answers after which the rest waits for `more`."""


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
        switch: What the connection becomes after `send`: "websocket", or the "host:port" that a
            CONNECT leads to.
        rest: What came after the request that switched.
        barred: The host that a request named and that cannot be reached, if there was one.
        unsettled: How many of the last bytes that came belong to no request yet, or, with `barred`,
            to that request and what follows it.
    """

    send: bytes = b""
    exchanges: tuple[Exchange, ...] = ()
    close: bool = False
    error: str | None = None
    switch: str | None = None
    rest: bytes = b""
    barred: str | None = None
    unsettled: int = 0


class Conversation:
    """One connection's requests, each answered by the site."""

    def __init__(self, site: Site) -> None:
        """Starts a connection to `site`."""
        self._site = site
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)
        self._request: Request | None = None
        self._handler: Handler | None = None
        self._body = 0
        self._sending: Iterator[bytes] | None = None
        self._closed = False
        self._switch: str | None = None
        self._guarded = site.manners.closed
        self._barred: str | None = None
        self._unsettled = 0

    def receive(self, data: bytes) -> Reply:
        """Takes the client's next bytes (not empty); after the close they are ignored."""
        if self._closed or self._switch is not None:
            return Reply()
        self._connection.receive_data(data)
        return self._go_on()

    def more(self) -> Reply:
        """The next part of a long answer; nothing to send when there is none."""
        return Reply() if self._closed or self._switch is not None else self._go_on()

    def unfinished(self) -> Exchange | None:
        """The request that has begun and not ended, if any, with status 0."""
        return None if self._request is None else self._exchange(self._request, 0)

    def _go_on(self) -> Reply:
        send = bytearray()
        exchanges: list[Exchange] = []
        error = None
        try:
            while len(send) < _AT_ONCE and self._advance(send, exchanges):
                pass
        except h11.RemoteProtocolError as problem:
            error = str(problem)
            self._closed = True
            send += self._refuse(problem.error_status_hint)
        rest = b"" if self._switch is None else self._connection.trailing_data[0]
        if self._guarded and self._barred is None:
            waits = not self._closed and self._connection.their_state in (h11.IDLE, h11.DONE)
            self._unsettled = len(self._connection.trailing_data[0]) if waits else 0
        return Reply(
            bytes(send),
            tuple(exchanges),
            self._closed,
            error,
            self._switch,
            rest,
            self._barred,
            self._unsettled,
        )

    def _advance(self, send: bytearray, exchanges: list[Exchange]) -> bool:
        """Handles one event or sends a part of an answer; returns whether there may be more."""
        connection = self._connection
        if self._sending is not None:
            return self._send_part(self._sending, send)
        if self._guarded and connection.their_state is h11.IDLE:
            self._unsettled = len(connection.trailing_data[0])
        event = connection.next_event()
        if isinstance(event, h11.Request):
            self._request, self._body = _request(event), 0
            self._barred = firewall.barred(self._site.manners, self._request)
            if self._barred is not None:
                request, self._request = self._request, None
                send += self._refuse(403)
                exchanges.append(self._exchange(request, 403))
                self._closed = True
                return False
            self._handler = sites.handler(self._site, self._request)
        elif isinstance(event, h11.Data):
            assert self._handler is not None
            self._handler.take(event.data)
            self._body += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert self._request is not None and self._handler is not None
            request, self._request = self._request, None
            status = self._respond(request, self._handler, send)
            exchanges.append(self._exchange(request, status))
        else:
            if connection.they_are_waiting_for_100_continue:
                send += self._send(_CONTINUE)
            return False
        return self._switch is None

    def _respond(self, request: Request, handler: Handler, send: bytearray) -> int:
        if request.method == "CONNECT":
            self._switch = request.target
            accepted = h11.Response(status_code=200, headers=[], reason=b"Connection established")
            send += self._send(accepted)
            return 200
        accept = websocket.accept(request)
        if accept is not None and self._connection.their_state not in _NO_SWITCH:
            self._switch = "websocket"
            headers = [*accept, ("x-request-id", self._site.nonce)]
            switching = h11.InformationalResponse(
                status_code=101, headers=headers, reason=b"Switching Protocols"
            )
            send += self._send(switching)
            return 101
        answer = handler.answer()
        send += self._start(answer)
        self._sending = iter(()) if request.method == "HEAD" else iter(answer.body)
        return answer.status

    def _send_part(self, sending: Iterator[bytes], send: bytearray) -> bool:
        connection = self._connection
        part = next(sending, None)
        if part is not None:
            send += self._send(h11.Data(data=part))
            return True
        self._sending = None
        try:
            send += self._send(h11.EndOfMessage())
        except h11.LocalProtocolError:  # the store was closed, so the body is short
            self._closed = True
            return False
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            self._closed = True
            return False
        connection.start_next_cycle()
        return True

    def _exchange(self, request: Request, status: int) -> Exchange:
        return Exchange(request.method, request.target, request.host, status, self._body)

    def _refuse(self, status: int) -> bytes:
        if self._connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        headers = (("content-type", "text/plain"), ("connection", "close"))
        return self._start(Answer(status, headers, (), 0)) + self._send(h11.EndOfMessage())

    def _start(self, answer: Answer) -> bytes:
        try:
            reason = HTTPStatus(answer.status).phrase.encode()
        except ValueError:  # a setting's own status
            reason = b""
        headers = self._site.common(answer)
        return self._send(h11.Response(status_code=answer.status, headers=headers, reason=reason))

    def _send(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""


def _request(event: h11.Request) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
    return Request(
        method=event.method.decode("latin-1"),
        target=event.target.decode("latin-1"),
        host=headers.get("host"),
        headers=headers,
    )
