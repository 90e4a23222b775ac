"""Undo compression, within a budget.

What is undone was written by the agent: output, work and depth are all bounded, and hitting a
bound is reported, never silent.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import zstandard

XZ_MEMORY = 192 << 20
"""Bytes that one xz decoder may take; `xz -9` needs 65 MiB."""
ZSTD_WINDOW = 128 << 20
"""Largest window of a zstd frame, in bytes; what `zstd --long` uses."""
LOOKS = 40_000
"""Looks for disguises that one analysis may take, a few milliseconds each."""
KEY_TRIALS = 256 << 20
"""Bytes that one analysis may decrypt in search of a key: some ten files with every word."""
KEY_ROUNDS = 30_000_000
"""Rounds of key derivation that one analysis may take, some 20 s. What is not decrypted for want of
them stays opaque; a replay tells what it carries."""
STEP = 1 << 20
"""Bytes of output asked for at a time."""

_FEED = 64 << 10
# zstd cannot be asked for less output: 1 KB of it makes at most 32 MiB.
_FEED_ZSTD = 1 << 10
_BLOCK_ZSTD = 128 << 10  # bytes of a zstd block at most
_BLOCKS_ZSTD = 4  # blocks in a row that noise does not make
_ATTEMPT = 1 << 10
_MAGIC = {
    b"\x1f\x8b\x08": "gzip",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
MAGICS = tuple(_MAGIC)
"""How compressed data of each known kind begins."""


@dataclass
class Budget:
    """Work that one analysis may do.

    Attributes:
        left: Bytes that may still be decoded.
        looks: Looks for disguises that may still be taken; they cost most.
        problems: What was given up, one line each, no line twice.
        words: Passwords and keys to try on what is encrypted, the likeliest first.
        counts: Iterations of key derivation to try beside the usual ones.
        trials: Bytes that may still be tried with them. What is left over then stays opaque, which
            is no gap in the analysis: opaque bytes are counted, and a replay tells what they carry.
        rounds: Rounds of key derivation that may still be taken.
        opened: Words, and the iterations, that opened something: they are tried first.
    """

    left: int
    looks: int = LOOKS
    problems: list[str] = field(default_factory=list)
    words: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    trials: int = KEY_TRIALS
    rounds: int = KEY_ROUNDS
    opened: list[tuple[str, int]] = field(default_factory=list)

    def spend(self, count: int) -> bool:
        """Take from the budget.

        Args:
            count: Bytes of work, 0 or more.

        Returns:
            Whether any is left.
        """
        self.left -= count
        if self.left <= 0:
            self.problem("decode budget spent: some outgoing data was not read to the end")
        return self.left > 0

    def attempt(self, count: int) -> bool:
        """Take from the trials of keys.

        Args:
            count: Bytes of work, 0 or more.

        Returns:
            Whether there were as many left.
        """
        self.trials -= count
        return self.trials >= 0

    def derive(self, rounds: int) -> bool:
        """Take from the rounds of key derivation.

        Args:
            rounds: 1 or more.

        Returns:
            Whether there were as many left; if not, fewer may still be taken.
        """
        if rounds > self.rounds:
            return False
        self.rounds -= rounds
        return True

    def look(self) -> bool:
        """Take one of the looks for disguises.

        Returns:
            Whether there was one left.
        """
        self.looks -= 1
        if self.looks < 0:
            self.problem("too much makes no sense: some of it was not searched for disguises")
        return self.looks >= 0

    def problem(self, line: str) -> None:
        """Note what left the analysis incomplete.

        Args:
            line: One line.
        """
        if line not in self.problems:
            self.problems.append(line)


@dataclass(frozen=True, slots=True)
class Blob:
    """Something decoded out of a buffer.

    Attributes:
        name: Name of the encoding.
        start: Where it began in the buffer.
        end: Where it ended in the buffer, exclusive.
        data: What it decodes to.
        whole: It ended properly and nothing of it was left over.
        damaged: It was read up to some damage; when neither whole nor damaged, the buffer ended.
        solid: It is more than hashes and identifiers, so that noise in it means encryption.
    """

    name: str
    start: int
    end: int
    data: bytes
    whole: bool
    damaged: bool = False
    solid: bool = True


class _Engine(Protocol):
    """One compressed member being read."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def feed(self, data: bytes) -> Iterator[bytes]: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not self.eof:
            before = len(data)
            output = self._inner.decompress(data, STEP)
            data = self._inner.unconsumed_tail
            if not output and len(data) >= before:
                return
            yield output


