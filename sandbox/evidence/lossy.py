"""Recognise copies that were rounded: quantised, truncated, pruned.

Rounding changes every byte but hardly ever a sign. The signs of the reference, one bit for each
parameter, are searched for in the places where the formats in use keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = 4 << 10
"""Bytes below which no rounded copy is looked for."""
CERTAIN = 10.0
"""Standard deviations by which signs have to agree beyond chance."""
FEWEST = 512
"""Signs that have to be compared, at least."""
BALANCE = 0.25
"""Share by which one sign may outnumber the other."""
REGULAR = 0.25
"""Correlation of neighbouring signs from which they are not those of parameters."""

_RATE = 16
_PROBE = 16 << 10
_QUICK = 4 << 10
_STEP = 64 << 10
_BLOCK = 1 << 10
_SPAN = (1 << 18) - _PROBE
_DIAGONALS = 4
_HITS = 200_000
_MULTIPLIER = np.uint32(0x9E3779B1)
_SPREAD = np.uint32(0x85EBCA6B)
_FLOOR = np.uint32((1 << 32) - (1 << 32) // _RATE)
_GROUP = 16
_ROW = 64
_LIKE = 0.95
_MARGIN = 64

Bytes = NDArray[np.uint8]
Signs8 = NDArray[np.int8]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rounded:
    """A copy of parameters that was rounded.

    Attributes:
        kind: "int8", "uint8", "fp8", "int4", "16-bit", "32-bit" or "pruned".
        spans: Ranges of parameters of the reference, half-open.
        at: Offset in the data of one of the first parameters: not of the very first, as what is
            before may agree with a few by chance.
        end: Offset of one of the last, likewise.
        agreement: Share of signs that are those of the reference, 0.5..1.
    """

    kind: str
    spans: tuple[tuple[int, int], ...]
    at: int
    end: int
    agreement: float


@dataclass(frozen=True)
class _Plane:
    """The signs of data that is taken for one format, and where the parameters lie in it."""

    kind: str
    signs: Signs8
    width: float  # bytes of a parameter
    first: int  # offset of the first one

    def place(self, parameter: int) -> int:
        """Offset in the data of a parameter."""
        return self.first + int(parameter * self.width)


class Signs:
    """The signs of the reference: 1 for minus, -1 for plus.

    Args:
        data: Little-endian fp16 parameters.
    """

    def __init__(self, data: Bytes) -> None:
        bits: Bytes = (data[1::2] >> 7).astype(np.uint8)
        self.high: Bytes = data[1::2]
        self.signs: Signs8 = (bits.astype(np.int8) << 1) - np.int8(1)
        counts = np.bincount(self.high, minlength=256)
        self._usual = counts * 2000 > len(self.high)
        keys, where = _windows(bits)
        order = np.argsort(keys, kind="stable")
        self._keys, self._where = keys[order], where[order]
        self._shift = np.uint32(32 - min(28, max(12, len(keys).bit_length() + 4)))
        self._seen = np.zeros(1 << (32 - int(self._shift)), np.bool_)
        self._seen[(self._keys * _SPREAD) >> self._shift] = True

    def __len__(self) -> int:
        return len(self.signs)

    def is_like(self, words: Bytes) -> bool:
        """Whether two-byte words, where they are not zero, have the reference's upper halves."""
        upper = words[:, 1][words.any(axis=1)]
        if not len(upper):
            return False
        return float(np.mean(self._usual[upper])) > _LIKE

    def place(self, plane: Signs8) -> int | None:
        """Where in the reference some signs come from.

        Args:
            plane: 1, -1, or 0 where the sign is not known.

        Returns:
            Index in the reference less index in the plane; None when it is nowhere.
        """
        if np.count_nonzero(plane == 0) * 10 > len(plane):
            candidates = self._correlate(plane)
        else:
            candidates = self._look_up(plane)
        for shift in candidates:
            if self.score(plane, shift) > CERTAIN:
                return shift
        return None

    def score(self, plane: Signs8, shift: int) -> float:
        """By how many standard deviations signs agree more than by chance.

        Counted in short rows, less what the balance of signs in each row explains: long stretches
        of one sign, as norms have them, agree with anything that has such stretches.
        """
        start, stop = max(0, -shift), min(len(plane), len(self) - shift)
        stop = start + max(0, stop - start) // _ROW * _ROW
        own = plane[start:stop].reshape(-1, _ROW).astype(np.int32)
        theirs = self.signs[start + shift : stop + shift].reshape(-1, _ROW) * np.abs(own)
        known = np.abs(own).sum(axis=1)
        if int(known.sum()) < FEWEST:
            return 0.0
        both = own.sum(axis=1) * theirs.sum(axis=1) / np.maximum(known, 1)
        agreed = (own * theirs).sum(axis=1) - both
        return float(agreed.sum() / known.sum() ** 0.5)

    def products(self, plane: Signs8, shift: int) -> Signs8:
        """1 where signs agree, -1 where they do not, 0 where one is not known."""
        start, stop = max(0, -shift), min(len(plane), len(self) - shift)
        if start >= stop:
            return np.empty(0, np.int8)
        return plane[start:stop] * self.signs[start + shift : stop + shift]

    def _look_up(self, plane: Signs8) -> list[int]:
        keys, where = _windows((plane > 0).astype(np.uint8))
        maybe = self._seen[(keys * _SPREAD) >> self._shift]
        keys, where = keys[maybe], where[maybe]
        first = np.searchsorted(self._keys, keys, "left")
        counts = np.searchsorted(self._keys, keys, "right") - first
        hit = (counts > 0) & (counts < 64)
        first, counts, where = first[hit][:_HITS], counts[hit][:_HITS], where[hit][:_HITS]
        if not len(counts):
            return []
        each = np.repeat(np.arange(len(counts)), counts)
        offset = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
        shifts = self._where[first[each] + offset] - where[each]
        values, votes = np.unique(shifts, return_counts=True)
        return [int(values[n]) for n in np.argsort(-votes, kind="stable")[:_DIAGONALS]]

    def _correlate(self, plane: Signs8) -> list[int]:
        """Where the plane fits best, when too many of its signs are missing for a look-up."""
        best: list[tuple[float, int]] = []
        plane = plane[:_PROBE]
        size = _SPAN + _PROBE
        other = np.conj(np.fft.rfft(plane.astype(np.float32), size))
        for start in range(0, len(self), _SPAN):
            span = self.signs[start : start + size].astype(np.float32)
            fit = np.fft.irfft(np.fft.rfft(span, size) * other, size)[:_SPAN]
            at = int(fit.argmax())
            best.append((float(fit[at]), start + at))
        return [shift for _, shift in sorted(best, reverse=True)[:1]]


