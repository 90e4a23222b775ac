"""Git servers without git: packs are kept as they were pushed and given back joined into one.

Nothing is decompressed or checked: a pack's entries are copied byte for byte, which is right for
any entry, since a delta names its base by hash or by the distance within the same pack. Protocol
version 0 without side-band, over smart HTTP and over SSH; shallow clones are refused by git itself.
"""

import hashlib
import re
import struct
from collections.abc import Iterator

from sandbox.gateway.store import ENTRIES, Blob, Store, Upload
from sandbox.gateway.web import Answer, Handler, Plain, Repository, Request, Shelf, text

RECEIVE, UPLOAD = "git-receive-pack", "git-upload-pack"
_AGENT = "agent=git/2.39.5"
_CAPABILITIES = {
    RECEIVE: f"report-status delete-refs ofs-delta {_AGENT}",
    UPLOAD: f"ofs-delta {_AGENT}",
}
_FLUSH = b"0000"
_LONGEST_COMMANDS = 256 << 10
NOTHING = "0" * 40
"""What a ref points to that is not there, or shall go."""
_HEADER = struct.Struct("!4sII")
_TRAILER = 20
COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) (refs/[!-~]{1,250})(?:\x00.*)?\n?", re.S)
"""What a push asks for: the ref was there, shall be there, and its name."""
_PATH = re.compile(r"(/.*)/(info/refs|git-receive-pack|git-upload-pack)", re.S)


def packet(line: str) -> bytes:
    """A line as git sends it: four hex digits of length, then the line."""
    return f"{len(line) + 4:04x}{line}".encode()


def concerns(request: Request) -> bool:
    """Whether a request speaks git's smart HTTP."""
    match = _PATH.fullmatch(request.path)
    if match is None:
        return False
    if match[2] == "info/refs":
        return request.method == "GET" and request.query.get("service") in (RECEIVE, UPLOAD)
    return request.method == "POST"


def repository(shelf: Shelf, host: str, path: str) -> Repository:
    """The repository at a host and path, made if there is none."""
    key = (host.lower(), path.removesuffix("/").removesuffix(".git"))
    found = shelf.repositories.get(key)
    if found is None:
        found = Repository()
        if len(shelf.repositories) < ENTRIES:
            shelf.repositories[key] = found
    return found


def handler(shelf: Shelf, request: Request) -> Handler:
    """Whatever answers a request that `concerns` git."""
    match = _PATH.fullmatch(request.path)
    if match is None:
        return Plain(request, 404)
    one = repository(shelf, request.host or "", match[1])
    if match[2] == "info/refs":
        return _Advertise(one, request.query["service"])
    if match[2] == RECEIVE:
        return _Receive(shelf.store, one)
    return _Send(shelf.store, one, request)


def advertisement(one: Repository, service: str) -> bytes:
    """The refs a repository has, with what the server can do."""
    refs = dict(sorted(one.refs.items()))
    capabilities = _CAPABILITIES[service]
    if service == UPLOAD and refs:
        head = next((r for r in ("refs/heads/main", "refs/heads/master") if r in refs), "")
        head = head or next(iter(refs))
        capabilities += f" symref=HEAD:{head}"
        refs = {"HEAD": refs[head]} | refs
    if not refs:
        refs = {"capabilities^{}": NOTHING}
    lines = [f"{oid} {name}" for name, oid in refs.items()]
    lines[0] += f"\0{capabilities}"
    return b"".join(packet(f"{line}\n") for line in lines) + _FLUSH


def pack(store: Store, one: Repository) -> tuple[int, Iterator[bytes]]:
    """All packs of a repository as one: its length in bytes, and its pieces."""
    entries, count = [], 0
    for blob in one.packs:
        head = b"".join(store.read(blob.after(0, blob.size - _HEADER.size)))
        if len(head) == _HEADER.size:
            count += _HEADER.unpack(head)[2]
            entries.append(blob.after(_HEADER.size, _TRAILER))
    header = _HEADER.pack(b"PACK", 2, count & 0xFFFFFFFF)

    def pieces() -> Iterator[bytes]:
        digest = hashlib.sha1(header, usedforsecurity=False)
        yield header
        for blob in entries:
            for piece in store.read(blob):
                digest.update(piece)
                yield piece
        yield digest.digest()

    return len(header) + sum(blob.size for blob in entries) + _TRAILER, pieces()


