"""Find runs of the reference inside any buffer, byte for byte.

The reference is sampled by content: a position is kept when a hash of the four bytes there falls
in the top 1/64 of the hash's range. A buffer is sampled by the same rule, so a copy hits wherever
it starts and however it is cut. Every hit is then verified and extended both ways against the
reference itself; nothing is ever counted on the strength of a hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.lossy import Signs
from sandbox.evidence.noise import repeats
from sandbox.evidence.secrets import Secrets
from sandbox.secret import Secret

RATE = 64
"""One position in this many is sampled, on average."""
KEY = 8
"""Bytes that must be equal before a hit is looked at."""
SHORTEST = 24
"""Bytes of the shortest isolated run that is reported."""
GAP = 256
"""Foreign bytes, at most, between two sequential pieces that are still read as one copy."""
SLIP = 8
"""Lost or altered reference bytes, at most, between two sequential pieces."""
MANY = 100_000
"""Runs after which the search of one buffer ends; the caller has to say so."""
KEPT = 256 << 20
"""Bytes that derived indexes may take, more or less; each takes what the reference does."""

_BLOCK = 1 << 20
# Below this, unaligned words cost less than four turns.
_SMALL = 16 << 10
_MULTIPLIER = np.uint32(0x9E3779B1)
# The top of the range, not the bottom: 0 hashes to 0, so a run of zeros never hits.
_FLOOR = np.uint32((1 << 32) - (1 << 32) // RATE)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """A run of the reference found in a buffer.

    Attributes:
        at: Offset of the first byte in the buffer.
        ref: Offset of the first byte in the reference.
        n: Length in bytes, at least 1.
    """

    at: int
    ref: int
    n: int

    @property
    def end(self) -> int:
        """Offset in the buffer just after the run."""
        return self.at + self.n


class Index:
    """A searchable copy of the reference payloads.

    Runs never extend over the boundary of two payloads, which need not be neighbours in a copy.

    Args:
        payloads: What to look for; each at least `KEY` bytes long to be found at all. Text that
            occurs more than once is found only as the continuation of text that does not.
        secrets: Single keys and tokens by name, none unless given.
    """

    def __init__(
        self, payloads: Sequence[bytes], secrets: Mapping[str, Secret] | None = None
    ) -> None:
        self.secrets = Secrets(secrets or {})
        self.data: Bytes = np.frombuffer(b"".join(payloads), np.uint8)
        self.starts: Ints = np.cumsum([0, *(len(payload) for payload in payloads)], dtype=np.int64)
        positions = [
            start + _sample(self.data[start:stop], 0, int(stop - start))
            for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True)
        ]
        where = np.concatenate(positions) if positions else np.empty(0, np.int64)
        keys = _keys(self.data, where)
        order = np.argsort(keys, kind="stable")
        keys, where = keys[order], where[order]
        alone = np.ones(len(keys), np.bool_)
        same = keys[1:] == keys[:-1]
        alone[1:] &= ~same
        alone[:-1] &= ~same
        self._keys, self._where = keys[alone], where[alone]
        self._shift = np.uint64(64 - max(16, int(len(self._keys)).bit_length() + 4))
        self._seen = np.zeros(1 << (64 - int(self._shift)), np.bool_)
        self._seen[(self._keys * _SPREAD) >> self._shift] = True
        self.fruitless: dict[tuple[bytes, int, int], int] = {}
        """What was searched for changes in vain, and the looks that it took; see `peel`."""
        self._derived: dict[tuple[str, int], Index] = {}
        self._origin = self.starts

    @cached_property
    def noisy(self) -> bool:
        """Whether the reference looks like noise: no change of it can then be told by its look."""
        return not repeats(self.data)

    def derived(self, kind: Literal["xor", "add"], distance: int) -> Index:
        """The index of what two reference bytes at a distance make, built when first asked for.

        Args:
            kind: "xor" for the exclusive or of both, "add" for their difference modulo 256.
            distance: Bytes from one to the other, 1 or more.

        Returns:
            An index of its own; `original` leads back from its offsets.
        """
        made = self._derived.pop((kind, distance), None)
        if made is None:
            payloads = [
                self.data[start:stop]
                for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True)
            ]
            combine = np.bitwise_xor if kind == "xor" else np.subtract
            made = Index([combine(p[distance:], p[:-distance]).tobytes() for p in payloads])
            made._origin = self.starts
            while len(self._derived) > max(2, min(64, KEPT // max(1, len(self.data)))):
                del self._derived[next(iter(self._derived))]
        self._derived[kind, distance] = made
        return made

    @cached_property
    def repetition(self) -> tuple[float, float]:
        """How often bytes repeat two bytes on beyond chance: the least and the most, by samples."""
        step = max(_BLOCK // 8, len(self.data) // 16)
        shares = [
            float(np.mean(part[2:] == part[:-2])) - 1 / 256
            for start in range(0, len(self.data), step)
            if len(part := self.data[start : start + _BLOCK // 8]) > 1024
        ]
        return min(shares, default=0.0), max(shares, default=0.0)

    @cached_property
    def signs(self) -> Signs:
        """The signs of the reference, taken for fp16; found when first asked for."""
        return Signs(self.data)

    def original(self, ref: int) -> int:
        """Where the first of the two bytes is that made a byte of a derived index.

        Args:
            ref: Offset in this index.

        Returns:
            Offset in the index that it was derived from.
        """
        which = int(np.searchsorted(self.starts, ref, side="right")) - 1
        return ref - int(self.starts[which]) + int(self._origin[which])

    def find(self, buffer: bytes) -> list[Match]:
        """Every run of the reference in a buffer.

        Args:
            buffer: Any bytes.

        Returns:
            Runs in the order in which they were found, each extended as far as it goes on both
            sides: neighbours may overlap by a few bytes that happen to continue both. More than
            `MANY` of them mean that the rest of the buffer was not searched.
        """
        data: Bytes = np.frombuffer(buffer, np.uint8)
        found: list[Match] = []
        end = 0
        for block in range(0, len(data) - KEY + 1, _BLOCK):
            stop = min(block + _BLOCK, len(data) - KEY + 1)
            if end >= stop:
                continue
            for at, ref in self._hits(data, max(block, end), stop):
                if at < end:
                    continue
                match = self._extend(data, at, ref)
                if match.n < SHORTEST:
                    continue
                found.append(match)
                found += self._before(data, buffer, match, end)
                following = list(self._after(data, buffer, match))
                found += following
                end = (following[-1] if following else match).end
                if len(found) > MANY:
                    return found
        return found

    def _hits(self, data: Bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
        at = _sample(data, start, stop + KEY - 1)
        if not len(at) or not len(self._keys):
            return
        keys = _keys(data, at)
        maybe = self._seen[(keys * _SPREAD) >> self._shift]
        at, keys = at[maybe], keys[maybe]
        slots = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        real = self._keys[slots] == keys
        at, ref = at[real], self._where[slots[real]]
        order = np.argsort(at, kind="stable")
        yield from zip(at[order].tolist(), ref[order].tolist(), strict=True)

    def _payload(self, ref: int) -> tuple[int, int]:
        which = int(np.searchsorted(self.starts, ref, side="right"))
        return int(self.starts[which - 1]), int(self.starts[which])

    def _extend(self, data: Bytes, at: int, ref: int) -> Match:
        """The whole run through a pair of equal positions."""
        first, last = self._payload(ref)
        left = _common(data[:at][::-1], self.data[first:ref][::-1])
        right = _common(data[at:], self.data[ref:last])
        return Match(at - left, ref - left, left + right)

    def _after(self, data: Bytes, buffer: bytes, match: Match) -> Iterator[Match]:
        """The pieces that continue a run after foreign, lost or altered bytes."""
        _, last = self._payload(match.ref)
        for _ in range(MANY):
            at, ref = match.end, match.ref + match.n
            if ref + KEY > last:
                return
            far = buffer.find(self.data[ref : ref + KEY].tobytes(), at, at + GAP + KEY)
            if far >= 0:
                at = far
            else:
                here = buffer[at : at + KEY + SLIP]
                ahead = self.data[ref : min(last, ref + KEY + SLIP)].tobytes()
                slip = _slip(here, ahead)
                if slip is None:
                    return
                at, ref = at + slip[0], ref + slip[1]
            match = Match(at, ref, _common(data[at:], self.data[ref:last]))
            yield match

    def _before(self, data: Bytes, buffer: bytes, match: Match, floor: int) -> list[Match]:
        """The pieces, too short to be sampled, that lead up to a run."""
        first, _ = self._payload(match.ref)
        found: list[Match] = []
        while match.ref - KEY >= first and match.at - KEY >= floor:
            tail = self.data[match.ref - KEY : match.ref].tobytes()
            at = buffer.rfind(tail, max(floor, match.at - GAP - KEY), match.at)
            if at < 0:
                break
            ref, at = match.ref, at + KEY
            left = _common(data[floor:at][::-1], self.data[first:ref][::-1])
            match = Match(at - left, ref - left, left)
            found.append(match)
        return found


def uncovered(size: int, matches: Sequence[Match]) -> list[tuple[int, int]]:
    """The ranges of a buffer that no run covers.

    Args:
        size: Length of the buffer in bytes.
        matches: Runs in it, in any order, overlapping or not.

    Returns:
        Half-open ranges in ascending order, none empty.
    """
    gaps: list[tuple[int, int]] = []
    end = 0
    for match in sorted(matches, key=lambda match: match.at):
        if match.at > end:
            gaps.append((end, match.at))
        end = max(end, match.end)
    if end < size:
        gaps.append((end, size))
    return gaps


def _sample(data: Bytes, start: int, stop: int) -> Ints:
    """Sampled positions p with start <= p and p + KEY <= stop, ascending within each phase."""
    found: list[Ints] = []
    if stop - start < _SMALL:
        windows: NDArray[Any] = np.ndarray(
            (max(0, stop - KEY + 1 - start),), "<u4", data, start, strides=(1,)
        )
        return np.flatnonzero(windows * _MULTIPLIER >= _FLOOR) + start
    for block in range(start, stop - KEY + 1, _BLOCK):
        end = min(block + _BLOCK, stop - KEY + 1)
        for phase in range(block, min(block + 4, end)):
            count = (end - phase + 3) // 4
            words: NDArray[Any] = np.frombuffer(data, "<u4", count, phase)
            found.append(np.flatnonzero(words * _MULTIPLIER >= _FLOOR) * 4 + phase)
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _keys(data: Bytes, positions: Ints) -> NDArray[np.uint64]:
    if not len(positions):
        return np.empty(0, np.uint64)
    windows: NDArray[Any] = np.ndarray((len(data) - KEY + 1,), "<u8", data, strides=(1,))
    return windows[positions].astype(np.uint64)


def _common(a: Bytes, b: Bytes) -> int:
    """Length of the common prefix of two arrays."""
    size = min(len(a), len(b))
    done, step = 0, 64
    while done < size:
        stop = min(size, done + step)
        different = a[done:stop] != b[done:stop]
        first = int(different.argmax())
        if different[first]:
            return done + first
        done, step = stop, min(step * 4, _BLOCK)
    return size


def _slip(here: bytes, ahead: bytes) -> tuple[int, int] | None:
    """How far to step in the buffer and in the reference until both agree again."""
    for lost in range(1, SLIP + 1):
        window = ahead[lost : lost + KEY]
        if len(window) < KEY:
            return None
        for stepped in (0, lost):  # dropped bytes, or altered ones
            if here[stepped : stepped + KEY] == window:
                return stepped, lost
    return None
