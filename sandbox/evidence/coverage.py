"""Count the distinct reference bytes that a set of findings accounts for.

Where two pieces meet, the last bytes of one may by chance also continue the other, so both claim
them. A captured byte left once and can account for one reference byte only: disputed bytes are
shared out so that as many reference bytes as possible are accounted for. A complete copy in any
order therefore counts in full, and disjoint pieces count exactly what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.index import Match

DISPUTE = 4096
"""Longer overlaps are no accident: the reference repeats itself, and both copies count."""

Ints = NDArray[np.int64]


class Coverage:
    """The part of the reference found so far; the order of additions does not matter."""

    def __init__(self) -> None:
        self._sure: list[tuple[int, int]] = []
        self._disputed: list[tuple[int, int]] = []

    def add(self, matches: Iterable[Match]) -> None:
        """Add the runs found in one buffer.

        Args:
            matches: All runs of that buffer, in any order.
        """
        ordered = sorted(matches, key=lambda match: (match.at, match.end))
        spans = [[match.at, match.end] for match in ordered]
        for i in range(1, len(ordered)):
            one, two = ordered[i - 1], ordered[i]
            start, stop = two.at, min(one.end, two.end)
            if start >= stop or stop - start > DISPUTE or two.ref - two.at == one.ref - one.at:
                continue
            spans[i - 1][1] = min(spans[i - 1][1], start)
            spans[i][0] = max(spans[i][0], stop)
            self._disputed += [
                (one.ref + at - one.at, two.ref + at - two.at) for at in range(start, stop)
            ]
        self._sure += [
            (match.ref + start - match.at, match.ref + stop - match.at)
            for match, (start, stop) in zip(ordered, spans, strict=True)
            if start < stop
        ]

    def intervals(self) -> list[tuple[int, int]]:
        """Undisputed reference ranges: half-open, ascending, disjoint, none adjacent."""
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(self._sure):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
            else:
                merged.append((start, stop))
        return merged

    def gaps(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Parts of a range of the reference that nothing undisputed covers.

        Args:
            start: Offset of its first byte; nothing below it was added.
            stop: Offset just after its last; nothing above it was added.

        Returns:
            Half-open ranges, ascending, none empty.
        """
        edges = [start, *(edge for pair in self.intervals() for edge in pair), stop]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(start, stop) for start, stop in pairs if start < stop]

    def count(self) -> int:
        """Distinct reference bytes accounted for."""
        sure = self.intervals()
        total = sum(stop - start for start, stop in sure)
        return total + _share_out(self._disputed, sure)


def _share_out(disputed: Sequence[tuple[int, int]], sure: Sequence[tuple[int, int]]) -> int:
    """Most reference bytes, not surely covered, that disputed bytes can account for.

    Each disputed byte is an edge between two reference bytes and pays for one of them. A connected
    group can pay for as many bytes as it has edges, and for no more than it has bytes.
    """
    starts: Ints = np.array([start for start, _ in sure], np.int64)
    stops: Ints = np.array([stop for _, stop in sure], np.int64)

    def covered(ref: int) -> bool:
        which = int(np.searchsorted(starts, ref, side="right")) - 1
        return which >= 0 and ref < int(stops[which])

    parent: dict[int, int] = {}

    def root(ref: int) -> int:
        parent.setdefault(ref, ref)
        while parent[ref] != ref:
            parent[ref] = parent[parent[ref]]
            ref = parent[ref]
        return ref

    for one, two in disputed:
        parent[root(one)] = root(two)
    edges: dict[int, int] = {}
    for one, _ in disputed:
        edges[root(one)] = edges.get(root(one), 0) + 1
    missing: dict[int, int] = {}
    for ref in list(parent):
        if not covered(ref):
            missing[root(ref)] = missing.get(root(ref), 0) + 1
    return sum(min(edges[group], count) for group, count in missing.items())
