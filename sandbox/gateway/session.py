"""One TCP connection to the gateway: recognised by its content, recorded, then answered.

There is no socket here: `Session.receive` takes what came in, writes it down and returns what to
send, so that nothing can be answered before it is in the capture.
"""

import re
import ssl
from collections.abc import Callable

from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import Address, CaptureWriter
from sandbox.gateway.dns import framed, frames
from sandbox.gateway.http import Conversation, Exchange
from sandbox.gateway.tls import TlsServer

DNS_PORTS = (53, 853)  # DNS over TCP, DNS over TLS
# Longer opening lines are not waited for: whatever it is, it is recorded as raw bytes.
_LONGEST_LINE = 16 << 10
# Handshakes stay out of the payload. One larger than this carries more than a handshake needs.
_LARGEST_HANDSHAKE = 4 << 10
_LONGEST_HANDSHAKE = 64 << 10

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} [^\s]+ HTTP/1\.[01]\r?\n")
_OPENING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}( [^\s]*( [HTP/1.0]*\r?)?)?")

DnsAnswer = Callable[[int, bytes], bytes | None]
"""Records the question of a DNS message on a stream and gives the reply."""


def looks_like_tls(opening: bytes) -> bool | None:
    """Whether a connection opens with a TLS handshake record; None until that can be told."""
    if b"\x16\x03".startswith(opening[:2]) and len(opening) < 3:
        return None
    return opening[:2] == b"\x16\x03" and opening[2] <= 4


def looks_like_http(opening: bytes) -> bool | None:
    """Whether a connection opens with an HTTP/1 request line; None until that can be told."""
    if _REQUEST_LINE.match(opening):
        return True
    if len(opening) < _LONGEST_LINE and _OPENING.fullmatch(opening):
        return None
    return False


class Session:
    """The gateway's side of one TCP connection."""

    def __init__(
        self,
        writer: CaptureWriter,
        stream: int,
        dst: Address,
        authority: Authority,
        answer_dns: DnsAnswer,
    ) -> None:
        """Starts a connection.

        Args:
            writer: Where everything is recorded first.
            stream: The connection's stream in the capture, already open.
            dst: Address and port the agent meant to reach.
            authority: Mints the certificate if the client speaks TLS.
            answer_dns: Answers DNS messages.
        """
        self._writer = writer
        self._stream = stream
        self._dst = dst
        self._authority = authority
        self._answer_dns = answer_dns
        self._held = b""  # the first bytes, or a handshake under way: not yet in the capture
        self._plain = False
        self._tls: TlsServer | None = None
        self._opening = b""
        self._raw = False
        self._http: Conversation | None = None
        self._messages: bytes | None = b"" if dst[1] in DNS_PORTS else None
        self.closing = False
        """Whether the gateway's side is done; what still comes in is recorded all the same."""

    def receive(self, data: bytes) -> bytes:
        """Records what came in and returns the answer, possibly none.

        Args:
            data: The bytes that came in, at least one.

        Raises:
            CaptureFull: The capture takes no more.
        """
        if self._tls is not None:
            return self._receive_tls(self._tls, data)
        if self._plain:
            return self._receive_plain(data)
        opening = self._held + data
        tls = looks_like_tls(opening)
        if tls is None:
            self._held = opening
            return b""
        self._held = b""
        if tls:
            self._tls = TlsServer(self._authority, self._dst[0])
            return self._receive_tls(self._tls, opening)
        self._plain = True
        return self._receive_plain(opening)

    def finish(self) -> None:
        """Records what is still held back, when the connection has ended in whatever way.

        Raises:
            CaptureFull: The capture takes no more.
        """
        if self._held:
            held, self._held = self._held, b""
            self._writer.data(self._stream, "out", held)
        if self._http is not None and (exchange := self._http.unfinished()):
            self._http = None
            self._record(exchange)

    def _receive_tls(self, tls: TlsServer, records: bytes) -> bytes:
        shaking = not tls.established
        if shaking:
            self._held += records
        try:
            plaintext = tls.receive(records)
            if shaking and not tls.established and len(self._held) > _LONGEST_HANDSHAKE:
                raise ssl.SSLError("handshake without end")
        except (ssl.SSLError, ValueError) as error:
            # Not TLS after all, or broken off: what was sent counts as it was sent.
            alert = tls.pending()
            self._tls, self._plain, self._raw = None, True, True
            sent, self._held = self._held if shaking else records, b""
            self._writer.data(self._stream, "out", sent)
            self._error(f"TLS: {getattr(error, 'reason', None) or error}")
            self.closing = True
            return alert
        if shaking and tls.established:
            self._record_handshake(tls)
        if plaintext:
            tls.send(self._receive_plain(plaintext))
        if tls.closing and not self.closing:
            tls.close()
            self.closing = True
        return tls.pending()

    def _record_handshake(self, tls: TlsServer) -> None:
        held, self._held = self._held, b""
        small = len(held) <= _LARGEST_HANDSHAKE
        self._writer.event(
            "tls", stream=self._stream, sni=tls.sni, hello=held.hex() if small else None
        )
        if not small:
            self._writer.data(self._stream, "out", held)

    def _receive_plain(self, data: bytes) -> bytes:
        self._writer.data(self._stream, "out", data)
        answer = self._answer(data)
        if answer:
            self._writer.data(self._stream, "in", answer)
        return answer

    def _answer(self, data: bytes) -> bytes:
        if self._raw:
            return b""
        if self._messages is not None:
            return self._answer_messages(self._messages + data)
        if self._http is not None:
            return self._answer_http(self._http, data)
        self._opening += data
        http = looks_like_http(self._opening)
        if http is None:
            return b""
        opening, self._opening = self._opening, b""
        if not http:
            self._raw = True
            return b""
        self._http = Conversation(self._writer.nonce)
        return self._answer_http(self._http, opening)

    def _answer_http(self, conversation: Conversation, data: bytes) -> bytes:
        reply = conversation.receive(data)
        for exchange in reply.exchanges:
            self._record(exchange)
        if reply.error is not None:
            self._error(f"HTTP: {reply.error}")
        self.closing = self.closing or reply.close
        return reply.send

    def _answer_messages(self, received: bytes) -> bytes:
        messages, self._messages = frames(received)
        replies = (self._answer_dns(self._stream, message) for message in messages)
        return b"".join(framed(reply) for reply in replies if reply is not None)

    def _record(self, exchange: Exchange) -> None:
        self._writer.event(
            "http",
            stream=self._stream,
            method=exchange.method,
            target=exchange.target,
            host=exchange.host,
            status=exchange.status,
            request_bytes=exchange.request_bytes,
        )

    def _error(self, reason: str) -> None:
        self._writer.event("error", stream=self._stream, reason=reason)
