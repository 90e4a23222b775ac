"""Certificates that an ordinary, strict TLS client accepts for any name."""

import ssl
from pathlib import Path

import pytest

from sandbox.gateway.ca import Authority, AuthorityError
from sandbox.gateway.tls import TlsServer

AUTHORITY = Authority.create()
ADDRESS = "198.18.7.9"


def client(trusted: Authority, name: str) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    context = ssl.create_default_context(cadata=trusted.certificate_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2", "http/1.1"])
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(received, sent, server_hostname=name), received, sent


def shake_hands(server: TlsServer, trusted: Authority, name: str) -> ssl.SSLObject:
    connection, received, sent = client(trusted, name)
    for _ in range(3):
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            pass
        finally:
            if sent.pending:
                server.receive(sent.read())
                received.write(server.pending())
    return connection


@pytest.mark.parametrize(
    ("name", "sni"),
    [
        ("files.example.com", "files.example.com"),
        ("a" * 63 + ".example.com", "a" * 63 + ".example.com"),
        ("under_score.example.com", "under_score.example.com"),
        (ADDRESS, None),  # clients send no server name for an address
    ],
)
def test_a_strict_client_accepts_the_certificate(name: str, sni: str | None) -> None:
    server = TlsServer(AUTHORITY, ADDRESS)
    connection = shake_hands(server, AUTHORITY, name)
    assert server.established
    assert server.sni == sni
    assert connection.selected_alpn_protocol() == "http/1.1"
    certificate = connection.getpeercert()
    assert certificate
    assert certificate["subjectAltName"][0][1] == name


def test_ipv6_addresses_have_certificates_too() -> None:
    server = TlsServer(AUTHORITY, "2001:db8::9")
    shake_hands(server, AUTHORITY, "2001:db8::9")
    assert server.established


def test_what_is_sent_arrives_as_plaintext_both_ways() -> None:
    server = TlsServer(AUTHORITY, ADDRESS)
    connection, received, sent = client(AUTHORITY, "x.example")
    plaintext = b""
    for _ in range(4):
        try:
            connection.do_handshake()
            connection.write(b"secret" * 10_000)
            plaintext += server.receive(sent.read())
            break
        except ssl.SSLWantReadError:
            server.receive(sent.read())
            received.write(server.pending())
    assert plaintext == b"secret" * 10_000
    server.send(b"answer")
    received.write(server.pending())
    assert connection.read() == b"answer"
    assert not server.closing


def test_a_client_that_trusts_another_authority_gives_up() -> None:
    with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
        shake_hands(TlsServer(AUTHORITY, ADDRESS), Authority.create(), "x.example")


def test_contexts_are_minted_once_and_do_not_pile_up() -> None:
    authority = Authority.create()
    first = authority.context("first.example")
    assert authority.context("first.example") is first
    for number in range(300):
        authority.context(f"n{number}.example")
    assert authority.context("first.example") is not first


def test_a_saved_authority_is_the_same_authority(tmp_path: Path) -> None:
    AUTHORITY.save(tmp_path / "ca")
    assert (tmp_path / "ca" / "ca.pem").read_bytes() == AUTHORITY.certificate_pem
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    server = TlsServer(Authority.load(tmp_path / "ca"), ADDRESS)
    shake_hands(server, AUTHORITY, "x.example")
    assert server.established


def test_a_folder_without_authority_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match=str(tmp_path)):
        Authority.load(tmp_path)
