"""The receiving end of rsync, as `rsync --server` speaks it over SSH, with no I/O in it.

It speaks version 28 of the protocol, which every rsync of today falls back to, and asks for every
file whole. Nothing is compared or written: contents are recorded, each on a stream of its own,
and what rsync compressed is recorded as it was before. What is not the protocol is recorded as it
comes.
"""

from __future__ import annotations

import re
import shlex
import stat
import struct
import zlib
from collections.abc import Generator

from sandbox.gateway.programs import Program, keep
from sandbox.gateway.store import Upload
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf

_VERSION = 28
_OLDEST = 20
_SEED = 0x5EED
_DONE = -1
_ASK_WHOLE = bytes(16)  # no checksums: there is nothing here to compare with
_MULTIPLEXED = 7 << 24
_FRAME = 4092
_FILES = 100_000
_LONGEST_NAME = 4096
_LONGEST_ARGUMENTS = 64 << 10
_LONGEST_PIECE = 1 << 20
_DIGEST = 16
_INFLATED = 64 << 20  # bytes of contents that are decompressed on one connection
_FAILED = 12  # rsync's status for errors in the protocol
_NAME_KEPT, _LONG_NAME, _EXTENDED = 0x20, 0x40, 0x04
_SAME_MODE, _SAME_UID, _SAME_GID, _SAME_TIME = 0x02, 0x08, 0x10, 0x80
_SAME_MAJOR, _HARD_LINK, _SAME_DEVICE, _SHORT_MINOR = 0x100, 0x200, 0x400, 0x800
_DEFLATED = 0x40

Reading = Generator[int, bytes, None]
"""Yields how many bytes it needs next, gets them."""


class Rsync(Program):
    """One transfer to this side."""

    records = True

    def __init__(self, shelf: Shelf, tape: Tape, words: list[str]) -> None:
        """Receives.

        Args:
            shelf: Keeps the files, to be given back by others.
            tape: Records what is not content of a file.
            words: The command and its arguments.
        """
        super().__init__()
        self._shelf = shelf
        self._tape = tape
        self._words = words
        self._buffer = bytearray()
        self._send = bytearray()
        self._inflated = 0
        self._content = False  # whether what is read is a file's content, recorded elsewhere
        self._reading = self._transfer()
        self._need = next(self._reading)

    def start(self) -> bytes:
        """The version, first of all."""
        return self._said()

    def receive(self, data: bytes) -> bytes:
        """Takes input and returns output."""
        if self.status is not None:
            self._tape.out(data)
            return b""
        self._buffer += data
        try:
            while len(self._buffer) >= self._need:
                piece = bytes(self._buffer[: self._need])
                del self._buffer[: self._need]
                if not self._content:
                    self._tape.out(piece)
                self._need = self._reading.send(piece)
        except StopIteration:
            self._end(0)
        except (ValueError, struct.error) as error:
            self._tape.error(f"rsync: {error}")
            self._end(_FAILED)
        return self._said()

    def eof(self) -> bytes:
        """Ends."""
        if self.status is None:
            self._end(_FAILED)
        return b""

    def _end(self, status: int) -> None:
        self.status = status
        self._reading.close()
        self._tape.out(bytes(self._buffer))
        self._buffer.clear()

    def _said(self) -> bytes:
        said = bytes(self._send)
        self._send.clear()
        return said

    # The protocol, in the order in which it goes.

    def _transfer(self) -> Reading:
        options = self._words[1:]
        if "s" in _letters(options):
            options = [*options, *(yield from self._arguments())]
        letters, packing = _letters(options), _packing(options)
        self._send += struct.pack("<i", _VERSION)
        version = yield from _number()
        if version < _OLDEST:
            raise ValueError(f"version {version}")
        self._send += struct.pack("<i", _SEED)
        if any(one.startswith("--delete") for one in options) and (
            "--delete-excluded" not in options
        ):
            yield from _strings()  # rules of what not to delete
        files = yield from self._list(letters)
        if "--numeric-ids" not in options:
            for letter in "og":
                if letter in letters:
                    yield from _names_of_ids()
        yield from _number()  # whether the other side met errors
        if "n" not in letters:
            asked = (
                struct.pack("<i", n) + _ASK_WHOLE for n, (_, plain) in enumerate(files) if plain
            )
            self._say(b"".join(asked))
        self._say(struct.pack("<i", _DONE))
        target = options[-1] if options else "."
        for _ in range(2):
            while (number := (yield from _number())) != _DONE:
                if not 0 <= number < len(files):
                    raise ValueError(f"no file {number}")
                yield 16  # the answer to _ASK_WHOLE
                yield from self._file(files[number][0], target, len(files) == 1, packing)
            self._say(struct.pack("<i", _DONE))

    def _say(self, data: bytes) -> None:
        for at in range(0, len(data), _FRAME):
            part = data[at : at + _FRAME]
            self._send += struct.pack("<I", _MULTIPLEXED | len(part)) + part

    def _arguments(self) -> Generator[int, bytes, list[str]]:
        """More arguments, which come as input: a zero byte after each, and one at the end."""
        given = b""
        while not given.endswith(b"\0\0"):
            given += yield 1
            if len(given) > _LONGEST_ARGUMENTS:
                raise ValueError("arguments without end")
        return given[:-2].decode("utf-8", "replace").split("\0")[1:]

    def _list(self, letters: str) -> Generator[int, bytes, list[tuple[bytes, bool]]]:
        """The names of all that comes, in the order of their numbers, and which are plain files."""
        files: list[tuple[bytes, bool]] = []
        name, mode = b"", 0
        while flags := (yield 1)[0]:
            if flags & _EXTENDED:
                flags |= (yield 1)[0] << 8
            kept = (yield 1)[0] if flags & _NAME_KEPT else 0
            long = bool(flags & _LONG_NAME)
            length = (yield from _number()) if long else (yield 1)[0]
            if not 0 < kept + length <= _LONGEST_NAME or length < 0 or len(files) >= _FILES:
                raise ValueError("too long a name, or too many")
            name = name[:kept] + ((yield length) if length else b"")
            yield from _long_number()
            if not flags & _SAME_TIME:
                yield 4
            if not flags & _SAME_MODE:
                mode = (yield from _number()) & 0xFFFF
            if "o" in letters and not flags & _SAME_UID:
                yield 4
            if "g" in letters and not flags & _SAME_GID:
                yield 4
            yield from _rest_of_entry(flags, mode, letters)
            files.append((name, stat.S_ISREG(mode)))
        return sorted(files)

    def _file(self, name: bytes, target: str, alone: bool, packing: str | None) -> Reading:
        tape, upload = self._tape.part("ssh"), Upload(self._shelf.store)
        inflate = zlib.decompressobj(-15) if packing == "zlib" else None
        piece_of = self._literal if packing is None else self._packed
        try:
            while piece := (yield from piece_of()):
                if inflate is not None:
                    piece = self._opened(inflate, piece)
                tape.out(piece)
                upload.write(piece)
        finally:
            tape.close()
        yield _DIGEST
        path = f"{target.rstrip('/')}/{name.decode('utf-8', 'surrogateescape')}"
        # Whether the target is a file or a folder only a real disk would tell: it is both.
        for one in {path, target} if alone and not target.endswith("/") else {path}:
            keep(self._shelf, one, upload.blob())

    def _literal(self) -> Generator[int, bytes, bytes]:
        """The next piece of a content; nothing at its end."""
        length = yield from _number()
        if not 0 <= length <= _LONGEST_PIECE:
            raise ValueError(f"a piece of {length} bytes")
        return (yield from self._piece(length)) if length else b""

    def _packed(self) -> Generator[int, bytes, bytes]:
        """The next piece of a compressed content; nothing at its end."""
        while flag := (yield 1)[0]:
            if flag & 0xC0 != _DEFLATED:
                raise ValueError(f"piece {flag:#x}")
            length = (flag & 0x3F) << 8 | (yield 1)[0]
            if length:
                return (yield from self._piece(length))
        return b""

    def _piece(self, length: int) -> Generator[int, bytes, bytes]:
        self._content = True
        piece = yield length
        self._content = False
        return piece

    def _opened(self, inflate: zlib._Decompress, piece: bytes) -> bytes:
        """A piece before it was compressed; as it came where it was not, or there is no end."""
        if self._inflated >= _INFLATED:
            return piece
        try:
            plain = inflate.decompress(piece)
        except zlib.error:
            self._inflated = _INFLATED
            return piece
        self._inflated += len(plain)
        return plain


