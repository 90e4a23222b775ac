"""One TCP connection to the gateway: recognised by its content, recorded, then answered.

There is no socket here: `Session.receive` takes what came in, writes it down and returns what to
send, so that nothing can be answered before it is in the capture. A session inside a tunnel is a
session like any other, with a stream of its own.
"""

import ipaddress
import ssl

from sandbox.gateway import decoding, firewall
from sandbox.gateway.dns import address_of
from sandbox.gateway.ftp import Ftp
from sandbox.gateway.http import Conversation
from sandbox.gateway.linetalk import DataTalk, LineTalk
from sandbox.gateway.outside import Outside
from sandbox.gateway.recognise import (
    SILENCE,
    SPEAKS_FIRST,
    looks_like_tls,
    may_be_decoded,
    spoken,
)
from sandbox.gateway.smtp import MAIL_HOST, Smtp
from sandbox.gateway.talk import GuardedTalk, HttpTalk, Talk, Turn
from sandbox.gateway.tape import Tape
from sandbox.gateway.tls import TlsServer, handshake_records
from sandbox.gateway.tunnel import DnsTalk, TunnelTalk

DNS_PORTS = (53, 853)  # DNS over TCP, DNS over TLS
# Handshakes stay out of the payload. One larger than this carries more than a handshake needs.
_LARGEST_HANDSHAKE = 4 << 10
_LONGEST_HANDSHAKE = 64 << 10
_DEEPEST = 8  # tunnels in tunnels; what is further in is recorded as it comes
_LONGEST_NAME = 255


