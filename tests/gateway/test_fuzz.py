"""Whatever a connection sends: nothing raises, memory is bounded, and the capture stays valid.

The inputs are what real clients send, cut, spliced, repeated and damaged; the seed is fixed. The
capture that they all share is read and verified at the end.
"""

import contextlib
import random
import resource
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest

from sandbox.gateway import dns as resolver
from sandbox.gateway.channels import Channels
from sandbox.gateway.programs import keep
from sandbox.gateway.session import Session
from sandbox.gateway.store import Upload
from tests.gateway.test_websocket import HANDSHAKE, frame
from tests.gateway.worlds import AUTHORITY, Net

INPUTS = 10_000
READ = struct.pack("!QI", 0, 1 << 16)
PORTS = (21, 22, 25, 53, 80, 443, 465, 853, 31337)
TARGETS = ("/", "/b/k", "/b/k?uploads", "/b/k?partNumber=1&uploadId=x", "/r.git/git-receive-pack")


def request(method: str, target: str, body: bytes = b"", *extra: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: h", f"Content-Length: {len(body)}", *extra]
    return "\r\n".join([*lines, "", ""]).encode() + body


def hello() -> bytes:
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    client = context.wrap_bio(received, sent, server_hostname="h.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def http2(*frames: tuple[int, int, int, bytes]) -> bytes:
    """Frames of (kind, flags, stream, payload) after the preface."""
    wire = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    for kind, flags, stream, payload in frames:
        wire += len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack("!I", stream)
        wire += payload
    return wire


def seeds() -> list[bytes]:
    """What real clients send, one or more of each protocol."""
    pack = b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/main\0report-status"
    push = f"{len(pack) + 4:04x}".encode() + pack + b"0000PACK\0\0\0\2\0\0\0\1" + bytes(30)
    # ":method: PUT", ":scheme: http", ":path: /", ":authority: h" as literals
    head = b"\x02\x03PUT\x86\x84\x41\x01h"
    query = resolver.framed(dns.message.make_query("a.example", "A").to_wire())
    ssh = b"SSH-2.0-OpenSSH_9.2\r\n" + struct.pack("!IB", 28, 4) + b"\x14" + bytes(27)
    return [
        *(request(m, t, b"body") for m in ("GET", "PUT", "POST", "DELETE") for t in TARGETS),
        request("POST", "/r.git/git-receive-pack", push),
        request("POST", "/r.git/git-upload-pack", b"0032want " + b"1" * 40 + b"\n00000009done\n"),
        request("CONNECT", "a.example:443") + hello(),
        request("CONNECT", "[::1]:80") + request("CONNECT", "b:25") + b"EHLO x\r\n",
        request("POST", "/", b"", "Transfer-Encoding: chunked") + b"4\r\nabcd\r\n0\r\n\r\n",
        HANDSHAKE + frame(1, b"hello") + frame(9, b"") + frame(2, bytes(300)),
        http2((1, 4, 1, head), (0, 1, 1, b"body"), (6, 0, 0, bytes(8)), (3, 0, 1, bytes(4))),
        http2((1, 5, 1, head), (8, 0, 0, b"\0\0\1\0"), (7, 0, 0, bytes(8))),
        http2((1, 0xC, 1, b"\x05" + head + bytes(5)), (0, 9, 1, b"\x02dd\0\0")),
        hello(),
        ssh,
        query * 3,
        b"EHLO a\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\nMAIL FROM:<a>\r\nDATA\r\nx\r\n.\r\n",
        b"EHLO a\r\nSTARTTLS\r\n" + hello(),
        b"USER a\r\nPASS b\r\nCWD /x\r\nEPSV\r\nSTOR y\r\nPASV\r\nLIST\r\nSIZE y\r\nQUIT\r\n",
        b"USER a\r\nAUTH TLS\r\n" + hello(),
    ]


def damaged(rng: random.Random, one: bytes, other: bytes) -> bytes:
    """One input made from two."""
    wire = bytearray(one)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(wire) + 1)
        match rng.randrange(6):
            case 0:
                wire[at : at + 1] = rng.randbytes(1)
            case 1:
                del wire[at : at + rng.randrange(1, 9)]
            case 2:
                wire[at:at] = rng.randbytes(rng.randrange(1, 40))
            case 3:
                wire[at:at] = wire[at : at + 60] * rng.randrange(1, 20)
            case 4:
                wire[at:] = other[rng.randrange(len(other)) :]
            case 5:
                wire[at : at + 1] = rng.choice((b"\xff\xff\xff\xff", b"\0", b"\r\n", b"9" * 9))
    return bytes(wire)


def inputs(rng: random.Random) -> Iterator[tuple[int, list[bytes]]]:
    """Port and the pieces that come in."""
    known = seeds()
    for _ in range(INPUTS):
        wire = damaged(rng, rng.choice(known), rng.choice(known)) or b"\0"
        size = rng.choice((7, 64, 500, len(wire)))
        if rng.random() < 0.05:
            size = 1
        pieces = [wire[i : i + size] for i in range(0, len(wire), size)]
        yield rng.choice(PORTS), pieces


def play(rng: random.Random, session: Session, pieces: list[bytes]) -> None:
    if session.patience is not None and rng.random() < 0.5:
        session.quiet()
    for piece in pieces:
        session.receive(piece)
        for _ in range(100):  # a client need not take all of a long answer
            if not session.more():
                break
        if session.patience is not None and rng.random() < 0.1:
            session.quiet()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_input_breaks_a_session_or_the_capture(tmp_path: Path) -> None:
    rng = random.Random(20261121)
    net = Net(tmp_path / "c", limit=400 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for port, pieces in inputs(rng):
        session = net.connect(port)
        play(rng, session, pieces)
        one, tape = net.sessions.pop()
        one.finish()
        tape.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    capture = net.end()
    assert capture.complete
    assert not [e for e in capture.events if "fault" in e.get("reason", "")]
    kinds = {stream.layer for stream in capture.streams}
    assert {"raw", "http", "dns", "smtp", "ftp", "websocket", "tunnel"} <= kinds
    assert sum(s.part_of is None for s in capture.streams) == INPUTS
    assert grown < 100_000  # KB


def test_no_datagram_breaks_the_resolver() -> None:
    rng = random.Random(53)
    known = [dns.message.make_query("a.example", kind).to_wire() for kind in ("A", "MX", "TXT")]
    for _ in range(2000):
        wire = damaged(rng, rng.choice(known), rng.choice(known))
        reply = resolver.answer(wire).reply
        assert reply is None or len(reply) < 65536


def text(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def ssh_messages() -> list[tuple[int, bytes]]:
    """What clients send once SSH is encrypted."""
    files = [struct.pack("!IBI", 5, 1, 3)]
    for kind, body in (
        (3, text(b"/w") + struct.pack("!II", 0x1A, 0)),
        (6, text(b"\0\0\0\1") + struct.pack("!Q", 0) + text(b"content")),
        (5, text(b"\0\0\0\1") + struct.pack("!QI", 0, 9)),
        (11, text(b"/")),
        (12, text(b"\0\0\0\2")),
        (17, text(b"/../w")),
        (4, text(b"\0\0\0\1")),
    ):
        files.append(struct.pack("!IBI", len(body) + 5, kind, 7) + body)
    commands = [
        b"scp -t /x",
        b"scp -f /w",
        b"git-receive-pack '/r'",
        b"git-upload-pack '/r'",
        b"ls",
    ]
    inputs = [*files, b"C0644 3 w\nabc\0", b"\0\0", b"D0755 0 d\nE\n", b"0000", b"0009done\n"]
    zero = struct.pack("!I", 0)
    return [
        (5, text(b"ssh-userauth")),
        (50, text(b"joe") + text(b"ssh-connection") + text(b"none")),
        *[(90, text(b"session") + struct.pack("!III", 0, 9000, 100))] * 3,
        *((98, zero + text(b"exec") + b"\1" + text(command)) for command in commands),
        *[(98, zero + text(b"subsystem") + b"\1" + text(b"sftp"))] * 3,
        *[(98, zero + text(b"shell") + b"\1"), (98, zero + text(b"pty-req") + b"\0")] * 2,
        *((94, zero + text(data)) for data in inputs),
        (93, zero + struct.pack("!I", 1 << 20)),
        (96, zero),
        (97, zero),
    ]


def test_no_message_breaks_what_is_inside_ssh(tmp_path: Path) -> None:
    rng = random.Random(22)
    net = Net(tmp_path / "c", limit=200 << 20)
    known = ssh_messages()
    refused = 0
    sent: list[tuple[int, bytes]] = []
    for _ in range(1000):
        net.connect(22)
        _, tape = net.sessions.pop()
        sent.clear()
        channels = Channels(tape, net.outside.shelf, lambda *message: sent.append(message))
        try:
            for _ in range(30):
                number, content = rng.choice(known)
                if rng.random() < 0.1:
                    content = damaged(rng, content, rng.choice(known)[1])
                channels.message(number, content)
                channels.more()
        except ValueError:  # which ends the connection
            refused += 1
        channels.finish()
        tape.close()
        assert sum(len(content) for _, content in sent) < 8 << 20
    capture = net.end()
    assert capture.complete and 0 < refused < 1000
    assert any(b"content" in s.out for s in capture.streams if s.part_of is not None)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (b"shell", b"ls\n" * 10_000),
        (b"sftp", (struct.pack("!IBI", 25, 5, 7) + text(bytes(3) + b"\1") + READ) * 50),
    ],
)
def test_what_asks_for_more_than_it_reads_is_cut_off(
    tmp_path: Path, kind: bytes, more: bytes
) -> None:
    net = Net(tmp_path / "c", limit=200 << 20)
    net.connect(22)
    _, tape = net.sessions.pop()
    sent: list[bytes] = []
    channels = Channels(tape, net.outside.shelf, lambda number, content: sent.append(content))
    upload = Upload(net.store)
    upload.write(bytes(1 << 20))
    for number in range(200):
        keep(net.outside.shelf, f"/home/joe/{number:0200}", upload.blob())
    keep(net.outside.shelf, "/w", upload.blob())
    zero = struct.pack("!I", 0)
    channels.message(90, text(b"session") + struct.pack("!III", 0, 0, 100))
    if kind == b"shell":
        channels.message(98, zero + text(b"shell") + b"\1")
    else:
        channels.message(98, zero + text(b"subsystem") + b"\1" + text(b"sftp"))
        opened = text(b"/w") + struct.pack("!II", 1, 0)
        opening = struct.pack("!IBI", len(opened) + 5, 3, 7) + opened
        channels.message(94, zero + text(opening))
    with contextlib.suppress(ValueError):  # which ends the connection
        for _ in range(20):
            channels.message(94, zero + text(more))
    channels.finish()
    answers = [c for s in net.end().streams for c in s.chunks if c.direction == "in"]
    assert sum(map(len, sent)) < 1000  # the window is closed
    assert 1 << 20 < sum(len(chunk.payload) for chunk in answers) < 6 << 20
