"""SMTP and FTP: every client gets through, content decides, and silence is greeted by the port."""

import ftplib
import io
import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from sandbox.gateway.capture import Capture
from sandbox.gateway.dns import address_of
from sandbox.gateway.ftp import Ftp
from sandbox.gateway.recognise import SPEAKS_FIRST
from sandbox.gateway.smtp import Smtp
from tests.gateway.running import World, played
from tests.gateway.worlds import AUTHORITY, Net, send
from tests.sandbox.boxes import Cell, in_cell

DATA = bytes(range(256)) * 400
EHLO = b"EHLO me.example\r\n"
REQUEST = b"GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.certificate_pem.decode())
    return context


def said(capture: Capture, kind: str) -> list[tuple[str, str]]:
    return [(e["verb"], e["argument"]) for e in capture.events if e["kind"] == kind]


# Who speaks first


@pytest.mark.parametrize(
    ("port", "greeting"),
    [(25, b"220 mx"), (587, b"220 mx"), (21, b"220 (vsFTPd"), (80, b""), (31337, b"")],
)
def test_the_port_greets_a_silent_client(tmp_path: Path, port: int, greeting: bytes) -> None:
    session = Net(tmp_path / "c").connect(port)
    assert (session.patience is not None) is bool(greeting)
    if greeting:
        assert session.quiet().startswith(greeting)
        assert session.patience is None


@pytest.mark.parametrize("greeted", [False, True])
@pytest.mark.parametrize("port", [21, 25, 80, 4444])
@pytest.mark.parametrize(
    ("first", "layer", "answer"),
    [
        (EHLO, "smtp", b"250-mx1"),
        (b"helo x\r\n", "smtp", b"250 mx1"),
        (b"USER joe\r\n", "ftp", b"331 "),
        (REQUEST, "http", b"HTTP/1.1 200"),
    ],
)
def test_a_first_line_wins_over_the_port(
    tmp_path: Path, port: int, greeted: bool, first: bytes, layer: str, answer: bytes
) -> None:
    net = Net(tmp_path / "c")
    session = net.connect(port)
    if greeted and session.patience is not None:
        session.quiet()
    assert send(session, first[:3], first[3:]).startswith(answer)
    [stream] = net.end().streams
    assert (stream.layer, stream.out) == (layer, first)


def test_a_greeted_protocol_goes_on_with_any_first_line(tmp_path: Path) -> None:
    session = Net(tmp_path / "c").connect(25)
    session.quiet()
    assert send(session, b"NOOP\r\n") == b"250 2.0.0 Ok\r\n"


# SMTP


@pytest.mark.parametrize("secure", [False, True])
def test_mail_of_a_real_client_is_recorded(
    tmp_path: Path, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = b"Subject: w\r\n\r\n.hidden\r\n" + b"x" * 5000 + b"\r\n"

    def scene(one: World) -> None:
        monkeypatch.setitem(SPEAKS_FIRST, one.tcp4[1], "smtp")
        with smtplib.SMTP(one.tcp4[0], one.tcp4[1], timeout=20) as client:
            if secure:
                monkeypatch.setattr(client, "_host", "mx.example")
                client.starttls(context=trusting())
            client.login("joe", "secret")
            client.sendmail("a@a.example", ["b@b.example", "c@c.example"], mail)

    capture = played(tmp_path / "c", scene)
    [stream] = capture.streams
    assert b"x" * 5000 in stream.out
    assert stream.sni == ("mx.example" if secure else None)
    verbs = [verb for verb, _ in said(capture, "smtp")]
    assert verbs[-6:] == ["MAIL", "RCPT", "RCPT", "DATA", "MAIL-END", "QUIT"]
    assert [e for e in capture.events if e["kind"] == "error"] == []


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_mail_ends_at_its_dot_however_it_is_cut(size: int) -> None:
    wire = EHLO + b"DATA\r\nbody\r\n..\r\n.\r\nDATA\r\n.\r\nNOOP\r\nQUIT\r\nNOOP\r\n"
    one = Smtp()
    pieces = [one.receive(wire[i : i + size]) for i in range(0, len(wire), size)]
    commands = [command for piece in pieces for command in piece.commands]
    verbs = "EHLO DATA MAIL-END DATA MAIL-END NOOP QUIT"
    assert " ".join(c.verb for c in commands) == verbs
    sizes = [int(c.argument) for c in commands if c.verb == "MAIL-END"]
    assert sizes == [len("body\r\n..\r\n"), 0]
    assert b"".join(piece.send for piece in pieces).endswith(b"250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n")


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([b"AUTH PLAIN AGEAYg=="], [b"235"]),
        ([b"AUTH PLAIN", b"AGEAYg=="], [b"334", b"235"]),
        ([b"AUTH LOGIN", b"YQ==", b"Yg=="], [b"334", b"334", b"235"]),
        ([b"AUTH LOGIN YQ==", b"Yg=="], [b"334", b"235"]),
    ],
)
def test_every_way_to_log_in(lines: list[bytes], codes: list[bytes]) -> None:
    one = Smtp()
    assert [one.receive(line + b"\r\n").send[:3] for line in lines] == codes


@pytest.mark.parametrize("kind", ["smtp", "ftp"])
@pytest.mark.parametrize("wire", [b"x" * 10_000, b"NOOP\r\n" * 5000])
def test_floods_end(tmp_path: Path, kind: str, wire: bytes) -> None:
    desk = Net(tmp_path / "c").outside.desk("198.18.7.9")
    one = Smtp() if kind == "smtp" else Ftp(desk, "198.18.7.9")
    assert one.receive(wire).close
    assert one.receive(wire).send == b""


