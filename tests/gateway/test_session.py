"""A connection is recognised by its content, and recorded whatever it turns out to be."""

import ssl
from pathlib import Path

import dns.message
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.gateway import dns as resolver
from sandbox.gateway.capture import Capture, CaptureFull
from tests.gateway.worlds import AUTHORITY, Net, send

REQUEST = b"POST /drop HTTP/1.1\r\nHost: h.example\r\nContent-Length: 7\r\n\r\nweights"
QUERY = resolver.framed(dns.message.make_query("a.example", "A", id=7).to_wire())
BROKEN_TLS = b"\x16\x03\x01\x02\x00" + bytes(range(256)) * 2


class Connection:
    """A session with a capture of its own."""

    def __init__(self, folder: Path, port: int = 443, limit: int = 1 << 20) -> None:
        self.net = Net(folder, limit)
        self.session = self.net.connect(port)

    def send(self, *pieces: bytes) -> bytes:
        return send(self.session, *pieces)

    def end(self) -> Capture:
        return self.net.end()


def kinds(capture: Capture) -> list[str]:
    return [event["kind"] for event in capture.events]


def pieces_of(wire: bytes, size: int) -> list[bytes]:
    return [wire[i : i + size] for i in range(0, len(wire), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("wire", "port", "layer", "answered"),
    [
        (REQUEST, 80, "http", True),
        (REQUEST, 31337, "http", True),
        (b"PROPFIND / HTTP/1.0\r\n\r\n", 8443, "http", True),
        (QUERY, 53, "dns", True),
        (QUERY + QUERY, 53, "dns", True),
        (b"\x00\x01\x02 raw", 443, "raw", False),
        (b"hello", 80, "raw", False),
        (b"GET / SMTP/1.1\r\n", 80, "raw", False),
        (b"x" * 40_000, 80, "raw", False),
        (b"GET /" + b"x" * 40_000, 80, "raw", False),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: h.example\r\n\r\n", 80, "http", True),
        (b"FETCH /" + b"x" * 40_000, 80, "raw", False),
        (b"\x16", 443, "raw", False),
        (b"\x16\x04\x01", 443, "raw", False),
    ],
)
def test_content_decides_and_every_byte_is_recorded(
    tmp_path: Path, wire: bytes, port: int, layer: str, answered: bool, size: int
) -> None:
    connection = Connection(tmp_path / "c", port)
    answer = connection.send(*pieces_of(wire, size if len(wire) < 1000 else size * 997))
    [stream] = (capture := connection.end()).streams
    assert stream.out == wire
    assert stream.layer == layer
    assert bool(answer) is answered
    assert b"".join(c.payload for c in stream.chunks if c.direction == "in") == answer
    assert "error" not in kinds(capture)


@pytest.mark.parametrize(("wire", "port", "kind"), [(REQUEST, 80, "http"), (QUERY, 53, "dns")])
def test_what_came_is_recorded_before_anything_is_made_of_it(
    tmp_path: Path, wire: bytes, port: int, kind: str
) -> None:
    connection = Connection(tmp_path / "c", port)
    connection.send(wire)
    order = [(e["kind"], e.get("dir")) for e in connection.end().events[2:5]]
    assert order == [("data", "out"), (kind, None), ("data", "in")]


def test_what_no_longer_fits_is_not_answered(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "c", 80, limit=len(REQUEST) - 1)
    with pytest.raises(CaptureFull):
        connection.send(REQUEST)
    assert connection.end().streams[0].out == REQUEST[:-1]


def test_an_http_request_is_an_event(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "c")
    connection.send(REQUEST)
    connection.send(b"PUT /w HTTP/1.1\r\nHost: h.example\r\nContent-Length: 9\r\n\r\nhalf")
    events = [event for event in connection.end().events if event["kind"] == "http"]
    assert [(e["method"], e["target"], e["status"], e["request_bytes"]) for e in events] == [
        ("POST", "/drop", 200, 7),
        ("PUT", "/w", 0, 4),
    ]


def test_what_follows_a_refused_request_is_recorded(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "c")
    wire = [b"GET / HTTP/1.1\r\n\r\n", b"the rest", b" of it"]
    connection.send(*wire)
    assert connection.session.closing
    capture = connection.end()
    assert capture.streams[0].out == b"".join(wire)
    assert "error" in kinds(capture)


# TLS


def speak_tls(connection: Connection, payload: bytes, size: int = 1 << 20) -> bytes:
    """Sends `payload` over TLS and returns the decrypted answer."""
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent, server_hostname="h.example")
    for _ in range(3):
        try:
            client.do_handshake()
            client.write(payload)
            break
        except ssl.SSLWantReadError:
            received.write(connection.send(*pieces_of(sent.read(), size)))
    received.write(connection.send(*pieces_of(sent.read(), size)))
    try:
        return client.read()
    except ssl.SSLWantReadError:
        return b""


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
@pytest.mark.parametrize(("payload", "answered"), [(REQUEST, True), (b"\x00raw\xff", False)])
def test_tls_is_recorded_as_plaintext(
    tmp_path: Path, payload: bytes, answered: bool, size: int
) -> None:
    connection = Connection(tmp_path / "c")
    answer = speak_tls(connection, payload, size)
    [stream] = (capture := connection.end()).streams
    assert (stream.layer, stream.sni) == ("tls", "h.example")
    assert stream.out == payload
    assert answer.startswith(b"HTTP/1.1 200 OK") is answered
    assert ("http" in kinds(capture)) is answered
    [hello] = [event["hello"] for event in capture.events if event["kind"] == "tls"]
    assert b"h.example" in bytes.fromhex(hello)


