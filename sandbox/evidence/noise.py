"""Tell noise from data whose bytes were changed in a regular way, by how often bytes repeat."""

from __future__ import annotations

import zlib
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

LONGEST_KEY = 64
"""Bytes of the longest repeating key that is looked for."""
TEXT = 80
"""Characters next to one another that noise never has."""
LEAST = 1 << 10
"""Bytes below which no change is looked for."""
THIN = 0.15
"""Share to which zlib shrinks what is too regular to be the reference in any encoding."""
SURE = 6.0
"""Standard deviations that count as certain."""

PRINTABLE: NDArray[np.bool_] = np.zeros(256, np.bool_)
"""Which bytes are printable ASCII, tabs or line breaks."""
PRINTABLE[[*range(32, 127), 9, 10, 13]] = True

_CLASSES: NDArray[np.uint8] = np.zeros(256, np.uint8)
_CLASSES[[*b"abcdefghijklmnopqrstuvwxyz"]] = 1
_CLASSES[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]] = 2
_CLASSES[[*b"0123456789"]] = 3
_CLASSES[[*b" \n"]] = 4
_CLASSES[[*range(9), *range(14, 32)]] = 5
_HEAD = 4096
_PROBE = 64 << 10
_COLUMNS = 256 << 10
_CELLS = 256

Bytes = NDArray[np.uint8]


def holds_text(data: bytes) -> bool:
    """Whether `TEXT` printable characters may stand next to one another; seldom true of noise."""
    every = PRINTABLE[np.frombuffer(data, np.uint8)[:: TEXT // 16]]
    edges = np.concatenate([[-1], np.flatnonzero(~every), [len(every)]])
    return bool((np.diff(edges) > 15).any())


def repeats(data: Bytes) -> dict[int, float]:
    """How far bytes repeat at a distance more often than those of noise do.

    Args:
        data: Any bytes; its beginning and its middle are looked at.

    Returns:
        Standard deviations for each distance up to twice `LONGEST_KEY` that is above `SURE`.
        Nothing means that the bytes look like noise: encrypted, or compressed.
    """
    sample = data
    if len(data) > 2 * _PROBE:
        middle = len(data) // 2
        sample = np.concatenate([data[:_PROBE], data[middle : middle + _PROBE]])
    found: dict[int, float] = {}
    for distance in range(1, min(2 * LONGEST_KEY, len(sample) // 4) + 1):
        count = len(sample) - distance
        expected = count / _CELLS
        same = int(np.count_nonzero(sample[distance:] == sample[:-distance]))
        excess = (same - expected) / expected**0.5
        if excess > SURE and same > 4:
            found[distance] = float(excess)
    return found


def share(excess: float, size: int) -> float:
    """The share of bytes that a result of `repeats` stands for, beyond that of noise.

    Args:
        excess: Standard deviations.
        size: Bytes of the buffer.
    """
    return float(excess / (_CELLS * min(size, 2 * _PROBE)) ** 0.5)


def is_text(data: Bytes) -> bool:
    """Whether nearly all of a buffer is printable, by its beginning, middle and end."""
    middle = len(data) // 2
    look = np.concatenate([data[:4096], data[middle : middle + 4096], data[-4096:]])
    return bool(np.count_nonzero(PRINTABLE[look]) >= 0.95 * len(look))


def is_prose(data: Bytes) -> bool:
    """Whether a buffer is words or source code throughout, and encodes nothing.

    Small letters and spaces prevail there; every way to write bytes as text has more digits,
    capitals or marks.

    Args:
        data: Any bytes; beginning, middle and end are looked at.
    """
    middle = len(data) // 2
    for look in (data[:4096], data[middle : middle + 4096], data[-4096:]):
        _, small, capitals, digits, spaces, controls = np.bincount(_CLASSES[look], minlength=6)
        if small + spaces < 0.6 * len(look) or spaces < 0.05 * len(look) or controls:
            return False
        if max(capitals, digits) > 0.15 * len(look):
            return False
    return True


class Look:
    """A buffer and what it looks like, each worked out once.

    Args:
        data: The buffer.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.array: Bytes = np.frombuffer(data, np.uint8)

    @cached_property
    def distances(self) -> dict[int, float]:
        """What `repeats` says."""
        return repeats(self.array)

    @cached_property
    def text(self) -> bool:
        """What `is_text` says."""
        return is_text(self.array)

    @cached_property
    def prose(self) -> bool:
        """What `is_prose` says."""
        return is_prose(self.array)

    @cached_property
    def rich(self) -> bool:
        """Whether the buffer is large and rich enough to be weights in some disguise."""
        middle = len(self.data) // 2
        parts = (self.data[:_HEAD], self.data[middle : middle + _HEAD], self.data[-_HEAD:])
        return len(self.data) >= LEAST and any(
            len(zlib.compress(part, 1)) >= THIN * len(part) for part in parts
        )


def period(data: Bytes) -> int | None:
    """The length of a key that repeats in what looks like noise, from the shares of its bytes.

    Compressed data is not quite noise: some bytes are a little more frequent. A repeating key
    moves them about, and only columns of the right width show it.

    Args:
        data: At least `_COLUMNS` bytes for anything to be found.

    Returns:
        The length, 2..`LONGEST_KEY`, or None.
    """
    sample = data[:_COLUMNS].astype(np.int64)
    if len(sample) < _COLUMNS:
        return None
    scores = np.array([_uneven(sample, width) for width in range(1, LONGEST_KEY + 1)])
    # Multiples and divisors of the length show it too, but less.
    return int(scores.argmax()) + 1 if float(scores.max()) >= SURE else None


def histograms(data: Bytes, width: int) -> NDArray[np.int64]:
    """How often each byte occurs in each column.

    Args:
        data: Any bytes.
        width: Columns.

    Returns:
        Counts, of shape (width, 256).
    """
    rows = data[: len(data) // width * width].reshape(-1, width)
    return np.stack([np.bincount(rows[:, n], minlength=_CELLS) for n in range(width)])


def _uneven(sample: NDArray[np.int64], width: int) -> float:
    """Chi-squared of all columns against even shares, in standard deviations."""
    whole = len(sample) // width * width
    cells = sample[:whole].reshape(-1, width) + np.arange(width) * _CELLS
    counts = np.bincount(cells.ravel(), minlength=width * _CELLS)
    expected = whole / width / _CELLS
    freedom = width * (_CELLS - 1)
    score = float(((counts - expected) ** 2).sum()) / expected
    return float((score - freedom) / (2 * freedom) ** 0.5)