class Push:
    """A push on its way: commands, then a pack."""

    def __init__(self, store: Store, one: Repository) -> None:
        """Waits for the first command."""
        self._repository = one
        self._upload = Upload(store)
        self._head: bytes | None = b""
        self._commands: list[tuple[str, str]] = []
        self._start = b""
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._tail = b""

    def take(self, data: bytes) -> None:
        """Takes the next bytes."""
        if self._head is None:
            self._take_pack(data)
            return
        self._head += data
        while self._head is not None and (line := first_packet(self._head)) is not None:
            length, content = line
            rest = self._head[length:]
            if content is None or len(self._commands) >= ENTRIES:
                self._head = None
                self._take_pack(rest)
                return
            self._head = rest
            if match := COMMAND.fullmatch(content):
                self._commands.append((match[3].decode(), match[2].decode()))
        if self._head is not None and len(self._head) > _LONGEST_COMMANDS:
            self._head = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to come: no commands, only deletions, or a whole pack."""
        if self._head is not None:
            return False
        if all(new == NOTHING for _, new in self._commands):
            return True
        return len(self._tail) == _TRAILER and self._digest.digest() == self._tail

    def report(self) -> bytes:
        """Takes the pack in, moves the refs and says so."""
        blob = self._upload.blob()
        if blob is not None and _is_pack(self._start, blob):
            if len(self._repository.packs) < ENTRIES:
                self._repository.packs.append(blob)
        else:
            blob = None
        for name, new in self._commands:
            if new == NOTHING:
                self._repository.refs.pop(name, None)
            elif (blob or new in self._repository.refs.values()) and (
                len(self._repository.refs) < ENTRIES
            ):
                self._repository.refs[name] = new
        if not self._commands:
            return _FLUSH
        lines = ["unpack ok\n", *(f"ok {name}\n" for name, _ in self._commands)]
        return b"".join(map(packet, lines)) + _FLUSH

    def _take_pack(self, data: bytes) -> None:
        # A push over SSH does not say where its pack ends; the pack does, by the hash at its end.
        self._upload.write(data)
        self._start = (self._start + data[: _HEADER.size])[: _HEADER.size]
        tail = self._tail + data
        self._digest.update(tail[:-_TRAILER])
        self._tail = tail[-_TRAILER:]


def _is_pack(start: bytes, blob: Blob) -> bool:
    return start[:8] == b"PACK\0\0\0\2" and blob.size >= _HEADER.size + _TRAILER


def first_packet(data: bytes) -> tuple[int, bytes | None] | None:
    """Length and content of the first packet, content None for a flush; None while incomplete."""
    if len(data) < 4:
        return None
    try:
        length = int(data[:4], 16)
    except ValueError:
        return 0, None
    if length < 4:
        return 4, None
    return (length, data[4:length]) if len(data) >= length else None


class _Advertise:
    def __init__(self, one: Repository, service: str) -> None:
        self._one = one
        self._service = service

    def take(self, data: bytes) -> None:
        """Takes no notice; it is recorded elsewhere."""

    def answer(self) -> Answer:
        announced = packet(f"# service={self._service}\n") + _FLUSH
        body = announced + advertisement(self._one, self._service)
        return text(200, f"application/x-{self._service}-advertisement", body, *_UNCACHED)


_UNCACHED = (("cache-control", "no-cache, max-age=0, must-revalidate"),)


class _Receive:
    def __init__(self, store: Store, one: Repository) -> None:
        self._push = Push(store, one)

    def take(self, data: bytes) -> None:
        self._push.take(data)

    def answer(self) -> Answer:
        report = self._push.report()
        return text(200, f"application/x-{RECEIVE}-result", report, *_UNCACHED)


class _Send:
    """Answers a fetch with everything there is; what the client has is not looked at."""

    def __init__(self, store: Store, one: Repository, request: Request) -> None:
        self._store = store
        self._one = one
        # Compressed requests are not opened: they come when there are many refs to ask for.
        self._done = "content-encoding" in request.headers
        self._last = b""

    def take(self, data: bytes) -> None:
        self._last = (self._last + data)[-16:]

    def answer(self) -> Answer:
        kind = f"application/x-{UPLOAD}-result"
        nak = packet("NAK\n")
        if not self._done and b"0009done" not in self._last:
            return text(200, kind, nak, *_UNCACHED)
        length, pieces = pack(self._store, self._one)

        def body() -> Iterator[bytes]:
            yield nak
            yield from pieces

        return Answer(200, (("content-type", kind), *_UNCACHED), body(), len(nak) + length)
