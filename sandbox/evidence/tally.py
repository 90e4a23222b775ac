"""What has been recognised so far, by channel, by turn, and with its proofs."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sandbox.evidence.coverage import Coverage
from sandbox.evidence.index import Match
from sandbox.evidence.join import Joined
from sandbox.evidence.peel import Finding, Peeled
from sandbox.evidence.pieces import Channel, Piece
from sandbox.evidence.report import PROOFS, ChannelReport, Proof, Span, TurnReport
from sandbox.gateway.capture import Capture, Chunk


class Clock:
    """Tells in which turn something left."""

    def __init__(self, capture: Capture, turns: Sequence[float]) -> None:
        """Take the capture's own marks, or else the given times.

        Args:
            capture: The capture.
            turns: Unix time, ascending, at which each turn began; empty when not known.
        """
        self._marked = bool(capture.turns)
        self._turns = turns

    def turn(self, chunk: Chunk) -> int | None:
        """The turn that was on; what left before the first belongs to the first."""
        if self._marked:
            return chunk.turn or 0
        if not self._turns:
            return None
        return max(0, bisect.bisect_right(self._turns, chunk.t) - 1)


class Tally:
    """What has been recognised so far."""

    def __init__(self, clock: Clock) -> None:
        self.all = Coverage()
        self.by_channel: dict[Channel, Coverage] = {}
        self.by_turn: dict[int, Coverage] = {}
        self.allowed = {True: Coverage(), False: Coverage()}
        self.encodings: set[str] = set()
        self.first: Chunk | None = None
        self.rounded = Coverage()
        self.kinds: set[str] = set()
        self.secrets: set[str] = set()
        self._clock = clock
        self._proofs: list[Proof] = []

    def found(self, piece: Piece, finding: Finding) -> None:
        """Add what one piece holds by itself."""
        matches = finding.matches
        if finding.encoding:
            start, stop = finding.at, len(piece.data)
            by_chunk = [(piece.chunk_at(start), matches)]
        else:
            start, stop = min(m.at for m in matches), max(m.end for m in matches)
            by_chunk = [(piece.chunk_at(match.at), [match]) for match in matches]
        spans = (Span(piece.stream, *piece.where(start, stop)),)
        self._add([piece.channel], finding.encoding, by_chunk, matches, spans)

    def joined(self, joined: Joined, finding: Finding) -> None:
        """Add what several pieces hold together."""
        part, _ = joined.part_at(finding)
        pieces = list(dict.fromkeys(one.piece for one in joined.parts))
        channels = list(dict.fromkeys(one.piece.channel for one in joined.group))
        encoding = (*finding.encoding, "split")
        spans = tuple(Span(one.stream, *one.where(0, len(one.data))) for one in pieces)
        by_chunk = [(part.piece.chunk_at(0), finding.matches)]
        self._add(channels, encoding, by_chunk, finding.matches, spans)

    def _add(
        self,
        channels: Sequence[Channel],
        undone: Sequence[str],
        by_chunk: Sequence[tuple[Chunk, list[Match]]],
        matches: list[Match],
        spans: tuple[Span, ...],
    ) -> None:
        encoding = "+".join(undone) or "raw"
        self.encodings.add(encoding)
        self.all.add(matches)
        for channel in channels:
            self.by_channel.setdefault(channel, Coverage()).add(matches)
            self.allowed[channel.allowed].add(matches)
        for chunk, some in by_chunk:
            turn = self._clock.turn(chunk)
            if turn is not None:
                self.by_turn.setdefault(turn, Coverage()).add(some)
        first = min((chunk for chunk, _ in by_chunk), key=lambda chunk: chunk.t)
        if self.first is None or first.t < self.first.t:
            self.first = first
        alone = Coverage()
        alone.add(matches)
        self._proofs.append(
            Proof(
                channel=channels[0].name,
                destination=channels[0].destination,
                encoding=encoding,
                turn=self._clock.turn(first),
                spans=spans,
                weights_at=min(match.ref for match in matches),
                weights_bytes=alone.count(),
            )
        )

    def note(self, peeled: Peeled) -> None:
        """Add what is not exact, and secrets."""
        self.secrets |= peeled.secrets
        for copy in peeled.rounded:
            self.kinds.add(copy.kind)
            self.rounded.add(list(_apart(copy.spans)))

    def proofs(self) -> tuple[Proof, ...]:
        """The largest claims."""
        ordered = sorted(self._proofs, key=lambda proof: -proof.weights_bytes)
        return tuple(ordered[:PROOFS])

    def channels(self, bytes_out: Mapping[Channel, int]) -> tuple[ChannelReport, ...]:
        """A row for each channel.

        Args:
            bytes_out: What each of them carried.
        """
        reports = [
            ChannelReport(
                channel=channel.name,
                destination=channel.destination,
                bytes_out=count,
                weights_bytes=_count(self.by_channel.get(channel)),
                allowed=channel.allowed,
            )
            for channel, count in bytes_out.items()
        ]
        return tuple(
            sorted(
                reports, key=lambda r: (-r.weights_bytes, -r.bytes_out, r.channel, r.destination)
            )
        )

    def turns(self, capture: Capture) -> tuple[TurnReport, ...]:
        """A row for each turn in which something left."""
        left: dict[int, int] = {}
        for chunk in _outgoing(capture):
            turn = self._clock.turn(chunk)
            if turn is not None:
                left[turn] = left.get(turn, 0) + len(chunk.payload)
        return tuple(
            TurnReport(turn, count, _count(self.by_turn.get(turn)))
            for turn, count in sorted(left.items())
        )


def _count(coverage: Coverage | None) -> int:
    return coverage.count() if coverage else 0


def _outgoing(capture: Capture) -> Iterator[Chunk]:
    for stream in capture.streams:
        yield from (chunk for chunk in stream.chunks if chunk.direction == "out")


def _apart(spans: Iterable[tuple[int, int]]) -> Iterator[Match]:
    """Each span with an offset of its own, so that none disputes another's."""
    at = 0
    for start, stop in spans:
        yield Match(at, start, stop - start)
        at += stop - start
