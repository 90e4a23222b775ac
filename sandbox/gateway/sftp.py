"""SFTP version 3 as a server speaks it, with no I/O in it."""

from __future__ import annotations

import stat
import struct

from sandbox.gateway.programs import Login, Program, keep
from sandbox.gateway.store import Upload
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf

_INIT, _VERSION = 1, 2
_OPEN, _CLOSE, _READ, _WRITE = 3, 4, 5, 6
_LSTAT, _FSTAT, _SETSTAT, _FSETSTAT = 7, 8, 9, 10
_OPENDIR, _READDIR, _REMOVE, _MKDIR, _RMDIR, _REALPATH, _STAT, _RENAME = range(11, 19)
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_OK, _EOF, _NO_FILE, _FAILURE, _BAD, _UNSUPPORTED = 0, 1, 2, 4, 5, 8
_FOR_WRITING = 0x2 | 0x4 | 0x8 | 0x10
_LARGEST = 1 << 18
_LARGEST_READ = 1 << 16
_LARGEST_ANSWER = 3 << 20  # bytes asked for by one piece of input
_HANDLES = 256
_FILE, _FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755


class _File:
    """An open file or folder."""

    def __init__(self, path: str, upload: Upload | None, tape: Tape | None) -> None:
        self.path = path
        self.upload = upload
        self.tape = tape
        self.listed = False


