"""Sites and sessions for tests, with no sockets in them."""

from pathlib import Path

from sandbox.gateway import dns as resolver
from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import Capture, CaptureWriter, load_capture
from sandbox.gateway.manners import Manners, Service
from sandbox.gateway.outside import Outside
from sandbox.gateway.session import Session
from sandbox.gateway.store import Store
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf, Site

AUTHORITY = Authority.create()
SRC = ("10.0.2.15", 40000)


def a_site(
    nonce: str = "n",
    manners: Manners | None = None,
    service: Service | None = None,
    folder: Path = Path("/tmp"),
) -> Site:
    """A site of its own, at which it is always 1970."""
    shelf = Shelf(Store(folder))
    return Site(shelf, manners or Manners(), nonce, service, clock=lambda: 0)


class Net:
    """A world with a capture of its own, in which connections are made."""

    def __init__(self, folder: Path, limit: int = 1 << 20, manners: Manners | None = None) -> None:
        self.folder = folder
        self.writer = CaptureWriter(folder, nonce="n", limit=limit)
        self.store = Store(folder)
        self.outside = Outside(self.writer, AUTHORITY, self._answer_dns, self.store, manners)
        self.sessions: list[tuple[Session, Tape]] = []

    def connect(self, port: int = 443, host: str | None = None) -> Session:
        dst = (resolver.address_of(host) if host else "198.18.7.9", port)
        allowed = self.outside.manners.service(host) is not None
        stream = self.writer.open("tcp", SRC, dst, host, allowed=allowed)
        tape = Tape(self.writer, stream, SRC, dst, host, allowed)
        session = Session(self.outside, tape)
        self.sessions.append((session, tape))
        return session

    def end(self) -> Capture:
        for session, tape in self.sessions:
            session.finish()
            tape.close()
        self.writer.end()
        self.store.close()
        return load_capture(self.folder)

    def _answer_dns(self, stream: int, query: bytes) -> bytes | None:
        found = resolver.answer(query)
        self.writer.event("dns", stream=stream, name=found.name, type=found.type)
        return found.reply


def send(session: Session, *pieces: bytes) -> bytes:
    """What the session answers to these pieces, in all."""
    answer = b""
    for piece in pieces:
        answer += session.receive(piece)
        while part := session.more():
            answer += part
    return answer
