"""What a protocol looks like to the session that carries it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.gateway.http import Conversation, Exchange, Reply
from sandbox.gateway.tape import Tape
from sandbox.gateway.websocket import WebSocket


@dataclass(frozen=True)
class Turn:
    """What a protocol does after something happened.

    Attributes:
        send: Bytes to send, possibly none.
        close: Whether the connection ends after `send`.
        delay: Whether a realistic server would take its time with this answer.
        start_tls: What goes on in TLS after `send` ("smtp" or "ftp"), if TLS begins.
        switch: What the connection speaks after `send`, if something else.
        rest: What came for the protocol switched to.
    """

    send: bytes = b""
    close: bool = False
    delay: bool = False
    start_tls: str | None = None
    switch: Talk | str | None = None
    rest: bytes = b""


NOTHING = Turn()


class Talk:
    """A protocol on one connection; this one takes everything and says nothing.

    Attributes:
        records: Whether it records both directions by itself, since it decodes what comes.
        patience: Seconds of silence after which `quiet` is to be called; None for never.
    """

    records = False
    patience: float | None = None

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes, at least one."""
        return NOTHING

    def quiet(self) -> Turn:
        """Hears that the client has said nothing for `patience` seconds."""
        return NOTHING

    def more(self) -> Turn:
        """The next part of a long answer; nothing to send when there is none."""
        return NOTHING

    def finish(self) -> None:
        """Records what is held back, when the connection has ended in whatever way."""


class HttpTalk(Talk):
    """HTTP/1.1, until it becomes a websocket or a tunnel."""

    def __init__(self, tape: Tape, conversation: Conversation) -> None:
        """Starts with the first request."""
        self._tape = tape
        self._conversation = conversation

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        return self._turn(self._conversation.receive(data))

    def more(self) -> Turn:
        """The next part of a long answer."""
        return self._turn(self._conversation.more())

    def finish(self) -> None:
        """Records a request without end."""
        if exchange := self._conversation.unfinished():
            record(self._tape, exchange)

    def _turn(self, reply: Reply) -> Turn:
        for exchange in reply.exchanges:
            record(self._tape, exchange)
        if reply.error is not None:
            self._tape.error(f"HTTP: {reply.error}")
        switch: Talk | str | None = reply.switch
        if reply.switch == "websocket":
            switch = WebSocketTalk(self._tape)
        delay = bool(reply.exchanges)
        return Turn(reply.send, reply.close, delay, switch=switch, rest=reply.rest)


class GuardedTalk(HttpTalk):
    """HTTP/1.1 in a closed world, recorded when it is known whether the firewall lets it through.

    A request that names a host which cannot be reached is the connection's last.
    """

    records = True

    def __init__(self, tape: Tape, conversation: Conversation) -> None:
        """Starts with the first request."""
        super().__init__(tape, conversation)
        self._held = bytearray()

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        self._held += data
        return super().receive(data)

    def finish(self) -> None:
        """Records half a head and a request without end."""
        self._tape.out(bytes(self._held))
        self._held.clear()
        super().finish()

    def _turn(self, reply: Reply) -> Turn:
        settled = len(self._held) - len(reply.rest) - reply.unsettled
        self._tape.out(bytes(self._held[:settled]))
        del self._held[:settled]
        if reply.barred is not None:
            self._tape.refuse(f"HTTP for {reply.barred}, which is not allowed")
            self._tape.out(bytes(self._held))
        if reply.barred is not None or reply.switch is not None:
            self._held.clear()
        self._tape.back(reply.send)
        return super()._turn(reply)


class WebSocketTalk(Talk):
    """A websocket: what is in its frames has a stream of its own, the rest stays where it was."""

    records = True

    def __init__(self, tape: Tape) -> None:
        """Starts after the handshake on `tape`."""
        self._tape = tape
        self._inside = tape.part("websocket")
        self._socket = WebSocket()

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        frames = self._socket.receive(data)
        self._tape.out(frames.heads)
        self._inside.out(frames.payload)
        if frames.error is not None:
            self._tape.error(f"websocket: {frames.error}")
        self._tape.back(frames.send)
        return Turn(frames.send, frames.close)

    def finish(self) -> None:
        """Records half a frame header and closes the inner stream."""
        self._tape.out(self._socket.unfinished())
        self._inside.close()


def record(tape: Tape, exchange: Exchange) -> None:
    """Records one HTTP request."""
    tape.event(
        "http",
        method=exchange.method,
        target=exchange.target,
        host=exchange.host,
        status=exchange.status,
        request_bytes=exchange.request_bytes,
    )
