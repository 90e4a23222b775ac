"""Find the constant or the repeating key that bytes were combined with."""

from __future__ import annotations

import base64
import functools
import lzma
import math
import string
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.decode import MAGICS, starts_container
from sandbox.evidence.index import Index, Match
from sandbox.evidence.noise import LONGEST_KEY, PRINTABLE, histograms, period

ENOUGH = 4 << 20
"""Bytes from which a key is worked out by shares, at most."""
BLOCK = 1 << 20
"""Bytes of compressed data of which some decodes for certain: bz2 has blocks of 900 KB."""
WEAK = 30.0
"""Standard deviations of repeats below which data may be compressed data."""
STAND_OUT = 1.3
"""How much more than usual bytes repeat at each multiple of a key's length."""
CONSTANTS = 24
"""Constants that are tried, at most, when several make text."""
CANDIDATES = 24
"""Keys that are tried, at most, when several make sense."""

Bytes = NDArray[np.uint8]
Change = Callable[[Bytes], Bytes]
Encode = Callable[[bytes], bytes]

_PROBE = 32 << 10
_LITTLE = 8 << 10
_SAMPLE = 240_000


def _table(characters: str) -> NDArray[np.int64]:
    table = np.zeros(256, np.int64)
    table[[*characters.encode()]] = 1
    return table


