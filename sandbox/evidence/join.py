"""Put together what left in parts: `gzip | split`, one part to a request."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sandbox.evidence.decode import Budget
from sandbox.evidence.fields import fields, form
from sandbox.evidence.index import Index
from sandbox.evidence.peel import Peeled, peel
from sandbox.evidence.pieces import Piece
from sandbox.evidence.text import is_word

TINY = 16
"""Bytes of a part too small to tell what it is: it goes with either kind."""

MOST_SMALL = 32
"""Small values beside a part beyond which they are data of their own and number nothing."""
SPARE = 8
"""Bytes of work for each byte of the parts that taking frames off may cost."""
LONGEST_FRAME = 256
"""Bytes of the longest frame around a part: a counter, a path, a tag."""
MOST_WORDS = 16
"""Words of it at most."""

_FRAME = re.compile(rb"[0-9A-Za-z]{0,16}([^0-9A-Za-z%\\])", re.DOTALL)  # escapes are data
_DIGITS = re.compile(r"(\d+)")
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"


@dataclass(frozen=True, eq=False)
class Part:
    """Something that may be one part of many.

    Attributes:
        piece: What it came in.
        key: Parts of one upload share it.
        name: File name or request target, and what else may number the parts.
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


def parts(piece: Piece, least: int = TINY) -> list[Part]:
    """The parts that a piece consists of: the values of its fields or headers, or all of it.

    Args:
        piece: The piece.
        least: Bytes of a target or header value that are too few for a part.
    """
    if piece.kind == "head":
        return [part for part in _headers(piece) if len(part.data) > least]
    values = fields(piece.data, piece.content_type) if piece.kind in ("body", "raw") else []
    if not values:
        return [Part(piece, (piece.kind,), piece.name, piece.data)]
    beside = _small(value for _, _, value in values)
    return [
        Part(piece, ("field", name), f"{file or piece.name} {beside}", value)
        for name, file, value in values
    ]


def _headers(piece: Piece) -> Iterator[Part]:
    """The target and the header values of each request."""
    for head in piece.data.split(b"\n\n"):
        target, *lines = head.split(b"\n")
        path, _, query = target.partition(b"?")
        asked = form(query)
        found: list[tuple[tuple[str, ...], bytes]] = [(("target",), path if asked else target)]
        found += [(("query", name), value) for name, value in asked]
        for line in lines:
            name, _, value = line.partition(b": ")
            cookies = form(value.replace(b"; ", b"&")) if name == b"cookie" else []
            found += [(("cookie", key), one) for key, one in cookies]
            if not cookies and name != b"content-length":  # it changes too, and numbers nothing
                found.append((("header", name.decode("latin-1")), value))
        beside = _small(value for _, value in found)
        yield from (Part(piece, key, beside, data) for key, data in found)


def _small(values: Iterable[bytes]) -> str:
    """What is sent beside a part and too small to be one: it may number the parts."""
    small = [value.decode("latin-1") for value in values if len(value) <= TINY]
    return " ".join(small) if len(small) <= MOST_SMALL else ""


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
    # Looking for frames is extra: what it costs leaves nothing else unread.
    spare = Budget(
        SPARE * sum(len(part.data) for part in candidates),
        words=budget.words,
        counts=budget.counts,
    )
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
            found = _group(group, index, budget, spare)
            results += found
            if any(not joined.peeled.rest for joined in found):
                solved.update(group)
    return results


def _group(group: Sequence[Part], index: Index, budget: Budget, spare: Budget) -> list[Joined]:
    """Try the orders in which a group may belong together, then its parts without their frames."""
    # A part that was sent again, after an error say, is the same part.
    unique = list(
        {part.data if len(part.data) > TINY else id(part): part for part in group}.values()
    )
    results: list[Joined] = []
    tried: list[list[bytes]] = []

    def solve(group: Sequence[Part], order: Sequence[Part], purse: Budget) -> bool:
        content = [part.data for part in order]
        if len(order) < 2 or content in tried or not purse.spend(sum(map(len, content))):
            return False
        tried.append(content)
        peeled = peel(b"".join(content), index, purse)
        if purse is spare and spare.problems:  # cut short, it does not tell what is opaque
            return False
        results.append(Joined(tuple(order), tuple(group), peeled))
        return not peeled.rest

    named = sorted(unique, key=lambda part: _natural(part.name))
    if any(solve(group, order, budget) for order in (unique, named)):
        return results
    heads = _frames([part.data[:LONGEST_FRAME] for part in unique])
    tails = _frames([part.data[: -LONGEST_FRAME - 1 : -1] for part in unique])
    if not any(heads + tails):
        return results
    frames = {
        part.data: (head, len(part.data) - tail)
        for part, head, tail in zip(unique, heads, tails, strict=True)
    }

    def bare(parts: Sequence[Part]) -> list[Part]:
        return [replace(part, data=part.data[slice(*frames[part.data])]) for part in parts]

    counted = sorted(unique, key=lambda p: _natural(p.data[: frames[p.data][0]].decode("latin-1")))
    solve(bare(group), bare(counted), spare)
    return results


def _frames(starts: Sequence[bytes]) -> list[int]:
    """How much of each beginning is around the data: what all share, and words before such."""
    ends = [0] * len(starts)
    for _ in range(MOST_WORDS):
        found = [_FRAME.match(start, end) for start, end in zip(starts, ends, strict=True)]
        if len({match and match[1] for match in found}) != 1 or found[0] is None:
            break
        ends = [match.end() for match in found if match]
    return ends


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
