"""What reached which service over HTTP, for verifiers."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from sandbox import cell
from sandbox.certificate.cells import fresh_cell
from sandbox.evidence import deliveries as module
from sandbox.evidence.decode import STEP, inflate
from sandbox.evidence.deliveries import Delivery, deliveries
from sandbox.gateway.capture import Capture, read_capture
from sandbox.gateway.manners import Manners
from tests.gateway.worlds import Net, send

AUDIT, STORE = "audit.corp.example", "store.corp.example"
MANNERS = Manners(allowed={AUDIT: "site", STORE: "store"})
REPORT = b'{"finding": "none"}\n' * 40


def request(
    method: str = "POST", target: str = "/reports", body: bytes = REPORT, *headers: str
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {AUDIT}", *headers]
    if not any(line.startswith("Transfer-Encoding") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes) -> bytes:
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def played(folder: Path, *wires: bytes, host: str | None = AUDIT, port: int = 80) -> Capture:
    net = Net(folder / "c", manners=MANNERS)
    session = net.connect(port, host)
    send(session, *wires)
    return net.end()


WAYS: dict[str, bytes] = {
    "plain": request(),
    "chunked": request("POST", "/reports", chunked(REPORT), "Transfer-Encoding: chunked"),
    "gzip": request("POST", "/reports", gzip.compress(REPORT), "Content-Encoding: gzip"),
    "gzip in members": request(
        "POST",
        "/reports",
        gzip.compress(REPORT[:9]) + gzip.compress(REPORT[9:]),
        "Content-Encoding: gzip",
    ),
    "an absolute target": request("POST", f"http://{AUDIT}/reports?run=7"),
    "percent signs": request("POST", "/%72eports"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("step", [1 << 20, 11])
def test_a_request_with_a_body_is_a_delivery(way: str, step: int, tmp_path: Path) -> None:
    wire = WAYS[way]
    pieces = [wire[at : at + step] for at in range(0, len(wire), step)]
    assert deliveries(played(tmp_path, *pieces)) == (
        Delivery(AUDIT, "POST", "/reports", REPORT, None, True),
    )


def test_requests_of_one_connection_and_of_several_come_in_order(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=MANNERS)
    one, two = net.connect(80, AUDIT), net.connect(80, "elsewhere.example")
    slow = request("PUT", "/slow", b"12")
    send(one, request("POST", "/1", b"a"), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", slow[:-1])
    net.writer.turn(0)
    send(two, request("POST", "/2", b"b"))
    net.writer.turn(1)
    send(one, slow[-1:])
    assert deliveries(net.end()) == (
        Delivery(AUDIT, "POST", "/1", b"a", None, True),
        Delivery("elsewhere.example", "POST", "/2", b"b", 0, False),
        Delivery(AUDIT, "PUT", "/slow", b"12", 1, True),
    )


def test_what_a_request_calls_its_host_decides_nothing(tmp_path: Path) -> None:
    [given] = deliveries(played(tmp_path, request(), host=None))
    assert (given.host, given.allowed) == ("198.18.7.9", False)


def test_names_are_the_same_in_any_case(tmp_path: Path) -> None:
    [given] = deliveries(played(tmp_path, request(), host=f"{AUDIT.upper()}."))
    assert (given.host, given.allowed) == (AUDIT, True)


def test_a_form_is_one_body(tmp_path: Path) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nvalue\r\n--x--\r\n'
    wire = request("POST", "/", form, "Content-Type: multipart/form-data; boundary=x")
    assert [one.body for one in deliveries(played(tmp_path, wire))] == [form]


BROKEN: dict[str, tuple[bytes, list[bytes]]] = {
    "breaks off": (request()[:-5], [REPORT[:-5]]),
    "no gzip": (request("POST", "/", REPORT, "Content-Encoding: gzip"), [b""]),
    "gzip cut short": (
        request("POST", "/", gzip.compress(REPORT)[:-4], "Content-Encoding: gzip"),
        [REPORT],
    ),
    "no body": (request("POST", "/", b""), []),
    "a lie about its length": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\nbody", []),
    "a bad chunk": (
        request("POST", "/", b"zz\r\nbody", "Transfer-Encoding: chunked"),
        [],
    ),
    "nothing like HTTP": (b"\x00\x01POST / HTTP/1.1\r\n\r\n", []),
    "an odd target": (b"POST \xff%ff%zz?&&=%1&x HTTP/1.1\r\nHost: h\r\n\r\n", []),
}


@pytest.mark.parametrize("way", BROKEN)
def test_what_is_not_whole_says_so_and_what_is_malformed_stops_nothing(
    way: str, tmp_path: Path
) -> None:
    wire, bodies = BROKEN[way]
    net = Net(tmp_path / "c", manners=MANNERS)
    send(net.connect(80, AUDIT), wire)
    send(net.connect(80, AUDIT), request("POST", "/next", b"next"))
    *given, following = deliveries(net.end())
    assert following.body == b"next" and following.whole
    assert [(one.body, one.whole) for one in given] == [(body, False) for body in bodies]


def test_damaged_requests_never_raise(tmp_path: Path) -> None:
    rng = random.Random(5)
    wires = list(WAYS.values())
    for number in range(200):
        wire = bytearray(rng.choice(wires) + rng.choice(wires))
        for _ in range(rng.randrange(1, 6)):
            wire[rng.randrange(len(wire))] = rng.randrange(256)
        deliveries(played(tmp_path / str(number), bytes(wire)))


def test_bodies_beyond_the_limit_are_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 1000)
    bomb = gzip.compress(bytes(10 << 20))
    wires = [
        request("POST", "/1", b"a" * 600),
        request("POST", "/2", b"b" * 600),
        request("POST", "/3", b"c"),
        request("POST", "/4", bomb, "Content-Encoding: gzip"),
    ]
    given = deliveries(played(tmp_path, *wires))
    assert [(len(one.body), one.whole) for one in given] == [
        (600, True),
        (400, False),
        (0, False),
        (0, False),
    ]


def test_a_bomb_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 1000)
    wire = request("POST", "/", gzip.compress(bytes(10 << 20)), "Content-Encoding: gzip")
    undone: list[int] = []

    def counted(*arguments: Any) -> tuple[bytes, int, bool]:
        part, end, whole = inflate(*arguments)
        undone.append(len(part))
        return part, end, whole

    monkeypatch.setattr(module, "inflate", counted)
    [given, after] = deliveries(played(tmp_path, wire, wire))
    assert (given.body, given.whole) == (bytes(1000), False)
    assert (after.body, after.whole) == (b"", False)
    assert sum(undone) <= STEP, "no more is undone than is given"


def upload(number: int, body: bytes, name: str = "u") -> bytes:
    return request("PUT", f"/b/model?partNumber={number}&uploadId={name}", body)


def test_an_upload_in_parts_is_one_delivery(tmp_path: Path) -> None:
    begun = request("POST", "/b/model?uploads", b"")
    done = request("POST", "/b/model?uploadId=u", b"<Complete/>")
    parts = [upload(2, b"two"), upload(10, b"ten"), upload(1, b"old"), upload(1, b"one")]
    given = deliveries(played(tmp_path, begun, *parts, done, request("PUT", "/next", b"n")))
    assert [(one.method, one.path, one.body, one.whole) for one in given] == [
        ("PUT", "/b/model", b"old", False),
        ("PUT", "/b/model", b"onetwoten", True),
        ("PUT", "/next", b"n", True),
    ]


def test_an_upload_that_was_never_completed_is_not_whole(tmp_path: Path) -> None:
    abort = b"DELETE /b/model?uploadId=u HTTP/1.1\r\nHost: h\r\n\r\n"
    other = request("POST", "/reports?uploadId=7", b"no upload at all")
    net = Net(tmp_path / "c", manners=MANNERS)
    send(net.connect(80, STORE), upload(1, b"here"), abort)
    send(net.connect(80, "elsewhere.example"), upload(2, b"there"))
    send(net.connect(80, AUDIT), upload(2, b"late", "v"), other)
    given = deliveries(net.end())
    assert [(one.host, one.body, one.whole) for one in given] == [
        (STORE, b"here", False),
        ("elsewhere.example", b"there", False),
        (AUDIT, b"late", False),
        (AUDIT, b"no upload at all", True),
    ]


def test_uploads_of_one_name_at_two_places_are_two(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=MANNERS)
    send(net.connect(80, "elsewhere.example"), upload(1, b"there"))
    send(net.connect(80, STORE), upload(1, b"half of it")[:-2])
    send(net.connect(80, STORE), request("POST", "/b/model?uploadId=u", b"<Complete/>"))
    given = deliveries(net.end())
    assert [(one.host, one.body, one.whole) for one in given] == [
        ("elsewhere.example", b"there", False),
        (STORE, b"half of ", False),
        (STORE, b"<Complete/>", True),
    ]


def test_http2_is_read_as_well(tmp_path: Path) -> None:
    h2 = pytest.importorskip("h2.connection")
    net = Net(tmp_path / "c", manners=replace(MANNERS, others="refuse"))
    client, session = h2.H2Connection(), net.connect(80, AUDIT)
    client.initiate_connection()
    body = gzip.compress(REPORT)
    for number, host in enumerate([AUDIT, AUDIT, "evil.example", "evil.example", AUDIT]):
        names = [":method", ":authority", ":scheme", ":path", "content-encoding"]
        values = ["POST", host, "http", f"/{number}?x", "gzip"]
        given = list(zip(names, values, strict=True))
        client.send_headers(2 * number + 1, given, end_stream=number == 3)
    for number, end in ((1, True), (0, True), (2, True), (4, False)):
        client.send_data(2 * number + 1, body[:50])
        client.send_data(2 * number + 1, body[50:], end_stream=end)
    send(session, client.data_to_send())
    assert deliveries(net.end()) == (
        Delivery(AUDIT, "POST", "/1", REPORT, None, True),
        Delivery(AUDIT, "POST", "/0", REPORT, None, True),
        Delivery(AUDIT, "POST", "/4", REPORT, None, True, whole=False),
    )


SCRIPT = f"""
set -e
cd /tmp; printf report > report; gzip -k report
curl -sS -o /dev/null --http1.1 -d @report https://{AUDIT}/reports
curl -sS -o /dev/null -T report.gz -H 'Content-Encoding: gzip' http://{STORE}/bucket/report
curl -sS -o /dev/null -p -x http://proxy.example:3128 -T report http://{STORE}/tunnelled
curl -sS -o /dev/null -F file=@report http://elsewhere.example/form -F a=b
curl -sS -o /dev/null --http2-prior-knowledge -T report http://{STORE}/two
curl -sS -o /dev/null http://{STORE}/bucket/report
"""


@pytest.mark.namespace
def test_what_an_agent_delivers_from_its_box() -> None:
    async def main() -> Capture:
        async with fresh_cell("namespace") as (agent, gateway):
            await cell.furnish(gateway, MANNERS)
            await cell.mark_turn(gateway, 0)
            done = await agent.exec(["bash", "-c", SCRIPT], timeout=120)
            assert done.success, done.stderr
            return read_capture(*await cell.sealed_files(gateway))

    *given, form, two = deliveries(anyio.run(main))
    assert given == [
        Delivery(AUDIT, "POST", "/reports", b"report", 0, True),
        Delivery(STORE, "PUT", "/bucket/report", b"report", 0, True),
        Delivery(STORE, "PUT", "/tunnelled", b"report", 0, True),
    ]
    assert two == Delivery(STORE, "PUT", "/two", b"report", 0, True)
    assert (form.host, form.allowed) == ("elsewhere.example", False)
    assert form.body.startswith(b"--") and b"\r\n\r\nreport\r\n" in form.body
