"""Read the objects out of git packs, deltas included.

The format is that of git's `Documentation/gitformat-pack.txt`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from sandbox.evidence.decode import Blob, Budget, inflate

MAGIC = b"PACK\0\0\0"
"""How a pack begins; a byte with its version and the number of its objects follow."""

_KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_BY_OFFSET, _BY_NAME = 6, 7
_NAME = 20
_WHOLE_COPY = 0x10000


class Object(NamedTuple):
    """An object of git's.

    Attributes:
        kind: "commit", "tree", "blob" or "tag"; empty when nothing tells.
        data: Its content.
    """

    kind: bytes
    data: bytes


def packs(data: bytes, budget: Budget, known: dict[bytes, Object] | None = None) -> Iterator[Blob]:
    """The objects of every pack in a buffer.

    Of a delta, the object that it makes; where its base is not in the pack, as in a push of
    changes, the bytes that it adds. What follows damage is not read here.

    Args:
        data: The buffer.
        budget: Pays for the output.
        known: Objects by name (SHA-1, 20 bytes) that deltas may be to; those of the packs are added
            to them. Without it, every pack is on its own.

    Yields:
        Blobs in order, not overlapping.
    """
    at = data.find(MAGIC)
    while at >= 0:
        end = at
        for blob in _pack(data, at, budget, {} if known is None else known):
            end = blob.end
            yield blob
        at = data.find(MAGIC, max(end, at + 1))


def _pack(data: bytes, begun: int, budget: Budget, names: dict[bytes, Object]) -> Iterator[Blob]:
    if data[begun + len(MAGIC) : begun + len(MAGIC) + 1] not in (b"\2", b"\3"):
        return
    left = int.from_bytes(data[begun + 8 : begun + 12], "big")
    places: dict[int, Object] = {}
    start, at = begun, begun + 12
    while left and at < len(data):
        entry = at
        first, at = _size(data, at)
        kind, base = (first >> 4) & 7, None
        if kind == _BY_OFFSET:
            back, at = _offset(data, at)
            base = places.get(entry - back)
        elif kind == _BY_NAME:
            base = names.get(data[at : at + _NAME])
            at += _NAME
        elif kind not in _KINDS:
            return
        content, at, whole = inflate(data, at, budget)
        if kind in _KINDS:
            made = Object(_KINDS[kind], content)
        else:
            made = Object(base.kind if base else b"", _applied(content, base, budget))
        left -= 1
        # The checksum belongs to the last object.
        end = at if left or not whole else min(at + _NAME, len(data))
        yield Blob("git", start, end, made.data, whole, damaged=not whole)
        if not whole:
            return
        start = at
        if made.kind:
            head = b"%b %d\0" % (made.kind, len(made.data))
            places[entry] = made
            names[hashlib.sha1(head + made.data, usedforsecurity=False).digest()] = made


def _size(data: bytes, at: int) -> tuple[int, int]:
    """The first byte of an entry, which holds its kind, and where what follows its size begins."""
    first = data[at]
    while at < len(data) and data[at] & 128:
        at += 1
    return first, at + 1


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """How far back a base is, and where what follows begins."""
    value = -1
    while at < len(data):
        byte = data[at]
        value = (value + 1) << 7 | byte & 127
        at += 1
        if not byte & 128:
            break
    return value, at


def _applied(delta: bytes, base: Object | None, budget: Budget) -> bytes:
    """What a delta makes of its base, or without one the bytes that it adds."""
    at = 0
    for _ in range(2):  # the sizes of base and result
        _, at = _size(delta, at) if at < len(delta) else (0, at)
    parts: list[bytes] = []
    while at < len(delta):
        code = delta[at]
        at += 1
        if not code & 128:
            parts.append(delta[at : at + code])
            at += code
            continue
        fields = [0] * 7
        for bit in range(7):
            if code >> bit & 1 and at < len(delta):
                fields[bit] = delta[at]
                at += 1
        where = int.from_bytes(bytes(fields[:4]), "little")
        count = int.from_bytes(bytes(fields[4:]), "little") or _WHOLE_COPY
        if base is not None:
            copied = base.data[where : where + count]
            if not budget.spend(len(copied)):
                break
            parts.append(copied)
    return b"".join(parts)
