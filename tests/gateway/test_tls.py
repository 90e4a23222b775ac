"""What of a TLS connection is recorded as it stands: its handshake, and not what it encrypts."""

from __future__ import annotations

import ssl

from sandbox.gateway.ca import Authority
from sandbox.gateway.tls import TlsServer, handshake_records

SECRET = b"s" * 100_000


def spoken(authority: Authority) -> tuple[bytes, bytes, bytes]:
    """A client's hello, all that it sends with the end of the handshake, and what it said."""
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="h.example")
    server = TlsServer(authority, "192.0.2.1")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        hello = outgoing.read()
    server.receive(hello)
    incoming.write(server.pending())
    client.do_handshake()
    client.write(SECRET)
    rest = outgoing.read()
    return hello, rest, server.receive(rest)


def test_data_that_comes_with_the_end_of_the_handshake_is_not_recorded_twice() -> None:
    hello, rest, plaintext = spoken(Authority.create())
    assert plaintext == SECRET
    kept = handshake_records(hello + rest)
    assert kept.startswith(hello)
    assert len(kept) - len(hello) < 100, "its plaintext is recorded, not its ciphertext too"


def test_a_hello_that_carries_a_payload_is_kept_whole() -> None:
    hello = b"\x16\x03\x01" + (9000).to_bytes(2, "big") + b"x" * 9000
    assert handshake_records(hello) == hello
    assert handshake_records(hello + b"\x17\x03\x03\x00\x04data") == hello
