"""Put together what left in parts: `gzip | split`, one part to a request."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.evidence.decode import Budget
from sandbox.evidence.fields import fields
from sandbox.evidence.index import Index
from sandbox.evidence.peel import Peeled, peel
from sandbox.evidence.pieces import Piece
from sandbox.evidence.text import is_word

TINY = 16
"""Bytes of a part too small to tell what it is: it goes with either kind."""

_DIGITS = re.compile(r"(\d+)")
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"


@dataclass(frozen=True, eq=False)
class Part:
    """Something that may be one part of many.

    Attributes:
        piece: What it came in.
        key: Parts of one upload share it.
        name: File name or request target, which may number the parts.
        data: The bytes.
    """

    piece: Piece
    key: tuple[str, ...]
    name: str
    data: bytes


@dataclass(frozen=True)
class Joined:
    """Parts that were read together.

    Attributes:
        parts: In the order in which they were joined.
        group: The same and their copies, which were sent more than once.
        peeled: What was read; offsets are offsets in the joined bytes.
    """

    parts: tuple[Part, ...]
    group: tuple[Part, ...]
    peeled: Peeled

    def part_at(self, at: int) -> Part:
        """The part in which an offset in the joined bytes lies."""
        return self.parts[self._which(at)]

    def between(self, start: int, stop: int) -> tuple[Part, ...]:
        """The parts that a range of the joined bytes touches, at least one."""
        return self.parts[self._which(start) : self._which(stop - 1) + 1]

    def _which(self, at: int) -> int:
        ends = []
        end = 0
        for part in self.parts:
            end += len(part.data)
            ends.append(end)
        return min(bisect.bisect_right(ends, at), len(ends) - 1)


def parts(piece: Piece) -> list[Part]:
    """The parts that a piece consists of: the values of its fields or headers, or all of it."""
    if piece.kind == "head":
        return list(_headers(piece))
    values = fields(piece.data, piece.content_type) if piece.kind in ("body", "raw") else []
    if not values:
        return [Part(piece, (piece.kind,), piece.name, piece.data)]
    return [Part(piece, ("field", name), file or piece.name, value) for name, file, value in values]


def _headers(piece: Piece) -> Iterator[Part]:
    """The target and the header values of each request."""
    for head in piece.data.split(b"\n\n"):
        target, *lines = head.split(b"\n")
        if len(target) > TINY:
            yield Part(piece, ("target",), piece.name, target)
        for line in lines:
            name, _, value = line.partition(b": ")
            if len(value) > TINY:
                yield Part(piece, ("header", name.decode("latin-1")), piece.name, value)


def join(candidates: Sequence[Part], index: Index, budget: Budget) -> list[Joined]:
    """Read parts together: those for one destination first, what stays unread over all of them.

    Args:
        candidates: Parts that made no sense alone, in order of time.
        index: The reference.
        budget: Pays for the work.

    Returns:
        Every joining that was tried.
    """
    results: list[Joined] = []
    solved: set[Part] = set()
    for broad in (False, True):
        groups: dict[tuple[str, ...], list[Part]] = {}
        for part in candidates:
            if part in solved:
                continue
            place = "" if broad else part.piece.channel.destination
            for nature in _natures(part.data):
                groups.setdefault((place, nature, *part.key), []).append(part)
        for group in groups.values():
            if broad and len({part.piece.channel.destination for part in group}) < 2:
                continue
            found = _group(group, index, budget)
            results += found
            solved.update(p for joined in found if not joined.peeled.rest for p in joined.group)
    return results


def _group(group: Sequence[Part], index: Index, budget: Budget) -> list[Joined]:
    """Try the orders in which a group may belong together."""
    # A part that was sent again, after an error say, is the same part.
    unique = list(
        {part.data if len(part.data) > TINY else id(part): part for part in group}.values()
    )
    orders = [unique]
    by_name = sorted(unique, key=lambda part: _natural(part.name))
    if by_name != unique:
        orders.append(by_name)
    results: list[Joined] = []
    for order in orders:
        size = sum(len(part.data) for part in order)
        if len(order) < 2 or not budget.spend(size):
            break
        peeled = peel(b"".join(part.data for part in order), index, budget)
        results.append(Joined(tuple(order), tuple(group), peeled))
        if not peeled.rest:
            break
    return results


def _natures(data: bytes) -> tuple[str, ...]:
    if is_word(data):
        nature = "word"
    elif data[:4096].translate(None, _PRINTABLE) or data.translate(None, _PRINTABLE):
        nature = "binary"
    else:
        nature = "text"
    return (nature, "binary") if len(data) <= TINY and nature != "binary" else (nature,)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which part10 comes after part9."""
    return [
        (int(token), "") if token.isdecimal() else (-1, token)
        for token in _DIGITS.split(name)
        if token
    ]
