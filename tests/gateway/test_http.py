"""The HTTP server's side of a connection: every request is answered, none breaks it."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.http import Conversation, Exchange, Reply
from tests.gateway.worlds import a_site


def get(target: str = "/x", *extra: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: h.example", *extra, "", ""]).encode()


def feed(conversation: Conversation, *pieces: bytes) -> Reply:
    """All replies in one."""
    replies = [conversation.receive(piece) for piece in pieces]
    return Reply(
        b"".join(reply.send for reply in replies),
        tuple(exchange for reply in replies for exchange in reply.exchanges),
        any(reply.close for reply in replies),
        next((reply.error for reply in replies if reply.error), None),
    )


def test_a_request_gets_200_with_the_nonce() -> None:
    reply = Conversation(a_site("nonce-1")).receive(get())
    head, _, body = reply.send.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"server: nginx",
        b"date: Thu, 01 Jan 1970 00:00:00 GMT",
        b"content-type: application/json",
        b"content-length: 16",
        b"x-request-id: nonce-1",
    ]
    assert body == b'{"status":"ok"}\n'
    assert reply.exchanges == (Exchange("GET", "/x", "h.example", 200, 0),)
    assert not reply.close and reply.error is None


@pytest.mark.parametrize(
    ("request_", "exchange", "close"),
    [
        (get("/"), Exchange("GET", "/", "h.example", 200, 0), False),
        (get("/", "Connection: close"), Exchange("GET", "/", "h.example", 200, 0), True),
        (b"GET /old HTTP/1.0\r\n\r\n", Exchange("GET", "/old", None, 200, 0), True),
        (
            b"PROPFIND /dav HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc",
            Exchange("PROPFIND", "/dav", "d", 200, 3),
            False,
        ),
        (
            b"POST /c HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            Exchange("POST", "/c", "d", 200, 11),
            False,
        ),
        (b"HEAD / HTTP/1.1\r\nHost: d\r\n\r\n", Exchange("HEAD", "/", "d", 200, 0), False),
        (
            b"CONNECT t.example:443 HTTP/1.1\r\nHost: t.example:443\r\n\r\n",
            Exchange("CONNECT", "t.example:443", "t.example:443", 200, 0),
            False,
        ),
        (
            get("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k"),
            Exchange("GET", "/ws", "h.example", 101, 0),
            False,
        ),
        (
            get("/h2c", "Connection: Upgrade", "Upgrade: h2c"),
            Exchange("GET", "/h2c", "h.example", 200, 0),
            False,
        ),
    ],
)
def test_requests(request_: bytes, exchange: Exchange, close: bool) -> None:
    reply = Conversation(a_site()).receive(request_)
    assert reply.exchanges == (exchange,)
    assert reply.close is close
    assert reply.send.startswith(f"HTTP/1.1 {exchange.status} ".encode())


def test_the_home_page_is_a_page_and_head_has_no_body() -> None:
    assert b"<html>" in Conversation(a_site()).receive(get("/")).send
    head = Conversation(a_site()).receive(b"HEAD / HTTP/1.1\r\nHost: d\r\n\r\n").send
    assert head.endswith(b"\r\n\r\n") and b"<html>" not in head


def test_a_client_that_asks_first_is_told_to_continue() -> None:
    conversation = Conversation(a_site())
    head = b"PUT /w HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    assert conversation.receive(head).send == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert conversation.receive(b"ab").send == b""
    done = conversation.receive(b"cd")
    assert done.send.startswith(b"HTTP/1.1 200 OK")
    assert done.exchanges[0].request_bytes == 4


@given(st.integers(1, 200), st.integers(0, 50))
def test_pieces_of_any_size_give_the_same_exchanges(size: int, body: int) -> None:
    wire = get("/a") + (
        f"PUT /b HTTP/1.1\r\nHost: d\r\nContent-Length: {body}\r\n\r\n".encode() + b"x" * body
    )
    pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
    reply = feed(Conversation(a_site()), *pieces)
    assert [(e.target, e.request_bytes) for e in reply.exchanges] == [("/a", 0), ("/b", body)]
    assert reply.send == feed(Conversation(a_site()), wire).send


@pytest.mark.parametrize(
    "wire",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: d\r\nbroken header\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: d\r\nX: " + b"a" * (300 << 10),
        b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_ends_the_conversation_with_an_error(wire: bytes) -> None:
    conversation = Conversation(a_site())
    reply = conversation.receive(wire)
    assert reply.close and reply.error
    assert reply.send.startswith(b"HTTP/1.1 4")
    assert conversation.receive(get()) == Reply()


def test_an_unfinished_request_is_reported_with_what_came() -> None:
    conversation = Conversation(a_site())
    assert conversation.unfinished() is None
    conversation.receive(b"PUT /w HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n12345")
    assert conversation.unfinished() == Exchange("PUT", "/w", "d", 0, 5)


def test_a_real_client_understands_the_answers() -> None:
    client, conversation = h11.Connection(h11.CLIENT), Conversation(a_site())
    for _ in range(2):
        request = h11.Request(method="POST", target="/", headers=[("host", "d")])
        wire = (client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b"")
        client.receive_data(conversation.receive(wire).send)
        response, data, end = (client.next_event() for _ in range(3))
        assert isinstance(response, h11.Response) and response.status_code == 200
        assert isinstance(data, h11.Data) and isinstance(end, h11.EndOfMessage)
        client.start_next_cycle()