class _Pull:
    """bz2 and xz, which keep their input and are asked for more output."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress(data, STEP)
        while not self._inner.eof and not self._inner.needs_input:
            yield self._inner.decompress(b"", STEP)


class _Zstd:
    def __init__(self) -> None:
        context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
        self._inner = context.decompressobj()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress(data)


_ENGINES: dict[str, Callable[[], _Engine]] = {
    "gzip": lambda: _Zlib(31),
    "zlib": lambda: _Zlib(15),
    "zip": lambda: _Zlib(-15),
    "bz2": lambda: _Pull(bz2.BZ2Decompressor()),
    "xz": lambda: _Pull(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)),
    "zstd": _Zstd,
}


def containers(data: bytes, budget: Budget) -> Iterator[Blob]:
    """Compressed data of any known kind, wherever it starts in a buffer.

    Members of one kind that follow one another directly are read as one blob, as their own tools
    do. Of a damaged or cut member, what comes before the damage is given.

    Args:
        data: The buffer.
        budget: Pays for the output and for every attempt.

    Yields:
        Blobs in order, not overlapping; none of them empty.
    """
    at = 0
    marks = _Marks(data)
    while (start := marks.next(at)) is not None:
        if not budget.spend(_ATTEMPT):
            return
        kind = str(_kind(data, start))
        body = start if kind != "zip" else _zip_body(data, start)
        if body is None:
            at = start + 1
            continue
        parts: list[bytes] = []
        read = _member(kind, data, body, budget, parts)
        while read.whole and kind != "zip":
            if _kind(data, read.end) != kind:
                break
            read = _member(kind, data, read.end, budget, parts)
        output = b"".join(parts)
        if output:
            yield Blob(kind, start, read.end, output, read.whole, read.damaged)
        # After damage the rest is searched again from just behind the magic.
        at = read.end if read.whole else start + 1


def inflate(
    data: bytes, start: int, budget: Budget, kind: Literal["zlib", "gzip"] = "zlib"
) -> tuple[bytes, int, bool]:
    """One zlib stream or gzip member.

    Args:
        data: A buffer.
        start: Where in it the stream begins.
        budget: Pays for the output.
        kind: Which of the two.

    Returns:
        What it decodes to, up to any damage; where it ends; whether it ended properly.
    """
    parts: list[bytes] = []
    read = _member(kind, data, start, budget, parts)
    return b"".join(parts), read.end, read.whole


def starts_container(data: bytes) -> bool:
    """Whether a buffer begins with the mark of compressed data."""
    return _kind(data, 0) is not None


class _Read(NamedTuple):
    end: int
    whole: bool
    damaged: bool


class _Marks:
    """The places where something may begin; many plain searches are faster than one pattern."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = {magic: -1 for magic in _MAGIC}

    def next(self, at: int) -> int | None:
        """The first mark at an offset or after it; offsets only ever grow."""
        for magic, where in self._next.items():
            if where < at:
                found = self._data.find(magic, at)
                self._next[magic] = found if found >= 0 else len(self._data)
        first = min(self._next.values())
        return first if first < len(self._data) else None


def _kind(data: bytes, at: int) -> str | None:
    return next((kind for magic, kind in _MAGIC.items() if data.startswith(magic, at)), None)


def _member(kind: str, data: bytes, start: int, budget: Budget, parts: list[bytes]) -> _Read:
    """Read one member into `parts`; where it ended, and whether it ended properly."""
    engine = _ENGINES[kind]()
    step = _FEED_ZSTD if kind == "zstd" else _FEED
    # A false magic in noise fails at once: do not hand it much.
    size = min(step, 4 << 10)
    at = start
    try:
        while at < len(data) and not engine.eof:
            fed = data[at : at + size]
            at += len(fed)
            size = step
            for output in engine.feed(fed):
                parts.append(output)
                if not budget.spend(len(output)):
                    return _Read(at, False, True)
    except lzma.LZMAError as error:
        if "memory" in str(error).lower():
            budget.problem("xz data asks for too much memory: it was not read")
        return _Read(at, False, True)
    except zstandard.ZstdError as error:
        if "memory" in str(error).lower() and _has_blocks(data, start):
            budget.problem("zstd data asks for too large a window: it was not read")
        return _Read(at, False, True)
    except (zlib.error, OSError, EOFError):
        return _Read(at, False, True)  # damaged: what came before the damage is in parts
    return _Read(at - len(engine.unused_data), engine.eof, False)


def _has_blocks(data: bytes, start: int) -> bool:
    """Whether blocks follow what looks like a zstd frame's head (RFC 8878, 3.1.1).

    Ciphertext of some megabytes holds the four bytes of the mark now and then, and half of what
    then stands in the window's place is too much: no reason to call the analysis incomplete.
    """
    try:
        at = start + zstandard.frame_header_size(data[start : start + 18])
    except zstandard.ZstdError:
        return False
    for _ in range(_BLOCKS_ZSTD):
        head = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        if kind == 3 or size > _BLOCK_ZSTD:
            return False
        at += 3 + (1 if kind == 1 else size)
        if last or at >= len(data):  # all of it, or cut
            break
    return True


def _zip_body(data: bytes, start: int) -> int | None:
    """Where the deflated bytes of a zip entry begin; None when it holds none."""
    header = data[start : start + 30]
    if len(header) < 30 or int.from_bytes(header[8:10], "little") != 8:
        return None
    name, extra = (int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    return start + 30 + name + extra