def test_dns_over_tls_is_answered(tmp_path: Path) -> None:
    assert speak_tls(Connection(tmp_path / "c", 853), QUERY)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rest=st.binary(max_size=3000), size=st.integers(1, 3000))
def test_what_only_looks_like_tls_is_recorded_as_sent(
    tmp_path_factory: pytest.TempPathFactory, rest: bytes, size: int
) -> None:
    connection = Connection(tmp_path_factory.mktemp("c") / "c")
    wire = BROKEN_TLS + rest
    connection.send(*pieces_of(wire, size))
    assert connection.end().streams[0].out == wire


def test_a_handshake_that_never_ends_is_recorded_as_sent(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "c")
    hello = b"\x16\x03\x01\x40\x00\x01\x01\x00\x00" + b"w" * 10_000
    connection.send(hello)
    assert connection.end().streams[0].out == hello


def test_garbage_after_the_handshake_is_recorded_as_sent(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "c")
    speak_tls(connection, b"fine")
    garbage = b"\x17\x03\x03\x00\x20" + b"g" * 32
    connection.send(garbage, b"and more")
    capture = connection.end()
    assert capture.streams[0].out == b"fine" + garbage + b"and more"
    assert "error" in kinds(capture)


@pytest.mark.parametrize(
    "wire", [b"SSH-2.0-x\r\n" + bytes(99), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
)
def test_what_is_decoded_is_recorded_once_however_it_is_cut(tmp_path: Path, wire: bytes) -> None:
    connection = Connection(tmp_path / "c", 22)
    connection.send(*pieces_of(wire, 1))
    assert connection.end().streams[0].out == wire


def test_tunnels_in_tunnels_have_an_end(tmp_path: Path) -> None:
    connect = b"CONNECT h.example:80 HTTP/1.1\r\nHost: h.example\r\n\r\n"
    connection = Connection(tmp_path / "c", 80)
    answers = [connection.send(connect) for _ in range(30)]
    assert [bool(answer) for answer in answers] == [True] * 9 + [False] * 21
    capture = connection.end()
    assert len(capture.streams) == 9
    assert sum(len(stream.out) for stream in capture.streams) == 30 * len(connect)