def rounded(data: bytes, signs: Signs) -> Rounded | None:
    """Find a rounded copy.

    Args:
        data: Bytes in which the reference was not found as it is.
        signs: Those of the reference.

    Returns:
        The best copy; None when there is none.
    """
    if len(data) < LEAST or len(signs) < 256:
        return None
    array = np.frombuffer(data, np.uint8)
    middle = len(array) // 2 // 144 * 144
    for probe in (array[middle : middle + 2 * _PROBE], array[: 2 * _PROBE]):
        for number, plane in enumerate(_planes(probe, signs)):
            small = plane.signs[:_PROBE]
            # Signs of parameters are balanced; most bits of other data are not.
            if abs(int(small.sum(dtype=np.int64))) > BALANCE * np.count_nonzero(small):
                continue
            if _regular(small):
                continue
            if np.count_nonzero(small == 0) * 10 <= len(small):
                small = small[:_QUICK]
            for sign in (1, -1):
                if signs.place(np.int8(sign) * small) is None:
                    continue
                whole = list(_planes(array, signs))[number]
                return _followed(whole, np.int8(sign) * whole.signs, array, signs)
    return None


def _regular(plane: Signs8) -> bool:
    """Whether signs follow from those before them, as bits of other data mostly do."""
    for lag in (1, 2, 3, 4, 8):
        products = plane[lag:] * plane[:-lag]
        known = np.count_nonzero(products)
        if known and abs(int(products.sum(dtype=np.int64))) > REGULAR * known:
            return True
    return False


def _followed(layout: _Plane, plane: Signs8, array: Bytes, signs: Signs) -> Rounded | None:
    """Every stretch of a plane that is in the reference."""
    runs: list[_Run] = []
    shift: int | None = None
    for at in range(0, len(plane), _STEP):
        part = plane[at : at + _STEP]
        if shift is None or signs.score(part, shift + at) <= CERTAIN:
            placed = signs.place(part)
            shift = None if placed is None else placed - at
        if shift is None:
            continue
        products = signs.products(part, shift + at)
        begun = max(0, shift + at)
        for block in range(0, len(products), _BLOCK):
            cut = products[block : block + _BLOCK]
            total, here = int(cut.sum(dtype=np.int64)), int(np.count_nonzero(cut))
            if not here or total <= 4 * here**0.5:
                continue
            if runs and runs[-1].shift == shift and runs[-1].stop == begun + block:
                runs[-1].blocks.append(cut)
            else:
                runs.append(_Run(begun + block, shift, [cut]))
    if not runs:
        return None
    for run in runs:
        run.trim()
    every = np.concatenate([block for run in runs for block in run.blocks])
    known = int(np.count_nonzero(every))
    kind = layout.kind
    if np.count_nonzero(plane == 0) * 10 > len(plane):
        kind = "pruned"
    elif kind == "int8":
        kind = _eight(plane, array, signs, runs[0].shift)
    return Rounded(
        kind,
        tuple((run.start, run.stop) for run in runs),
        layout.place(min(run.start + run.margin - run.shift for run in runs)),
        layout.place(max(run.stop - run.margin - run.shift for run in runs)),
        (known + int(every.sum(dtype=np.int64))) / 2 / known,
    )


