"""The sites of the world, with no I/O in them: what a request of any HTTP version is answered."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from sandbox.gateway.manners import Manners, Service
from sandbox.gateway.store import Blob, Store

_JSON = b'{"status":"ok"}\n'
_PAGE = (
    b"<!DOCTYPE html>\n<html>\n<head><title>Welcome</title></head>\n"
    b"<body>\n<h1>Welcome</h1>\n<p>The service is running.</p>\n</body>\n</html>\n"
)
_PARAMETERS = 32  # query parameters looked at

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """The head of a request.

    Attributes:
        method: As sent.
        target: Request target as sent: path and query, or an absolute URL.
        host: Host header or :authority as sent, if any.
        headers: All headers, names in lower case, the last of each name.
    """

    method: str
    target: str
    host: str | None
    headers: Mapping[str, str]

    @cached_property
    def path(self) -> str:
        """The path without query, percent-decoded."""
        return unquote(self._parts[0])

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters, the last of each name."""
        pairs = self._parts[1].split("&", _PARAMETERS)[:_PARAMETERS]
        return dict(parse_qsl("&".join(pairs), keep_blank_values=True))

    @cached_property
    def _parts(self) -> tuple[str, str]:
        target = self.target.partition("#")[0]
        if not target.startswith("/") and "://" in target:
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("?")
        return path, query


@dataclass(frozen=True)
class Answer:
    """What a request is answered with.

    Attributes:
        status: HTTP status.
        headers: Headers of this answer besides server, date, length and nonce.
        body: The body's pieces; not taken for a HEAD request.
        length: Bytes of the body.
    """

    status: int = 200
    headers: Headers = (("content-type", "application/json"),)
    body: Iterable[bytes] = (_JSON,)
    length: int = len(_JSON)


def text(status: int, kind: str, body: bytes, *headers: tuple[str, str]) -> Answer:
    """An answer whose body is at hand."""
    return Answer(status, (("content-type", kind), *headers), (body,), len(body))


class Handler(Protocol):
    """Takes a request's body and answers it."""

    def take(self, data: bytes) -> None:
        """Takes the next piece of the body."""

    def answer(self) -> Answer:
        """Answers, once the body is over."""


@dataclass
class Repository:
    """A git repository: where its refs point, and the packs that were pushed."""

    refs: dict[str, str] = field(default_factory=dict)
    packs: list[Blob] = field(default_factory=list)


@dataclass
class Shelf:
    """What all connections of one box share: whatever was put where.

    Attributes:
        store: Holds the bytes.
        objects: Stored objects by host and path.
        uploads: Parts of multipart uploads by upload id and part number.
        repositories: Git repositories by host and path.
        files: Files put by FTP, SFTP and the like, by path.
    """

    store: Store
    objects: dict[tuple[str, str], Blob] = field(default_factory=dict)
    uploads: dict[str, dict[int, Blob]] = field(default_factory=dict)
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    files: dict[str, Blob] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """What answers at one host.

    Attributes:
        shelf: The box's belongings.
        manners: How to answer.
        nonce: Shown in every answer's `x-request-id`, to prove which gateway answered.
        service: What allowed service this is, if it is one.
        clock: Unix time in seconds, for the Date header.
    """

    shelf: Shelf
    manners: Manners
    nonce: str
    service: Service | None = None
    clock: Callable[[], float] = time.time

    def common(self, answer: Answer) -> list[tuple[str, str]]:
        """The headers of an answer, all of them, in lower case."""
        length = [] if answer.status == 204 else [("content-length", str(answer.length))]
        return [
            ("server", self.manners.server),
            ("date", formatdate(self.clock(), usegmt=True)),
            *answer.headers,
            *length,
            ("x-request-id", self.nonce),
        ]


class Plain:
    """Takes any request and answers what a small service would."""

    def __init__(self, request: Request, status: int = 200) -> None:
        """Answers with `status`."""
        self._home = request.method in ("GET", "HEAD") and request.target == "/"
        self._status = status

    def take(self, data: bytes) -> None:
        """Takes no notice; it is recorded elsewhere."""

    def answer(self) -> Answer:
        """A page for the root, else a line of JSON."""
        if self._home:
            return text(self._status, "text/html", _PAGE)
        return text(self._status, "application/json", _JSON)