# Where a byte was before a constant, for each constant and byte that it may have been.
_XORED = np.arange(256)[:, None] ^ np.arange(256)[None, :]
_ADDED = (np.arange(256)[:, None] + np.arange(256)[None, :]) % 256
# How much a character speaks for encoded text.
_LIKELY = np.zeros(256)
_LIKELY[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ,\r\n"]] = 1.0
_LIKELY[[*b"0123456789"]] = 1.25
_LIKELY[[*b"+/=-_%"]] = 0.5
# Encodings in which a column has few characters of its own: how, bytes, characters, which.
_SPELLINGS: list[tuple[Encode, int, int, NDArray[np.int64]]] = [
    (base64.b64encode, 3, 4, _table(string.ascii_letters + string.digits + "+/=\r\n")),
    (base64.urlsafe_b64encode, 3, 4, _table(string.ascii_letters + string.digits + "-_=\r\n")),
    (base64.b32encode, 5, 8, _table(string.ascii_uppercase + "234567=\r\n")),
]
_BZ2_HEAD = b"BZh91AY&SY"  # the fourth byte is the level
_BZ2_MAP, _BZ2_ONES = 18, 33  # where the map of bytes in use begins, and how long it is


def sums(probes: Sequence[Bytes], index: Index) -> int | None:
    """The constant that was added to every byte of the reference, modulo 256.

    Args:
        probes: Parts of the buffer.
        index: The reference.

    Returns:
        1..255, or None when there is none.
    """
    derived = index.derived("add", 1)
    for probe in probes:
        for match in derived.find(np.diff(probe).tobytes()):
            ref = derived.original(match.ref)
            constant = (int(probe[match.at]) - int(index.data[ref])) % 256
            if constant:
                return constant
    return None


def constants(array: Bytes, distances: Mapping[int, float]) -> Iterator[tuple[str, Change]]:
    """Constants under which a buffer begins like compressed data, or is text.

    Args:
        array: The buffer.
        distances: What `repeats` says about it.

    Yields:
        Names and ways to undo.
    """
    head = [int(byte) for byte in array[:16]]
    for magic in MAGICS:
        if not 2 < len(magic) <= len(head):
            continue  # two bytes fit too often
        key = head[0] ^ magic[0]
        if key and all(head[n] ^ key == magic[n] for n in range(len(magic))):
            yield "xor", _combine(key, np.bitwise_xor)
        key = (head[0] - magic[0]) % 256
        if key and all((head[n] - key) % 256 == magic[n] for n in range(len(magic))):
            yield "add", _combine(key, np.subtract)
    used = np.bincount(array[:_PROBE], minlength=256)
    if not distances or not array.size:
        return
    for name, moved, operation in (
        ("xor", _XORED, np.bitwise_xor),
        ("add", _ADDED, np.subtract),
    ):
        counts = used[moved]
        whole = np.flatnonzero(counts @ PRINTABLE >= 0.98 * used.sum())
        scores = counts @ _LIKELY
        # What reads better as it is was not changed.
        better = whole[scores[whole] > 1.02 * scores[0]]
        for key in better[np.argsort(-scores[better], kind="stable")][:CONSTANTS].tolist():
            yield name, _combine(key, operation)


def _combine(key: int, operation: np.ufunc) -> Change:
    def change(data: Bytes) -> Bytes:
        changed: Bytes = operation(data, np.uint8(key))
        return changed

    return change


def unkey(
    array: Bytes, distances: Mapping[int, float], index: Index, known: Callable[[bytes], bool]
) -> Bytes | None:
    """Undo a repeating key over encoded or compressed data, by the shares of bytes.

    Args:
        array: The buffer.
        distances: What `repeats` says about it.
        index: The reference.
        known: Whether a probe of what the buffer may have been holds the reference.

    Returns:
        The buffer without its key, or None.
    """
    for key in (*_heads(array), *_over_bz2(array)):
        if known(_apply(array[:BLOCK], key).tobytes()):
            return _apply(array, key)
    found = period(array) if max(distances.values(), default=0.0) < WEAK else None
    for width in _likely(distances)[::-1] if found is None else [found]:
        if found is None and not _may_be_text(array[:ENOUGH], width):
            continue
        counts = histograms(array[:ENOUGH], width)
        middle = len(array) // 2 // width * width
        whole = _completed(array, _columns(counts))[:CANDIDATES]
        for key in [*_spelled(array[:ENOUGH], width, index), *whole]:
            parts = [array[:_LITTLE], array[middle : middle + _LITTLE]]
            if starts_container(_apply(array[:16], key).tobytes()):
                parts = [array[:BLOCK]]
            if any(known(_apply(part, key).tobytes()) for part in parts):
                return _apply(array, key)
    return None


def cancelled(array: Bytes, distances: Mapping[int, float], index: Index) -> Bytes | None:
    """Undo a repeating key over the reference, of 1 to `LONGEST_KEY` bytes that nobody told.

    Where the key repeats, it cancels out of the exclusive or of two bytes a key's length apart:
    the reference is found in those, and then the key is the difference to it.

    Args:
        array: The buffer.
        distances: What `repeats` says about it.
        index: The reference.

    Returns:
        The buffer without its key, or None.
    """
    # A reference that is noise looks the same under any key: every length has to be tried, and
    # those that two keys make together.
    for distance in range(1, 2 * LONGEST_KEY + 1) if index.noisy else _likely(distances):
        output = _cancelled(array, distance, index)
        if output is not None:
            return output
    return None


def _likely(distances: Mapping[int, float]) -> list[int]:
    """The distances worth a try: the shortest, those whose multiples stand out, the strongest."""
    if not distances:
        return []
    every = np.array([distances.get(n, 0.0) for n in range(1, 2 * LONGEST_KEY + 1)])
    middle = float(np.median(every))
    out = [
        n
        for n in range(2, LONGEST_KEY + 1)
        if every[n - 1 :: n].min() > STAND_OUT * middle and every[n - 1] > 0
    ]
    strong = int(np.flatnonzero(every > 0.6 * every.max())[0]) + 1
    return list(dict.fromkeys([*sorted(distances)[:2], strong, *out[:2][::-1]]))


def _cancelled(array: Bytes, distance: int, index: Index) -> Bytes | None:
    derived = index.derived("xor", distance)
    starts = {0, len(array) // 2, max(0, len(array) - 2 * _PROBE)}
    if not any(
        derived.find(_folded(array[at : at + 2 * _PROBE], distance)) for at in sorted(starts)
    ):
        return None
    matches = sorted(derived.find(_folded(array, distance)), key=lambda match: match.at)
    output = array.copy()
    touched = False
    for n, match in enumerate(matches):
        # Each run has a phase of its own: parts may have been changed one by one.
        start = 0 if n == 0 else match.at
        stop = matches[n + 1].at if n + 1 < len(matches) else len(array)
        key = _key(array, match, distance, index, derived)
        touched |= bool(key.any())
        output[start:stop] ^= np.resize(np.roll(key, match.at - start), stop - start)
    return output if touched else None


def _key(array: Bytes, match: Match, distance: int, index: Index, derived: Index) -> Bytes:
    ref = derived.original(match.ref)
    return array[match.at : match.at + distance] ^ index.data[ref : ref + distance]


def _folded(array: Bytes, distance: int) -> bytes:
    return (array[:-distance] ^ array[distance:]).tobytes()


def _may_be_text(array: Bytes, width: int) -> bool:
    """Whether each column may be text under a key: one top bit, one pair of the next two rare.

    Text has no byte above 127 and next to none below 32.
    """
    rows = array[: min(len(array), _PROBE) // width * width].reshape(-1, width) >> 5
    cells = (rows + np.arange(width, dtype=np.uint16) * 8).ravel()
    counts = np.bincount(cells, minlength=8 * width).reshape(width, 2, 4)
    top = counts.sum(axis=2).max(axis=1).sum()
    rare = counts.sum(axis=1).min(axis=1).sum()
    return bool(top >= 0.98 * len(cells) and rare <= 0.1 * len(cells))


@functools.cache
def _fixed_heads() -> tuple[bytes, ...]:
    """The beginnings of bz2, xz and gzip that are the same in every file, up to the level.

    Made when first wanted: xz asks for 674 MiB to write the one of its highest level.
    """
    return (
        *(b"BZh%d1AY&SY" % level for level in range(1, 10)),
        *(lzma.compress(b"-" * 64, preset=level)[:24] for level in range(10)),
        *(
            b"\x1f\x8b\x08\x00\0\0\0\0" + bytes([speed, system])
            for speed in (0, 2, 4)
            for system in (3, 255)
        ),
    )


def _heads(array: Bytes) -> Iterator[Bytes]:
    """Keys short enough to be read off the fixed beginning of a compressed file."""
    for head in _fixed_heads():
        stream = array[: len(head)] ^ np.frombuffer(head, np.uint8)[: len(array)]
        # Two bytes beyond the key have to agree.
        for width in range(2, min(LONGEST_KEY, len(stream) - 2) + 1):
            if np.array_equal(stream[width:], stream[:-width]):
                yield stream[:width]
                break


def _over_bz2(array: Bytes) -> Iterator[Bytes]:
    """Keys over bz2 data, longer than its fixed beginning.

    Data with all 256 bytes in it has ones in the map of those in use, which follows 10 fixed bytes
    and 8 others.
    """
    ones = array[_BZ2_MAP : _BZ2_MAP + _BZ2_ONES] ^ np.uint8(0xFF)
    for width in range(len(_BZ2_HEAD), min(_BZ2_ONES, len(ones)) + 1):
        key = np.roll(ones[:width], _BZ2_MAP)
        head = _apply(array[: len(_BZ2_HEAD)], key)
        if np.count_nonzero(head == np.frombuffer(_BZ2_HEAD, np.uint8)) >= len(_BZ2_HEAD) - 1:
            yield key


def _spelled(array: Bytes, width: int, index: Index) -> Iterator[Bytes]:
    """Keys over the reference in base64 or base32, by how often each character occurs where."""
    counts = histograms(array, width)
    for encode, group, unit, alphabet in _SPELLINGS:
        fit = np.stack([own[_XORED] @ alphabet for own in counts])
        if (fit.max(axis=1) < 0.998 * counts.sum(axis=1)).any():
            continue
        cycle = unit * math.lcm(group, 2) // group
        wide = math.lcm(width, cycle)
        moved = histograms(array, wide)[:, _XORED]
        best, key = -math.inf, np.zeros(width, np.int64)
        for lead in range(math.lcm(group, 2)):
            sample = index.data[lead : lead + _SAMPLE]
            sample = sample[: len(sample) // group * group]
            text = np.frombuffer(encode(sample.tobytes()), np.uint8)
            weights = np.log(histograms(text, cycle) + 0.5)
            scores = np.stack([moved[n::cycle] @ weights[n] for n in range(cycle)], axis=1).reshape(
                wide // width, width, 256
            )
            likely = scores.sum(axis=0)
            if likely.max(axis=1).sum() > best:
                best, key = float(likely.max(axis=1).sum()), likely.argmax(axis=1)
        yield key.astype(np.uint8)


def _columns(counts: NDArray[np.int64]) -> Bytes:
    """The key up to a constant: columns are alike but for the byte that each was combined with."""
    width = len(counts)
    key = np.zeros(width, np.int64)
    whole = counts[0].astype(np.float64)
    for again in range(2):
        for n in range(1 - again, width):
            own = counts[n]
            rest = whole - own[_XORED[key[n]]] if again else whole
            weights = np.log(rest + 0.5)
            before = key[n]
            key[n] = int((own[_XORED] @ weights).argmax())
            if not again:
                whole = whole + own[_XORED[key[n]]]
            else:
                whole = whole - own[_XORED[before]] + own[_XORED[key[n]]]
    return key.astype(np.uint8)


def _completed(array: Bytes, relative: Bytes) -> list[Bytes]:
    """Every key of the right shape under which the buffer is text or begins like a container."""
    first = _apply(array[:16], relative)
    shifts = [
        int(first[0]) ^ magic[0]
        for magic in MAGICS
        if len(magic) >= 3 and len({int(a) ^ b for a, b in zip(first, magic, strict=False)}) == 1
    ]
    used = np.bincount(_apply(array[:_PROBE], relative), minlength=256)
    printable = used[_XORED] @ PRINTABLE
    likely = used[_XORED] @ _LIKELY
    order = np.argsort(-likely, kind="stable")
    shifts += [int(n) for n in order if printable[n] * 100 > 98 * used.sum()]
    return [relative ^ np.uint8(shift) for shift in shifts]


def _apply(array: Bytes, key: Bytes) -> Bytes:
    return array ^ np.resize(key, len(array))
