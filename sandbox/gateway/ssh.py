"""SSH on a connection: Twisted's Conch does the encryption, without Twisted's reactor.

Conch is given a transport that only collects what it writes; the messages above its transport
layer are the gateway's own (`channels.py`), so that each is recorded decrypted before it is
answered. Compression is not offered.
"""

from __future__ import annotations

import hmac
import importlib
import secrets
import struct
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from sandbox.gateway.capture import CaptureFull
from sandbox.gateway.channels import SERVICE_REQUEST, Channels
from sandbox.gateway.talk import Talk, Turn
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf

# Conch is typed in part only, and in other parts in each version.
keys: Any = importlib.import_module("twisted.conch.ssh.keys")
transport: Any = importlib.import_module("twisted.conch.ssh.transport")

_DISCONNECT = 1
_KIND = b"ssh-ed25519"
_SLICE = 16 << 10  # bytes given to Conch at once, which copies all it holds for every packet
_EXCHANGES = [
    b"curve25519-sha256",
    b"curve25519-sha256@libssh.org",
    b"ecdh-sha2-nistp256",
    b"ecdh-sha2-nistp384",
]


@cache
def _secret() -> bytes:
    return secrets.token_bytes(32)


def _host_key(host: str) -> Any:
    """Another key for each host, and the same again as long as this process lives."""
    seed = hmac.digest(_secret(), host.encode("utf-8", "replace"), "sha256")
    return keys.Key(ed25519.Ed25519PrivateKey.from_private_bytes(seed))


class _Collector:
    """A transport without a connection."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.lost = False

    def write(self, data: bytes) -> None:
        self.written += data

    def loseConnection(self) -> None:
        self.lost = True


class _Factory:
    """The keys, as Conch asks for them."""

    def __init__(self, host: str) -> None:
        key = _host_key(host)
        self.privateKeys = {_KIND: key}
        self.publicKeys = {_KIND: key.public()}


class _Transport(transport.SSHServerTransport):  # type: ignore[misc]
    """Conch's transport, which hands over all messages that are not its own."""

    ourVersionString = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"
    supportedKeyExchanges = _EXCHANGES
    supportedPublicKeys = [_KIND]
    supportedCompressions = [b"none"]

    def __init__(self, tape: Tape, shelf: Shelf) -> None:
        self.factory = _Factory(tape.host or tape.dst[0])
        self.tape = tape
        self.channels = Channels(tape, shelf, self._reply)
        self.reason = ""
        self.gone = False

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        if messageNum >= 50 or messageNum == SERVICE_REQUEST:
            self.channels.message(messageNum, payload)
            return
        self.tape.out(struct.pack("B", messageNum) + payload)
        if messageNum == _DISCONNECT:
            self.gone = True
        else:
            super().dispatchMessage(messageNum, payload)

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        self.reason = desc.decode("utf-8", "replace")
        super().sendDisconnect(reason, desc)

    def _reply(self, number: int, content: bytes) -> None:
        self.sendPacket(number, content)


class SshTalk(Talk):
    """One SSH connection."""

    records = True

    def __init__(self, tape: Tape, shelf: Shelf) -> None:
        """Waits for the client, or for its silence."""
        self._tape = tape
        self._wire = _Collector()
        self._conch = _Transport(tape, shelf)
        self._started = False
        self._version = b""
        self._greeted = False
        self._broken = False

    def quiet(self) -> Turn:
        """Greets."""
        self._start()
        return self._turn()

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        self._start()
        if not self._greeted:
            line, found, rest = (self._version + data).partition(b"\n")
            if not found:
                self._version = line
                if len(line) > 4096:
                    self._break("a version line without end")
                return self._turn()
            self._greeted = True
            self._version = b""
            self._tape.out(line + b"\n")
            self._feed(line + b"\n")
            data = rest
        for at in range(0, len(data), _SLICE):
            self._feed(data[at : at + _SLICE])
        return self._turn()

    def more(self) -> Turn:
        """The next part of long outputs."""
        if not self._broken:
            self._conch.channels.more()
        return self._turn()

    def finish(self) -> None:
        """Records what is held back and ends what still runs."""
        self._tape.out(self._version)
        self._version = b""
        if not self._broken and self._started:
            self._tape.out(self._conch.buf)
            self._conch.buf = b""
        self._conch.channels.finish()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._tape.event("ssh")
            self._conch.makeConnection(self._wire)

    def _feed(self, data: bytes) -> None:
        if self._broken:
            self._tape.out(data)
            return
        try:
            self._conch.dataReceived(data)
        except CaptureFull:
            raise
        except Exception as error:  # Conch raises whatever comes to pass on damaged input
            self._break(f"{type(error).__name__}: {error}")
        if self._conch.gone:
            self._broken = True
        elif self._wire.lost and not self._broken:
            self._break(self._conch.reason or "disconnected")

    def _break(self, reason: str) -> None:
        self._broken = True
        self._tape.error(f"SSH: {reason[:200]}")
        held, self._version = self._version + self._conch.buf, b""
        self._conch.buf = b""
        self._tape.out(held)

    def _turn(self) -> Turn:
        send = bytes(self._wire.written)
        self._wire.written.clear()
        delays, self._conch.channels.delays = self._conch.channels.delays, False
        return Turn(send, self._broken, delays)
