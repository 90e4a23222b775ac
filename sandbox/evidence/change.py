"""Undo changes that keep the length: byte order, bit order, a constant, a repeating key.

Each change is tried on probes; only one that makes sense there is undone in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.decode import Blob, starts_container
from sandbox.evidence.index import Index
from sandbox.evidence.keys import BLOCK, cancelled, constants, sums, unkey
from sandbox.evidence.noise import Look, is_text, share

PROBE = 32 << 10
"""Bytes of a probe."""
LOWEST, HIGHEST = 0.1, 2.5
"""How far the repetition of a changed copy, between other things, may be from the reference's."""

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
_TURNS: dict[str, list[Change]] = {
    "nibbles swapped": [lambda data: _NIBBLES[data]],
    "bits reversed": [lambda data: _BITS[data]],
}


def changed(
    look: Look, index: Index, known: Callable[[bytes], bool], *, deep: bool
) -> Iterator[Blob]:
    """What a buffer was before its bytes were changed in a regular way.

    Args:
        look: The buffer, which makes no sense as it is.
        index: The reference.
        known: Whether a probe of what the buffer may have been holds the reference.
        deep: Also look for what shows only in other data than the reference.

    Yields:
        At most one blob.
    """
    if not look.rich:
        return
    found = _found(look, index, known, deep)
    if found is not None:
        name, output = found
        yield Blob(name, 0, len(look.data), output.tobytes(), True)


def is_alike(array: Bytes, distances: Mapping[int, float], index: Index) -> bool:
    """Whether bytes repeat about as often as in the reference, as they do under every change."""
    least, most = index.repetition
    return any(
        LOWEST * least <= share(excess, len(array)) <= HIGHEST * most
        for distance, excess in distances.items()
        if distance % 2 == 0
    )


def _found(
    look: Look, index: Index, known: Callable[[bytes], bool], deep: bool
) -> tuple[str, Bytes] | None:
    array = look.array
    alike = index.noisy or is_alike(array, look.distances, index)
    if not deep:
        # No change that keeps the length makes text of weights.
        if look.text or not alike:
            return None
        return _plain(array, look.distances, index)
    if look.prose:
        return None
    for name, change in _guesses(look, alike):
        edge = change(array[-BLOCK:] if name == "reversed" else array[:BLOCK])
        probes = [edge]
        if not starts_container(edge[:16].tobytes()):
            middle = array[len(array) // 8 * 4 :][:PROBE]
            probes = [edge[:PROBE], change(middle)] if len(array) > PROBE else [edge]
        if any(known(probe.tobytes()) for probe in probes):
            return name, change(array)
    if look.text:
        return None
    output = unkey(array, look.distances, index, known)
    return ("xor", output) if output is not None else None


def _plain(array: Bytes, distances: Mapping[int, float], index: Index) -> tuple[str, Bytes] | None:
    """A change of the reference itself."""
    probes = [array]
    if len(array) > 3 * PROBE:
        # Words begin at the same places in every probe.
        middle, last = len(array) // 8 * 4, (len(array) - PROBE) // 4 * 4
        probes = [array[:PROBE], array[middle : middle + PROBE], array[last:]]
    for name, changes in (*_MOVES.items(), *_TURNS.items()):
        for change in changes:
            if any(index.find(change(probe).tobytes()) for probe in probes):
                return name, change(array)
    added = sums(probes, index)
    if added is not None:
        return "add", array - np.uint8(added)
    output = cancelled(array, distances, index)
    return ("xor", output) if output is not None else None


def _guesses(look: Look, alike: bool) -> Iterator[tuple[str, Change]]:
    """Changes under which a buffer may be what holds the reference."""
    array, text = look.array, look.text
    for name, changes in (*_MOVES.items(), *_TURNS.items()):
        for number, change in enumerate(changes):
            edge = change(array[-64:] if name == "reversed" else array[:64])
            if (
                (number == 0 and starts_container(edge.tobytes()))
                or (name in ("reversed", "swap16") and (text or alike))
                or (name in _TURNS and alike and not text)
                or (name in _TURNS and not text and is_text(change(array[:PROBE])))
            ):
                yield name, change
    yield from constants(array, look.distances)
