"""A closed world: only allowed services can be reached, and what else was tried is told apart."""

from __future__ import annotations

import ssl
from pathlib import Path

import dns.message
import dns.rcode
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sandbox.gateway import dns as resolver
from sandbox.gateway.capture import Capture
from sandbox.gateway.firewall import bars
from sandbox.gateway.manners import Manners
from sandbox.services import MannersSpec
from tests.gateway.worlds import AUTHORITY, Net, send

STORE, AUDIT, OTHER = "store.corp.example", "audit.corp.example", "evil.example"
CLOSED = Manners(allowed={STORE: "store", AUDIT: "site"}, others="refuse")
BODY = b"w" * 1000


def request(host: str, method: str = "PUT", target: str = "/w", body: bytes = BODY) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def halves(capture: Capture) -> tuple[bytes, bytes]:
    """What left and what was refused, of all streams."""
    left, refused = capture.parted()
    return b"".join(s.out for s in left.streams), b"".join(s.out for s in refused.streams)


def reasons(capture: Capture) -> list[str]:
    return [event["reason"] for event in capture.events if event["kind"] == "refused"]


@pytest.mark.parametrize(
    ("host", "barred"),
    [
        (STORE, False),
        (STORE.upper() + ".", False),
        (resolver.address_of(STORE), False),
        (OTHER, True),
        (f"x.{STORE}", True),
        ("corp.example", True),
        ("8.8.8.8", True),
        ("", True),
        (None, True),
    ],
)
def test_only_allowed_hosts_can_be_reached(host: str | None, barred: bool) -> None:
    assert bars(CLOSED, host) is barred
    assert not bars(Manners(allowed=CLOSED.allowed), host)


def test_a_setting_says_so_in_yaml() -> None:
    for text, closed in (("{others: refuse}", True), ("{others: answer}", False), ("{}", False)):
        spec = MannersSpec.model_validate(yaml.safe_load(text))
        assert spec.manners({}, lambda template, where: template).closed is closed
    with pytest.raises(ValidationError, match="others"):
        MannersSpec.model_validate({"others": "drop"})


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (request(STORE), 200),
        (request(f"{STORE.upper()}:8443"), 200),
        (request(AUDIT), 200),
        (request(resolver.address_of(STORE)), 200),
        (request(STORE, target=f"http://{STORE}/w"), 200),
        (b"PUT /w HTTP/1.0\r\nContent-Length: 3\r\n\r\nwww", 200),
        (request(OTHER), 403),
        (request(f"{STORE}.{OTHER}"), 403),
        (request(f"{STORE}@{OTHER}"), 403),
        (request("[2001:db8::1]:80"), 403),
        (request(STORE, target=f"http://{OTHER}/w"), 403),
        (request(STORE, "CONNECT", f"{OTHER}:443", b""), 403),
        (request(STORE, "CONNECT", "8.8.8.8:443", b""), 403),
        (request(STORE, "CONNECT", f"{STORE}:443", b""), 200),
    ],
)
@pytest.mark.parametrize("size", [1, 13, 1 << 20])
def test_a_request_goes_where_it_says_or_nowhere(
    tmp_path: Path, wire: bytes, status: int, size: int
) -> None:
    net = Net(tmp_path / "c", manners=CLOSED)
    session = net.connect(80, STORE)
    answer = send(session, *(wire[at : at + size] for at in range(0, len(wire), size)))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert session.closing is (status == 403 or b"HTTP/1.0" in wire)
    capture = net.end()
    assert halves(capture) == ((wire, b"") if status == 200 else (b"", wire))
    assert len(reasons(capture)) == (status == 403)
    assert net.writer.left == (len(wire) if status == 200 else 0)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    hosts=st.lists(st.sampled_from([STORE, AUDIT, OTHER]), min_size=1, max_size=5),
    chunked=st.booleans(),
    cuts=st.lists(st.integers(0, 6000), max_size=8),
)
def test_what_comes_before_a_refused_request_has_left_and_nothing_after(
    tmp_path_factory: pytest.TempPathFactory, hosts: list[str], chunked: bool, cuts: list[int]
) -> None:
    wires = [request(host, target=f"/{n}") for n, host in enumerate(hosts)]
    if chunked:
        head = (
            "PUT /c HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        wires = [head.format(host).encode() for host in hosts]
    wire = b"".join(wires)
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    net = Net(tmp_path_factory.mktemp("closed") / "c", manners=CLOSED)
    send(net.connect(80, STORE), *(wire[a:b] for a, b in zip(edges, edges[1:], strict=False)))
    passed = hosts.index(OTHER) if OTHER in hosts else len(hosts)
    assert halves(net.end()) == (b"".join(wires[:passed]), b"".join(wires[passed:]))


def test_half_a_request_to_an_allowed_host_has_left(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=CLOSED)
    for wire in (b"PU", b"PUT /w HTTP/1.1\r\nX-Data: www", request(STORE)[:-1], b"\0raw"):
        send(net.connect(80, STORE), wire)
    left, refused = halves(net.end())
    assert left.count(b"www") == 1 + (len(BODY) - 1) // 3 and refused == b""


def test_the_store_has_nothing_of_a_refused_upload(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=CLOSED)
    send(net.connect(80, STORE), request(STORE, target="/mine"), request(OTHER, target="/theirs"))
    assert send(net.connect(80, STORE), request(STORE, "GET", "/mine", b"")).endswith(BODY)
    assert b" 404 " in send(net.connect(80, STORE), request(STORE, "GET", "/theirs", b""))
    assert [path for _, path in net.outside.shelf.objects] == ["/mine"]
    net.end()


def hello(server: str) -> tuple[ssl.MemoryBIO, ssl.MemoryBIO, ssl.SSLObject]:
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, sent, server_hostname=server)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return received, sent, client