class Session:
    """The gateway's side of one TCP connection."""

    def __init__(self, outside: Outside, tape: Tape, depth: int = 0) -> None:
        """Starts a connection.

        Args:
            outside: The world it leads to.
            tape: Where it is recorded, and where it goes: the address the agent meant to reach.
            depth: How many tunnels it is inside of.
        """
        self._outside = outside
        self._tape = tape
        self._depth = depth
        self._held = b""  # the first bytes, or a handshake under way: not yet in the capture
        self._plain = False
        self._tls: TlsServer | None = None
        self._opening = b""  # plaintext that has not decided yet
        self._taped = 0  # bytes of the opening that are in the capture
        self._greeted: str | None = None  # what the gateway has spoken before the client did
        transfer = outside.awaited(*tape.dst)
        self._talk = Talk() if transfer is None else DataTalk(transfer, outside.shelf)
        self._decided = transfer is not None
        self.closing = False
        """Whether the gateway's side is done; what still comes in is recorded all the same."""
        self.delay = 0.0
        """Seconds a realistic server would take before what was returned last."""

    @property
    def patience(self) -> float | None:
        """Seconds of silence after which `quiet` is to be called; None for never."""
        if self.closing or self._held or self._opening:
            return None
        if self._decided or self._greeted is not None:
            return self._talk.patience
        return SILENCE if self._tape.dst[1] in SPEAKS_FIRST else None

    def receive(self, data: bytes) -> bytes:
        """Records what came in and returns the answer, possibly none.

        Args:
            data: The bytes that came in, at least one.

        Raises:
            CaptureFull: The capture takes no more.
        """
        self.delay = 0.0
        if self._tls is not None:
            return self._receive_tls(self._tls, data)
        if self._plain:
            return self._receive_plain(data)
        opening = self._held + data
        tls = looks_like_tls(opening)
        if tls is None:
            self._held = opening
            return b""
        self._held = b""
        if tls:
            refuses = self._bars if self._outside.manners.closed else None
            self._tls = TlsServer(self._outside.authority, self._tape.dst[0], refuses)
            return self._receive_tls(self._tls, opening)
        self._plain = True
        return self._receive_plain(opening)

    def quiet(self) -> bytes:
        """Hears that nothing came for `patience` seconds; returns what to send, possibly none.

        Raises:
            CaptureFull: The capture takes no more.
        """
        self.delay = 0.0
        if not self._decided and self._greeted is None:
            self._greeted = SPEAKS_FIRST[self._tape.dst[1]]
            self._talk = self._speak(self._greeted)
        return self._sealed(self._done(self._talk, self._talk.quiet()))

    def more(self) -> bytes:
        """The next part of a long answer; nothing when there is none.

        Raises:
            CaptureFull: The capture takes no more.
        """
        self.delay = 0.0
        if self.closing or not self._decided:
            return b""
        return self._sealed(self._done(self._talk, self._talk.more()))

    def finish(self) -> None:
        """Records what is still held back, when the connection has ended in whatever way.

        Raises:
            CaptureFull: The capture takes no more.
        """
        held, self._held = self._held, b""
        self._tape.out(held)
        self._tape_opening()
        self._end_talk()

    # TLS

    def _receive_tls(self, tls: TlsServer, records: bytes) -> bytes:
        shaking = not tls.established
        if shaking:
            self._held += records
        try:
            plaintext = tls.receive(records)
            if shaking and not tls.established and len(self._held) > _LONGEST_HANDSHAKE:
                raise ssl.SSLError("handshake without end")
        except (ssl.SSLError, ValueError) as error:
            # Not TLS after all, or broken off: what was sent counts as it was sent.
            alert = tls.pending()
            self._tls, self._plain = None, True
            if shaking and tls.sni is not None and self._bars(tls.sni):
                self._tape.refuse(f"TLS with {tls.sni}, which is not allowed")
            self._tape_opening()
            self._end_talk()
            sent, self._held = self._held if shaking else records, b""
            self._tape.out(sent)
            self._tape.error(f"TLS: {getattr(error, 'reason', None) or error}")
            self.closing = True
            return alert
        if shaking and tls.established:
            self._record_handshake(tls)
        if plaintext:
            tls.send(self._receive_plain(plaintext))
        if tls.closing and not self.closing:
            tls.close()
            self.closing = True
        return tls.pending()

    def _bars(self, name: str) -> bool:
        return firewall.bars(self._outside.manners, name)

    def _record_handshake(self, tls: TlsServer) -> None:
        held, self._held = handshake_records(self._held), b""
        small = len(held) <= _LARGEST_HANDSHAKE
        self._tape.event("tls", sni=tls.sni, hello=held.hex() if small else None)
        if not small:
            self._tape.out(held)

    def _sealed(self, answer: bytes) -> bytes:
        if self._tls is None:
            return answer
        if answer:
            self._tls.send(answer)
        return self._tls.pending()

    def _start_tls(self, kind: str) -> None:
        if self._tls is None:  # a client that has TLS and asks for it gets no second layer
            self._plain = self._decided = False
            self._greeted, self._talk = kind, self._speak(kind, secure=True)

    # Plaintext

    def _receive_plain(self, data: bytes) -> bytes:
        if not self._decided:
            return self._recognise(data)
        if not self._talk.records:
            self._tape.out(data)
        return self._done(self._talk, self._talk.receive(data))

    def _recognise(self, data: bytes) -> bytes:
        """Lets the first bytes decide, whatever the gateway has said before them."""
        self._opening += data
        kind = spoken(self._opening)
        if kind is None and (may_be_decoded(self._opening) or self._outside.manners.closed):
            return b""  # a few bytes; what decodes or guards them also records them
        talk = None if kind is None else self._chosen(kind)
        if talk is None or not talk.records:
            self._tape_opening()
        if talk is None:
            return b""
        opening, self._opening, self._taped = self._opening, b"", 0
        self._decided, self._talk = True, talk
        return self._done(talk, talk.receive(opening))

    def _tape_opening(self) -> None:
        fresh, self._taped = self._opening[self._taped :], len(self._opening)
        self._tape.out(fresh)

    def _end_talk(self) -> None:
        talk, self._talk, self._decided = self._talk, Talk(), True
        talk.finish()

    def _chosen(self, kind: str) -> Talk:
        """What to speak with a client whose first words are `kind`."""
        expected = self._greeted is not None and kind in (self._greeted, "raw")
        return self._talk if expected else self._speak(kind)

    def _speak(self, kind: str, secure: bool = False) -> Talk:
        tape, outside = self._tape, self._outside
        match kind:
            case "http":
                conversation = Conversation(outside.site(tape))
                return (GuardedTalk if outside.manners.closed else HttpTalk)(tape, conversation)
            case "http2":
                return decoding.http2(tape, outside.site(tape))
            case "ssh":
                return decoding.ssh(tape, outside)
            case "smtp":
                secure = secure or self._tls is not None
                return LineTalk(tape, kind, Smtp(secure, tape.host or MAIL_HOST))
            case "ftp":
                return LineTalk(
                    tape, kind, Ftp(outside.desk(tape.dst[0]), tape.dst[0], tape.src[0])
                )
        return DnsTalk(tape, outside) if tape.dst[1] in DNS_PORTS else Talk()

    def _done(self, talk: Talk, turn: Turn) -> bytes:
        if not talk.records:
            self._tape.back(turn.send)
        self.closing = self.closing or turn.close
        if turn.delay:
            self.delay = self._outside.manners.delay_ms / 1000
        if turn.start_tls is not None:
            self._start_tls(turn.start_tls)
        if turn.switch is None:
            return turn.send
        talk.finish()
        inner = self._tunnel(turn.switch) if isinstance(turn.switch, str) else turn.switch
        self._talk = inner
        return turn.send + (self._done(inner, inner.receive(turn.rest)) if turn.rest else b"")

    def _tunnel(self, target: str) -> Talk:
        host, _, port = target.rpartition(":")
        host = host.strip("[]")[:_LONGEST_NAME]
        if self._depth >= _DEEPEST or not host or not port.isdecimal() or len(port) > 5:
            return Talk()
        try:
            address, name = str(ipaddress.ip_address(host)), None
        except ValueError:
            address, name = address_of(host), host
        allowed = self._outside.manners.service(name) is not None
        tape = self._tape.part("tunnel", (address, int(port)), name, allowed)
        return TunnelTalk(tape, Session(self._outside, tape, self._depth + 1))
