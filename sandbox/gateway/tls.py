"""TLS as a server speaks it, with no I/O in it: records in, plaintext and records out."""

import ssl
from collections.abc import Callable

from sandbox.gateway.ca import Authority, ServerConnection

_RECORD_HEADER = 5  # bytes: type, version and length
_APPLICATION_DATA = 23


class TlsServer:
    """One TLS connection; the certificate fits the name asked for, else the address."""

    def __init__(
        self, authority: Authority, address: str, refuses: Callable[[str], bool] | None = None
    ) -> None:
        """Waits for a ClientHello.

        Args:
            authority: Mints the certificate.
            address: IP address the client connected to.
            refuses: Whether the handshake is broken off for a server name; never if not given.
        """
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        connection = authority.context(address).wrap_bio(self._in, self._out, server_side=True)
        assert isinstance(connection, ServerConnection)  # the authority's contexts make these
        if refuses is not None:
            connection.refuses = refuses
        self._connection = connection
        self.established = False
        """Whether the handshake is over."""
        self.closing = False
        """Whether the client has said that it sends nothing more."""

    @property
    def sni(self) -> str | None:
        """Server name the client asked for, if any; known from its first record on."""
        return self._connection.sni

    def receive(self, records: bytes) -> bytes:
        """Takes records and returns the plaintext in them, possibly none.

        Raises:
            ssl.SSLError: The bytes were not TLS, or the client gave up (wrong CA, for instance).
        """
        self._in.write(records)
        plain = []
        try:
            if not self.established:
                self._connection.do_handshake()
                self.established = True
            while data := self._connection.read(1 << 16):
                plain.append(data)
            self.closing = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closing = True
        return b"".join(plain)

    def send(self, plaintext: bytes) -> None:
        """Encrypts an answer; `pending` gives it out."""
        if plaintext:
            self._connection.write(plaintext)

    def close(self) -> None:
        """Answers the client's farewell; only once it is `closing`, for data may come until then.

        Raises:
            ssl.SSLError: The connection broke.
        """
        self._connection.unwrap()

    def pending(self) -> bytes:
        """The records that wait to be sent."""
        return self._out.read()


def handshake_records(sent: bytes) -> bytes:
    """What of a client's first records is its handshake, and readable as it stands.

    Args:
        sent: Records from the first on; what comes after the handshake may have come with it.

    Returns:
        The records without those of application data, whose plaintext is recorded instead.
    """
    kept: list[bytes] = []
    at = 0
    while at + _RECORD_HEADER <= len(sent):
        end = at + _RECORD_HEADER + int.from_bytes(sent[at + 3 : at + 5], "big")
        if sent[at] != _APPLICATION_DATA:
            kept.append(sent[at:end])
        at = end
    return b"".join(kept)
