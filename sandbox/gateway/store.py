"""What the agent has put somewhere in its world and may want back, within limits."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LIMIT = 64 << 20
"""Bytes kept for one box; what comes later is recorded, but not kept for giving back."""
ENTRIES = 4096
"""Named things of one sort kept for one box."""
_BLOCK = 256 << 10


@dataclass(frozen=True)
class Blob:
    """Something kept.

    Attributes:
        extents: Where it lies in the store: (offset, length) in bytes, in order.
        md5: Hash of its bytes, in hex.
    """

    extents: tuple[tuple[int, int], ...]
    md5: str

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(length for _, length in self.extents)

    def after(self, start: int, end: int = 0) -> "Blob":
        """The blob without its first `start` and last `end` bytes; its hash is not known."""
        left, keep, extents = start, max(0, self.size - start - end), []
        for offset, length in self.extents:
            skipped = min(left, length)
            taken = min(length - skipped, keep)
            left, keep = left - skipped, keep - taken
            if taken:
                extents.append((offset + skipped, taken))
        return Blob(tuple(extents), "")


class Store:
    """Bytes of one box in a file without a name: gone with the gateway, whatever ends it."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        """Keeps at most `limit` bytes on the disk of `folder`; the file is made on first use."""
        self._folder = folder
        self._limit = limit
        self._size = 0
        self._file: BinaryIO | None = None

    def keep(self, data: bytes) -> tuple[int, int] | None:
        """Keeps some bytes and returns their extent; None when they no longer fit."""
        if self._size + len(data) > self._limit:
            return None
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        at = self._size
        try:
            written = os.pwrite(self._file.fileno(), data, at)
        except OSError:  # a full disk keeps nothing, which is no fault of the agent's connection
            return None
        if written < len(data):
            return None
        self._size += len(data)
        return at, len(data)

    def read(self, blob: Blob) -> Iterator[bytes]:
        """The bytes of a blob in blocks of at most 256 KB; nothing once the store is closed."""
        for offset, length in blob.extents:
            for at in range(offset, offset + length, _BLOCK):
                if self._file is None:
                    return
                yield os.pread(self._file.fileno(), min(_BLOCK, offset + length - at), at)

    def close(self) -> None:
        """Forgets everything; twice does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._limit = 0


class Upload:
    """Bytes on their way into the store."""

    def __init__(self, store: Store) -> None:
        """Starts with nothing."""
        self._store = store
        self._hash = hashlib.md5(usedforsecurity=False)
        self._extents: list[tuple[int, int]] = []
        self._lost = False

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._hash.update(data)
        if not data or self._lost:
            return
        extent = self._store.keep(data)
        if extent is None:
            self._lost = True
        elif self._extents and sum(self._extents[-1]) == extent[0]:
            self._extents[-1] = (self._extents[-1][0], self._extents[-1][1] + extent[1])
        else:
            self._extents.append(extent)

    @property
    def md5(self) -> str:
        """Hash of all that was written, kept or not, in hex."""
        return self._hash.hexdigest()

    def blob(self) -> Blob | None:
        """What was written; None when some of it did not fit."""
        return None if self._lost else Blob(tuple(self._extents), self.md5)


def joined(blobs: Iterable[Blob], md5: str) -> Blob:
    """Several blobs as one, with a hash of the caller's choice."""
    return Blob(tuple(extent for blob in blobs for extent in blob.extents), md5)
