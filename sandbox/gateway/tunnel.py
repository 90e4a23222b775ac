"""Protocols that carry others: the inside of a CONNECT, and DNS messages on a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.gateway.dns import framed, frames
from sandbox.gateway.outside import Outside
from sandbox.gateway.talk import Talk, Turn
from sandbox.gateway.tape import Tape

if TYPE_CHECKING:
    from sandbox.gateway.session import Session


class TunnelTalk(Talk):
    """The inside of a CONNECT: a session of its own."""

    records = True

    def __init__(self, tape: Tape, inner: Session) -> None:
        """Serves `inner`, which is recorded on `tape`."""
        self._tape = tape
        self._inner = inner

    @property
    def patience(self) -> float | None:  # type: ignore[override]
        """As the session inside has it."""
        return self._inner.patience

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        return self._turn(self._inner.receive(data))

    def quiet(self) -> Turn:
        """Hears that nothing came."""
        return self._turn(self._inner.quiet())

    def more(self) -> Turn:
        """The next part of a long answer."""
        return self._turn(self._inner.more())

    def finish(self) -> None:
        """Ends the session inside."""
        self._inner.finish()
        self._tape.close()

    def _turn(self, send: bytes) -> Turn:
        return Turn(send, self._inner.closing, bool(self._inner.delay))


class DnsTalk(Talk):
    """DNS over TCP or TLS."""

    def __init__(self, tape: Tape, outside: Outside) -> None:
        """Waits for the first message."""
        self._tape = tape
        self._outside = outside
        self._buffer = b""

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        messages, self._buffer = frames(self._buffer + data)
        answer_dns, stream = self._outside.answer_dns, self._tape.stream
        replies = (answer_dns(stream, message) for message in messages)
        return Turn(b"".join(framed(reply) for reply in replies if reply is not None))