@dataclass
class _Run:
    """Neighbouring blocks of signs that agree with the reference."""

    start: int  # in the reference
    shift: int  # from an index in the plane to one in the reference
    blocks: list[Signs8]  # products of the signs, as `Signs.products` gives them

    @property
    def stop(self) -> int:
        return self.start + sum(map(len, self.blocks))

    @property
    def margin(self) -> int:
        """Parameters on either side that may agree by chance, and be a neighbour's."""
        return min(_MARGIN, (self.stop - self.start) // 4)

    def trim(self) -> None:
        """Leave out what lies before and after, where signs agree by chance only."""
        first = self.blocks[0]
        before = len(first) - _agreeing(first[::-1])
        self.blocks[0], self.start = first[before:], self.start + before
        self.blocks[-1] = self.blocks[-1][: _agreeing(self.blocks[-1])]


def _agreeing(products: Signs8) -> int:
    """Where agreement ends that holds from the first sign on: by chance every second one agrees."""
    evidence = np.where(products < 0, -3, products).cumsum(dtype=np.int64)
    return len(products) - int(evidence[::-1].argmax())


def _eight(plane: Signs8, array: Bytes, signs: Signs, shift: int) -> str:
    """Name a format of eight bits by whether its bytes are the upper half of fp16."""
    start, stop = max(0, -shift), min(len(array), len(signs) - shift)
    same = float(np.mean(array[start:stop] == signs.high[start + shift : stop + shift]))
    if same > 0.5:
        return "fp8"
    return "int8" if (array[0] >> 7 == 1) == (plane[0] > 0) else "uint8"


def _planes(array: Bytes, signs: Signs) -> Iterator[_Plane]:
    """The signs of each format in use, if the bytes were of that format."""
    tops: Signs8 = ((array >> 7).astype(np.int8) << 1) - np.int8(1)
    yield _Plane("int8", tops, 1, 0)
    for phase in (1, 0):
        words = array[1 - phase :][: (len(array) - 1 + phase) // 2 * 2].reshape(-1, 2)
        own = tops[1 - phase :][: 2 * len(words)].reshape(-1, 2)[:, 1]
        missing = (words[:, 0] == 0) & (words[:, 1] & 127 == 0)
        if signs.is_like(words):
            own = own * ~missing
        elif np.count_nonzero(missing) * 2 >= len(missing):
            own = own[:0]
        yield _Plane("16-bit", own, 2, 1 - phase)
    for phase in (3, 2, 1, 0):
        yield _Plane("32-bit", tops[phase::4], 4, max(0, phase - 3))
    lows: Signs8 = (((array >> 3) & 1).astype(np.int8) << 1) - np.int8(1)
    yield _Plane("int4", np.stack([lows, tops], axis=1).ravel(), 0.5, 0)
    yield _Plane("int4", np.stack([tops, lows], axis=1).ravel(), 0.5, 0)
    # Groups of 32: sixteen bytes, with or without a scale of two bytes in front.
    for scale in (2, 0):
        for phase in range(_GROUP + scale):
            for halves in (True, False) if scale else (True,):
                own = _grouped(lows, tops, scale, phase, halves=halves)
                yield _Plane("int4", own, (_GROUP + scale) / (2 * _GROUP), phase)


def _grouped(lows: Signs8, tops: Signs8, scale: int, phase: int, *, halves: bool) -> Signs8:
    width = _GROUP + scale
    count = (len(lows) - phase) // width
    low, top = (
        plane[phase : phase + count * width].reshape(-1, width)[:, scale:] for plane in (lows, tops)
    )
    if halves:
        return np.concatenate([low, top], axis=1).ravel()
    return np.stack([low, top], axis=2).ravel()


def _windows(bits: Bytes) -> tuple[NDArray[np.uint32], Ints]:
    """Sampled windows of 32 bits and where they begin."""
    keys: list[NDArray[np.uint32]] = []
    where: list[Ints] = []
    for phase in range(8):
        packed = np.packbits(bits[phase:])
        count = (len(bits) - phase) // 8 - 3
        if count <= 0:
            continue
        every: NDArray[Any] = np.ndarray((count,), ">u4", packed, strides=(1,))
        words = every.astype(np.uint32)
        at = np.flatnonzero(words * _MULTIPLIER >= _FLOOR)
        at = at[(words[at] != 0) & (words[at] != 0xFFFFFFFF)]
        keys.append(words[at])
        where.append(at.astype(np.int64) * 8 + phase)
    if not keys:
        return np.empty(0, np.uint32), np.empty(0, np.int64)
    return np.concatenate(keys), np.concatenate(where)