class Sftp(Program):
    """One SFTP session; each file written has a stream of its own."""

    records = True

    def __init__(self, shelf: Shelf, tape: Tape, login: Login) -> None:
        """Serves the files on `shelf`; what is not content of a file is recorded on `tape`."""
        super().__init__()
        self._shelf = shelf
        self._tape = tape
        self._login = login
        self._home = f"/home/{login.user}"
        self._buffer = b""
        self._files: dict[bytes, _File] = {}
        self._handle = 0

    def receive(self, data: bytes) -> bytes:
        """Takes packets and answers them."""
        if self.status is not None:
            self._tape.out(data)
            return b""
        self._buffer += data
        answer = bytearray()
        at = 0
        while len(self._buffer) - at >= 5:
            length = int.from_bytes(self._buffer[at : at + 4], "big")
            if not 0 < length <= _LARGEST or len(answer) > _LARGEST_ANSWER:
                self._tape.error("SFTP: too long a packet, or too much asked for at once")
                self.status = 1
                break
            packet = self._buffer[at + 4 : at + 4 + length]
            if len(packet) < length:
                break
            at += 4 + length
            answer += self._packet(packet)
        self._buffer = self._buffer[at:]
        if self.status is not None:
            self._rest()
        return bytes(answer)

    def eof(self) -> bytes:
        """Ends."""
        self._rest()
        for handle in list(self._files):
            self._close(handle)
        return super().eof()

    def _rest(self) -> None:
        self._tape.out(self._buffer)
        self._buffer = b""

    def _packet(self, packet: bytes) -> bytes:
        kind, body = packet[0], packet[1:]
        if kind == _WRITE and (written := self._write(body)) is not None:
            return written
        self._tape.out(packet)
        if kind == _INIT:
            return _packed(_VERSION, struct.pack("!I", 3))
        number, body = body[:4], body[4:]
        try:
            return _packed(*self._answer(kind, number, body))
        except (ValueError, struct.error):
            return _packed(*_status(number, _BAD))

    def _write(self, body: bytes) -> bytes | None:
        """Takes content for a file; None when that is not what it is."""
        number, rest = body[:4], body[4:]
        try:
            handle, rest = _string(rest)
            data, after = _string(rest[8:])
        except ValueError:
            return None
        one = self._files.get(handle)
        if one is None or one.upload is None or one.tape is None or after:
            return None
        one.tape.out(data)
        one.upload.write(data)
        return _packed(*_status(number, _OK))

    def _answer(self, kind: int, number: bytes, body: bytes) -> tuple[int, bytes]:
        if kind in (_CLOSE, _READ, _FSTAT, _READDIR):
            handle, rest = _string(body)
            return self._of_handle(kind, number, handle, rest)
        if kind in (_SETSTAT, _FSETSTAT, _REMOVE, _MKDIR, _RMDIR, _RENAME):
            if kind == _REMOVE:
                self._shelf.files.pop(self._path(body)[0], None)
            return _status(number, _OK)
        if kind == _REALPATH:
            path = self._path(body)[0].encode("utf-8", "surrogateescape")
            entry = _text(path) + _text(path) + struct.pack("!I", 0)
            return _NAME, number + struct.pack("!I", 1) + entry
        if kind in (_LSTAT, _STAT):
            return self._stat(number, self._path(body)[0])
        if kind in (_OPEN, _OPENDIR):
            return self._open(kind, number, body)
        return _status(number, _UNSUPPORTED)

    def _open(self, kind: int, number: bytes, body: bytes) -> tuple[int, bytes]:
        path, rest = self._path(body)
        writes = kind == _OPEN and bool(struct.unpack_from("!I", rest)[0] & _FOR_WRITING)
        if kind == _OPEN and not writes and path not in self._shelf.files:
            return _status(number, _NO_FILE)
        if len(self._files) >= _HANDLES:
            return _status(number, _FAILURE)
        self._handle += 1
        handle = struct.pack("!I", self._handle)
        upload = Upload(self._shelf.store) if writes else None
        self._files[handle] = _File(path, upload, self._tape.part("ssh") if writes else None)
        return _HANDLE, number + _text(handle)

    def _of_handle(self, kind: int, number: bytes, handle: bytes, rest: bytes) -> tuple[int, bytes]:
        one = self._files.get(handle)
        if one is None:
            return _status(number, _FAILURE)
        if kind == _CLOSE:
            self._close(handle)
            return _status(number, _OK)
        if kind == _FSTAT:
            return self._stat(number, one.path)
        if kind == _READDIR:
            if one.listed:
                return _status(number, _EOF)
            one.listed = True
            return self._list(number, one.path)
        offset, length = struct.unpack_from("!QI", rest)
        blob = self._shelf.files.get(one.path)
        if blob is None or offset >= blob.size:
            return _status(number, _EOF)
        end = max(0, blob.size - offset - min(length, _LARGEST_READ))
        data = b"".join(self._shelf.store.read(blob.after(offset, end)))
        return _DATA, number + _text(data)

    def _close(self, handle: bytes) -> None:
        one = self._files.pop(handle)
        if one.upload is not None:
            keep(self._shelf, one.path, one.upload.blob())
        if one.tape is not None:
            one.tape.close()

    def _stat(self, number: bytes, path: str) -> tuple[int, bytes]:
        blob = self._shelf.files.get(path)
        if blob is not None:
            return _ATTRS, number + self._attributes(_FILE, blob.size)
        if path in ("/", self._home) or any(f.startswith(f"{path}/") for f in self._shelf.files):
            return _ATTRS, number + self._attributes(_FOLDER, 4096)
        return _status(number, _NO_FILE)

    def _list(self, number: bytes, path: str) -> tuple[int, bytes]:
        folder = path.rstrip("/") + "/"
        entries: list[bytes] = []
        for name, blob in sorted(self._shelf.files.items()):
            if name.startswith(folder) and len(entries) < 500:
                short = name.removeprefix(folder).encode("utf-8", "surrogateescape")
                when = self._login.time("%b %e %H:%M").encode()
                row = b"-rw-r--r-- 1 1001 1001 %12d %s %s" % (blob.size, when, short)
                entries.append(_text(short) + _text(row) + self._attributes(_FILE, blob.size))
        return _NAME, number + struct.pack("!I", len(entries)) + b"".join(entries)

    def _attributes(self, mode: int, size: int) -> bytes:
        now = int(self._login.clock())
        return struct.pack("!IQIIIII", 0x1 | 0x2 | 0x4 | 0x8, size, 1001, 1001, mode, now, now)

    def _path(self, body: bytes) -> tuple[str, bytes]:
        raw, rest = _string(body)
        path = raw.decode("utf-8", "surrogateescape")
        if not path.startswith("/"):
            path = f"{self._home}/{path}"
        parts: list[str] = []
        for part in path.split("/"):
            if part == "..":
                del parts[-1:]
            elif part not in ("", "."):
                parts.append(part)
        return "/" + "/".join(parts), rest


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The string at the front of `data`, and what follows it.

    Raises:
        ValueError: It is cut short.
    """
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]


def _text(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def _packed(kind: int, body: bytes) -> bytes:
    return struct.pack("!IB", len(body) + 1, kind) + body


def _status(number: bytes, code: int) -> tuple[int, bytes]:
    words = {_OK: b"Success", _EOF: b"End of file", _NO_FILE: b"No such file"}
    text = _text(words.get(code, b"Failure")) + _text(b"")
    return _STATUS, number + struct.pack("!I", code) + text
