"""Captures: an append-only, hash-chained record of everything that reached the gateway.

A capture is a folder of two files. `events.jsonl` has one compact JSON object per line,
`{"seq": n, "prev": hex, "t": seconds, "kind": ..., ..., "sum": hex}`, where `prev` is the SHA-256
of the previous line (64 zeros first) and `sum` checks the line itself, so that the last line of a
capture that was never sealed is protected too. `bytes.bin` holds the payloads that `data` events
point into. An `end` event seals the capture: only a sealed capture is complete.

Standard library only: this module also runs inside the gateway image.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.gateway.owner import Owner
from sandbox.gateway.reading import (
    BYTES,
    EVENTS,
    SUM,
    VERSION,
    ZERO,
    Address,
    Capture,
    ChainBroken,
    Chunk,
    Direction,
    Stream,
    line_check,
    load_capture,
    read_capture,
)

__all__ = [
    "BYTES",
    "EVENTS",
    "VERSION",
    "Address",
    "Capture",
    "CaptureFull",
    "CaptureWriter",
    "ChainBroken",
    "Chunk",
    "Direction",
    "Stream",
    "load_capture",
    "read_capture",
]

_EVENTS_FLOOR = 1 << 20  # bytes: the event log has the payload's limit for itself, but no less


class CaptureFull(Exception):
    """The capture takes no more: its limit was reached or the disk refused a write."""


class CaptureWriter:
    """Writes one capture; every call appends at once, so a kill loses nothing that was recorded."""

    def __init__(
        self,
        folder: Path,
        *,
        nonce: str,
        limit: int = 96 << 20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Starts a capture.

        Args:
            folder: Where the two files go; created if missing.
            nonce: Proves later which gateway this was; the gateway shows it in `x-request-id`.
            limit: Bytes of payload, or of events, after which the capture is full.
            clock: Unix time in seconds.

        Raises:
            FileExistsError: The folder already holds a capture (a gateway must not restart).
        """
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._events_fd = os.open(folder / EVENTS, flags, 0o600)
        self._bytes_fd = os.open(folder / BYTES, flags, 0o600)
        self._clock = clock
        self._limit = limit
        self._events_limit = max(limit, _EVENTS_FLOOR)
        self._seq = 0
        self._events_size = 0
        self._bytes_size = 0
        self._streams = self._turns = 0
        self._totals: dict[int, dict[str, int]] = {}
        self._full = self._failed = self._ended = False
        self.folder = folder
        """The folder of the capture."""
        self.nonce = nonce
        """What proves which gateway this was."""
        self.head = ZERO
        """SHA-256 of the last line."""
        self.left = 0
        """Outgoing bytes recorded so far, in all streams, without refused ones."""
        self.event("start", version=VERSION, nonce=nonce)

    @property
    def full(self) -> bool:
        """Whether the capture takes no more payload."""
        return self._full

    @property
    def streams(self) -> int:
        """How many streams were opened so far."""
        return self._streams

    def turn(self, index: int) -> None:
        """Records that a turn begins: what is recorded from now on belongs to it.

        Args:
            index: The turn's number; turns are counted from 0, without gaps.

        Raises:
            ValueError: It is another turn's.
            CaptureFull: The capture is sealed, or the disk refused the write.
        """
        if index != self._turns:
            raise ValueError(f"turn {index} cannot begin: the next one is {self._turns}")
        self.event("turn", index=index)
        self._turns += 1

    def open(
        self,
        proto: str,
        src: Address,
        dst: Address,
        host: str | None = None,
        layer: str = "raw",
        *,
        part_of: int | None = None,
        allowed: bool = False,
        owner: Owner | None = None,
    ) -> int:
        """Opens a stream and returns its id; see `Stream` for what the arguments mean.

        `owner` is who sends, if that is known.

        Raises:
            CaptureFull: The event log is at its limit.
        """
        if self._events_size >= self._events_limit:
            self._fill("event log at its limit")
        self._refuse()
        self._streams += 1
        stream = self._streams
        self._totals[stream] = {"out": 0, "in": 0}
        extra: dict[str, Any] = {} if part_of is None else {"part_of": part_of}
        if allowed:
            extra["allowed"] = True
        if owner is not None:
            extra |= {"pid": owner.pid, "command": owner.command}
        self.event(
            "open", stream=stream, proto=proto, src=src, dst=dst, host=host, layer=layer, **extra
        )
        return stream

    def data(
        self, stream: int, direction: Direction, payload: bytes, refused: bool = False
    ) -> None:
        """Records a payload; the part that still fits when it does not fit whole.

        `refused` says that the agent tried to send it and a closed world's firewall kept it back.

        Raises:
            CaptureFull: The limit is reached; a `limit` event has been written.
        """
        self._refuse()
        kept = payload[: self._limit - self._bytes_size]
        if kept:
            at = self._bytes_size
            self._append(self._bytes_fd, kept)
            self._bytes_size += len(kept)
            self._totals[stream][direction] += len(kept)
            if direction == "out" and not refused:
                self.left += len(kept)
            digest = hashlib.sha256(kept).hexdigest()
            extra = {"refused": True} if refused else {}
            self.event(
                "data", stream=stream, dir=direction, at=at, n=len(kept), sha256=digest, **extra
            )
        if len(kept) < len(payload):
            self._fill(f"{self._limit} bytes of payload recorded")
        if self._events_size >= self._events_limit:
            self._fill("event log at its limit")

    def event(self, kind: str, **fields: Any) -> None:
        """Appends one event; `fields` must be JSON and must not be named seq, prev, t or kind.

        Raises:
            CaptureFull: The disk refused the write.
        """
        if self._ended:
            raise CaptureFull("the capture is sealed")
        head = {"seq": self._seq, "prev": self.head, "t": round(self._clock(), 6), "kind": kind}
        body = json.dumps(head | fields, separators=(",", ":")).encode()[:-1]
        line = body + SUM + line_check(body) + b'"}'
        self._append(self._events_fd, line + b"\n")
        self._events_size += len(line) + 1
        self._seq += 1
        self.head = hashlib.sha256(line).hexdigest()

    def close_stream(self, stream: int) -> None:
        """Closes a stream, recording its totals; closing it twice does nothing."""
        totals = self._totals.pop(stream, None)
        if totals is not None:
            self.event("close", stream=stream, **totals)

    def end(self) -> None:
        """Closes what is open, seals the capture and releases the files; twice does nothing."""
        if self._ended:
            return
        try:
            for stream in list(self._totals):
                self.close_stream(stream)
            self.event("end", events=self._seq + 1, bytes=self._bytes_size)
        finally:
            self._ended = self._full = True
            os.close(self._events_fd)
            os.close(self._bytes_fd)

    def _refuse(self) -> None:
        if self._full:
            raise CaptureFull("the capture is full")

    def _fill(self, reason: str) -> None:
        if not self._full:
            self._full = True
            self.event("limit", reason=reason)
        raise CaptureFull(reason)

    def _append(self, fd: int, data: bytes) -> None:
        # After a write that failed half way nothing may follow, or the tail would look edited.
        if self._failed:
            raise CaptureFull("the capture could not be written")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError as error:
            self._failed = self._full = True
            raise CaptureFull(f"the capture could not be written: {error.strerror}") from error