def rsync_words(command: str) -> list[str] | None:
    """The words of a command line with which rsync sends to this side; None if it is another."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        return None
    receives = words[1:2] == ["--server"] and "--sender" not in words
    return words if receives and words[0].rpartition("/")[2] == "rsync" else None


def _letters(options: list[str]) -> str:
    """The one-letter options; what follows the letter e is about the other side's version."""
    short = (one[1:].partition("e")[0] for one in options if re.match("-[^-]", one))
    return "".join(short)


def _packing(options: list[str]) -> str | None:
    """How contents are compressed, if they are: "zlib" or another way that stays as it is."""
    for one in options:
        if one.startswith("--compress-choice="):
            choice = one.partition("=")[2]
            return None if choice == "none" else "zlib" if choice.startswith("zlib") else choice
        if one in ("--new-compress", "--old-compress"):
            return "zlib"
    return "zlib" if "z" in _letters(options) else None


def _number() -> Generator[int, bytes, int]:
    number: int = struct.unpack("<i", (yield 4))[0]
    return number


def _long_number() -> Reading:
    if (yield from _number()) == -1:
        yield 8


def _strings() -> Reading:
    """Strings after their lengths, until there is one without any."""
    while length := (yield from _number()):
        if not 0 < length <= _LONGEST_NAME:
            raise ValueError("too long a rule")
        yield length


def _names_of_ids() -> Reading:
    """Names of users or groups by number, until number 0."""
    while (yield from _number()):
        if length := (yield 1)[0]:
            yield length


def _rest_of_entry(flags: int, mode: int, letters: str) -> Reading:
    device, kind = "D" in letters, stat.S_IFMT(mode)
    if device and kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK):
        if not flags & _SAME_MAJOR:
            yield 4
        yield 1 if flags & _SHORT_MINOR else 4
    if "l" in letters and kind == stat.S_IFLNK:
        length = yield from _number()
        if not 0 < length <= _LONGEST_NAME:
            raise ValueError("too long a link")
        yield length
    if "H" in letters and flags & _HARD_LINK:
        if not flags & _SAME_DEVICE:
            yield from _long_number()
        yield from _long_number()
    if "c" in letters and kind == stat.S_IFREG:
        yield _DIGEST
