"""Undo changes that keep the length: byte order, bit order, a constant, a repeating key.

Each change is tried on probes; only one that makes sense there is undone in full.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.decode import Blob, starts_container
from sandbox.evidence.index import Index
from sandbox.evidence.keys import BLOCK, constants, sums, unkey
from sandbox.evidence.noise import PRINTABLE, repeats

PROBE = 32 << 10
"""Bytes of a probe."""
SMALL_PROBE = 4 << 10
"""Bytes of a probe of what was already changed once."""
LEAST = 1 << 10
"""Bytes below which no change is looked for."""
THIN = 0.15
"""Share to which zlib shrinks what is too regular to be the reference in any encoding."""

_HEAD = 4096

Bytes = NDArray[np.uint8]
Change = Callable[[Bytes], Bytes]

_ALL = np.arange(256, dtype=np.uint8)
_NIBBLES: Bytes = (_ALL << 4 | _ALL >> 4).astype(np.uint8)
_BITS: Bytes = np.packbits(np.unpackbits(_ALL.reshape(-1, 1), axis=1)[:, ::-1], axis=1).ravel()


def _swap(width: int, skip: int) -> Change:
    def change(data: Bytes) -> Bytes:
        whole = max(0, (len(data) - skip) // width * width)
        output = data.copy()
        words = data[skip : skip + whole].reshape(-1, width)
        output[skip : skip + whole] = words[:, ::-1].ravel()
        return output

    return change


_MOVES: dict[str, list[Change]] = {
    "reversed": [lambda data: data[::-1].copy()],
    "swap16": [_swap(2, 0), _swap(2, 1)],
    "swap32": [_swap(4, n) for n in range(4)],
}
_TURNS: list[tuple[str, Change]] = [
    ("nibbles swapped", lambda data: _NIBBLES[data]),
    ("bits reversed", lambda data: _BITS[data]),
]


def changed(
    data: bytes, index: Index, known: Callable[[bytes], bool], *, deep: bool
) -> Iterator[Blob]:
    """What a buffer was before its bytes were changed in a regular way.

    Args:
        data: The buffer, which makes no sense as it is.
        index: The reference.
        known: Whether a probe of what the buffer may have been holds the reference.
        deep: Also look for what shows only in other data than the reference.

    Yields:
        At most one blob.
    """
    if not may_be_changed(data):
        return
    array: Bytes = np.frombuffer(data, np.uint8)
    found = _found(array, index, known, deep)
    if found is not None:
        name, output = found
        yield Blob(name, 0, len(data), output.tobytes(), True)


def may_be_changed(data: bytes) -> bool:
    """Whether a buffer is large and rich enough to be the reference in some disguise."""
    middle = len(data) // 2
    return len(data) >= LEAST and any(
        len(zlib.compress(part, 1)) >= THIN * len(part)
        for part in (data[:_HEAD], data[middle : middle + _HEAD], data[-_HEAD:])
    )


def _found(
    array: Bytes, index: Index, known: Callable[[bytes], bool], deep: bool
) -> tuple[str, Bytes] | None:
    distances = repeats(array)
    printable = bool(PRINTABLE[array[:_HEAD]].all())
    if printable and not deep:
        return None
    probes = _probes(array, PROBE if deep else SMALL_PROBE)

    def plain(change: Change) -> bool:
        return any(index.find(change(probe).tobytes()) for probe in probes)

    moves = [
        (name, change)
        for name, changes in _MOVES.items()
        for change in (changes[:2] if printable else changes)
    ]
    if not printable:
        moves += _TURNS
    if distances:
        for name, change in moves:
            if plain(change):
                return name, change(array)
        for name, change in moves if deep else ():
            edge = probes[-1 if name == "reversed" else 0]
            if any(known(change(probe).tobytes()) for probe in (edge, *probes[1:2])):
                return name, change(array)
    if printable:
        return None
    if distances:
        added = sums(probes, index)
        if added is not None:
            return "add", array - np.uint8(added)
    if deep:
        for name, change in _edges(array):
            if known(change(array[:BLOCK] if name != "reversed" else array[-BLOCK:]).tobytes()):
                return name, change(array)
    if deep:
        for name, change in constants(array, distances):
            if known(change(array[: PROBE if distances else BLOCK]).tobytes()):
                return name, change(array)
    output = unkey(array, distances, index, known, deep=deep)
    return ("xor", output) if output is not None else None


def _edges(array: Bytes) -> Iterator[tuple[str, Change]]:
    """Changes under which the buffer begins with the mark of compressed data."""
    for name, change in [*((name, made[0]) for name, made in _MOVES.items()), *_TURNS]:
        edge = array[-64:] if name == "reversed" else array[:64]
        if starts_container(change(edge).tobytes()):
            yield name, change


def _probes(array: Bytes, size: int) -> list[Bytes]:
    if len(array) <= 3 * size:
        return [array]
    middle = len(array) // 8 * 4
    return [array[:size], array[middle : middle + size], array[-size:]]
