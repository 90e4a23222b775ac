"""Where one stream of a connection is recorded; what it carries may have streams of its own."""

from __future__ import annotations

from typing import Any

from sandbox.gateway.capture import Address, CaptureWriter

_SHOWN = 300  # characters of a reason, in which there may be names of the agent's choice


class Tape:
    """Records one stream of a capture, and opens streams for the parts that are decoded from it.

    Every method raises `CaptureFull` when the capture takes no more.
    """

    def __init__(
        self,
        writer: CaptureWriter,
        stream: int,
        src: Address,
        dst: Address,
        host: str | None = None,
        allowed: bool = False,
    ) -> None:
        """Takes a stream that is open in the capture; see `Stream` for what the others mean."""
        self._writer = writer
        self._parts: dict[int, Tape] = {}
        self._whole: Tape | None = None
        self.stream = stream
        self.src = src
        self.dst = dst
        self.host = host
        self.allowed = allowed
        self.refused = False
        """Whether the firewall turns back what the agent sends from now on."""

    @property
    def nonce(self) -> str:
        """The nonce of the gateway that records."""
        return self._writer.nonce

    def out(self, payload: bytes, refused: bool = False) -> None:
        """Records what the agent sent, if anything, or tried to send if it is refused."""
        if payload:
            self._writer.data(self.stream, "out", payload, refused or self.refused)

    def back(self, payload: bytes) -> None:
        """Records what the gateway answers, if anything."""
        if payload:
            self._writer.data(self.stream, "in", payload)

    def event(self, kind: str, **fields: Any) -> None:
        """Records an event of this stream."""
        self._writer.event(kind, stream=self.stream, **fields)

    def error(self, reason: str) -> None:
        """Records what went wrong."""
        self.event("error", reason=reason)

    def refuse(self, reason: str) -> None:
        """Records that the firewall turns back what comes from now on."""
        self.refused = True
        self.event("refused", reason=reason[:_SHOWN])

    def part(
        self,
        layer: str,
        dst: Address | None = None,
        host: str | None = None,
        allowed: bool = False,
    ) -> Tape:
        """Opens a stream for bytes decoded from this one, which go where it goes unless `dst`."""
        if dst is None:
            dst, host, allowed = self.dst, self.host, self.allowed
        stream = self._writer.open(
            "tcp", self.src, dst, host, layer, part_of=self.stream, allowed=allowed
        )
        one = Tape(self._writer, stream, self.src, dst, host, allowed)
        one._whole, one.refused = self, self.refused
        self._parts[stream] = one
        return one

    def close(self) -> None:
        """Closes the stream and its parts; twice does nothing."""
        for one in list(self._parts.values()):
            one.close()
        if self._whole is not None:
            self._whole._parts.pop(self.stream, None)
        self._writer.close_stream(self.stream)