# FTP


def test_files_come_back_by_ftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got = io.BytesIO()
    names: list[list[str]] = []

    def scene(one: World) -> None:
        # Data connections go to another port, which here is another gateway's: the same one.
        monkeypatch.setitem(SPEAKS_FIRST, one.tcp4[1], "ftp")
        monkeypatch.setattr("sandbox.gateway.outside._PASSIVE", range(one.tcp4[1], one.tcp4[1] + 1))
        with ftplib.FTP(timeout=20) as client:
            client.connect(*one.tcp4)
            client.login("joe", "secret")
            client.cwd("/up")
            client.storbinary("STOR w.bin", io.BytesIO(DATA))
            names.append(client.nlst())
            assert client.size("w.bin") == len(DATA)
            client.retrbinary("RETR w.bin", got.write)
            with pytest.raises(ftplib.error_perm, match="550"):
                client.retrbinary("RETR none", got.write)
            client.quit()

    capture = played(tmp_path / "c", scene)
    assert got.getvalue() == DATA
    assert names == [["w.bin"]]
    assert DATA in [stream.out for stream in capture.streams]
    assert ("STOR", "w.bin") in said(capture, "ftp")


@pytest.mark.parametrize("version", [4, 6])
def test_ftp_calls_back_who_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    got = io.BytesIO()

    def scene(one: World) -> None:
        address = one.tcp4 if version == 4 else one.tcp6
        monkeypatch.setitem(SPEAKS_FIRST, address[1], "ftp")
        with ftplib.FTP(timeout=20) as client:
            client.set_pasv(False)
            client.connect(*address[:2])
            client.login("joe", "secret")
            for number in range(3):  # one socket serves them all
                client.storbinary(f"STOR w{number}.bin", io.BytesIO(DATA))
            client.retrbinary("RETR w1.bin", got.write)
            assert client.nlst() == ["w0.bin", "w1.bin", "w2.bin"]
            client.quit()

    capture = played(tmp_path / "c", scene)
    assert got.getvalue() == DATA
    assert [stream.out for stream in capture.streams].count(DATA) == 3
    assert [event for event in capture.events if event["kind"] == "error"] == []


@pytest.mark.namespace
def test_ftp_calls_a_box_from_the_address_the_box_has_called(tmp_path: Path) -> None:
    async def work(cell: Cell) -> tuple[bytes, Capture]:
        upload = "head -c 200000 /dev/urandom > w; curl -sS -P - -T w ftp://{}/w"
        both = [upload.format(host) for host in ("files.example", "[2001:db8::7]")]
        done = await cell.sh("; ".join([*both, "curl -sS -P - ftp://[2001:db8::7]/w"]))
        assert done.status == 0, done.stderr
        return done.stdout, await cell.capture()

    content, capture = in_cell(tmp_path, work)
    sent = [(s.dst[0], s.host) for s in capture.streams if len(s.out) == 200_000]
    assert sent == [(address_of("files.example"), "files.example"), ("2001:db8::7", None)]
    assert content in [stream.out for stream in capture.streams]


def test_ftp_calls_nobody_else(tmp_path: Path) -> None:
    def scene(one: World) -> None:
        with socket.create_connection(one.tcp4) as client, client.makefile("rb") as replies:

            def say(line: str) -> bytes:
                client.sendall(f"{line}\r\n".encode())
                return replies.readline()

            assert say("USER joe").startswith(b"331")
            for bad in (
                "PORT 10,0,0,1,4,1",
                "PORT 127,0,0,1,4",
                "PORT 127,0,0,1,4,256",
                "PORT 127,0,0,1,4,-1",
                "PORT a",
                "PORT",
                "EPRT |1|10.0.0.1|99|",
                "EPRT |1|127.0.0.1|0|",
                "EPRT |1|127.0.0.1|65536|",
                "EPRT |2|::1|99|",
                "EPRT",
            ):
                assert say(bad).startswith(b"500"), bad
            assert say("STOR w").startswith(b"425 Use")
            with socket.create_server(("127.0.0.1", 0)) as closed:
                port = closed.getsockname()[1]
            assert say(f"EPRT |1|127.0.0.1|{port}|").startswith(b"200")
            assert say("STOR w").startswith(b"150")
            assert replies.readline().startswith(b"425 Failed")

    played(tmp_path / "c", scene)


def test_a_protected_control_connection_goes_on_as_ftp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scene(one: World) -> None:
        monkeypatch.setitem(SPEAKS_FIRST, one.tcp4[1], "ftp")
        with ftplib.FTP_TLS(timeout=20, context=trusting()) as client:
            client.connect(*one.tcp4)
            client.host = "files.example"
            client.login("joe", "secret")
            client.prot_p()
            client.quit()

    capture = played(tmp_path / "c", scene)
    assert ("PASS", "secret") in said(capture, "ftp")
    assert capture.streams[0].sni == "files.example"


def test_only_so_many_data_connections_are_awaited(tmp_path: Path) -> None:
    net = Net(tmp_path / "c")
    one = Ftp(net.outside.desk("198.18.7.9"), "198.18.7.9")
    for _ in range(600):
        assert one.receive(b"EPSV\r\n").send.startswith(b"229 ")
    awaited = [port for port in range(30000, 30600) if net.outside.awaited("198.18.7.9", port)]
    assert awaited == list(range(30344, 30600))