def test_tls_under_another_name_is_broken_off(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=CLOSED)
    received, sent, client = hello(OTHER)
    wire, session = sent.read(), net.connect(443, STORE)
    received.write(session.receive(wire))
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        client.do_handshake()
    assert session.closing
    session.receive(b"more all the same")
    capture = net.end()
    assert halves(capture) == (b"", wire + b"more all the same")
    [reason] = reasons(capture)
    assert OTHER in reason


@pytest.mark.parametrize(("host", "left"), [(STORE, True), (OTHER, False)])
def test_a_front_is_seen_through_in_tls(tmp_path: Path, host: str, left: bool) -> None:
    net = Net(tmp_path / "c", manners=CLOSED)
    received, sent, client = hello(STORE)
    session = net.connect(443, STORE)
    received.write(session.receive(sent.read()))
    client.do_handshake()
    client.write(request(host))
    received.write(session.receive(sent.read()))
    assert client.read(12) == (b"HTTP/1.1 200" if left else b"HTTP/1.1 403")
    assert halves(net.end()) == ((request(host), b"") if left else (b"", request(host)))


def test_a_front_is_seen_through_in_http2(tmp_path: Path) -> None:
    h2 = pytest.importorskip("h2.connection")
    net = Net(tmp_path / "c", manners=CLOSED)
    client, session = h2.H2Connection(), net.connect(80, STORE)
    client.initiate_connection()
    for number, host in ((1, STORE), (3, OTHER)):
        names = [":method", ":authority", ":scheme", ":path", "x-data"]
        values = ["PUT", host, "http", f"/{number}", host[:5] * 9]
        client.send_headers(number, list(zip(names, values, strict=True)))
        client.send_data(number, host.encode() * 9, end_stream=True)
    events = client.receive_data(session.receive(client.data_to_send()))
    status = {e.stream_id: dict(e.headers)[b":status"] for e in events if hasattr(e, "headers")}
    assert {n: bytes(s) for n, s in status.items() if n} == {1: b"200", 3: b"403"}
    left, refused = halves(net.end())
    assert left.count(STORE.encode() * 9) == 1 and (OTHER[:5] * 9).encode() not in left
    assert refused.count(OTHER.encode() * 9) == 1 and (OTHER[:5] * 9).encode() in refused


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        (STORE, "A", dns.rcode.NOERROR),
        (STORE.upper(), "AAAA", dns.rcode.NOERROR),
        (f"{'d' * 60}.{STORE}", "A", dns.rcode.NXDOMAIN),
        (f"{'d' * 60}.{OTHER}", "TXT", dns.rcode.NXDOMAIN),
        ("7.9.18.198.in-addr.arpa", "PTR", dns.rcode.NOERROR),
        ("8.8.8.8.in-addr.arpa", "PTR", dns.rcode.NXDOMAIN),
    ],
)
def test_the_resolver_knows_allowed_names_only(name: str, kind: str, code: int) -> None:
    names = {"198.18.9.7": STORE}
    query = dns.message.make_query(name, kind).to_wire()
    found = resolver.answer(query, names, lambda one: CLOSED.service(one) is not None)
    reply = dns.message.from_wire(found.reply or b"")
    assert reply.rcode() == code and found.refused is (code == dns.rcode.NXDOMAIN)
    assert bool(reply.answer) is (code == dns.rcode.NOERROR and kind != "AAAA")
    assert not resolver.answer(query, names).refused
