"""A setting says how the world answers, and which services are allowed."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.gateway.index import project
from sandbox.gateway.manners import Manners, MannersError, read_manners
from tests.gateway.packages import WHEEL, wheel
from tests.gateway.running import World, played
from tests.gateway.worlds import Net, send

HOST = "pypi.corp.example"
PYTHON = Path(sys.base_prefix) / "bin" / "python3"  # a virtual environment may have no pip


def get(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def test_pip_downloads_from_the_allowed_index(tmp_path: Path) -> None:
    if subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode:
        pytest.skip("no pip")
    package = wheel()
    manners = Manners(allowed={HOST: "index"}, packages={WHEEL: package})

    def scene(one: World) -> None:
        one.gateway._names["127.0.0.1"] = HOST
        index = f"http://127.0.0.1:{one.tcp4[1]}/simple/"
        command = "-m pip download -q --isolated --no-cache-dir --disable-pip-version-check -i"
        done = subprocess.run(
            [PYTHON, *command.split(), index, "--dest", str(tmp_path), "Tiny.Tool"],
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    capture = played(tmp_path / "c", scene, manners=manners)
    assert (tmp_path / WHEEL).read_bytes() == package
    assert {(stream.host, stream.allowed) for stream in capture.streams} == {(HOST, True)}


def test_the_index_lists_links_and_misses(tmp_path: Path) -> None:
    names = {WHEEL: b"w", "Tiny.Tool-1.3.tar.gz": b"s", "other-1.tar.gz": b"o"}
    net = Net(tmp_path / "c", manners=Manners(allowed={HOST: "index"}, packages=names))
    session = net.connect(443, HOST)
    assert send(session, get("/simple/")).count(b"<a href=") == 2
    links = send(session, get("/simple/Tiny_Tool/"))
    assert links.count(b"#sha256=") == 2 and b"tiny_tool-1.2" in links
    assert send(session, get("/packages/other-1.tar.gz")).endswith(b"\r\n\r\no")
    for target in ("/simple/none/", "/packages/../manners.json", "/packages/none", "/x"):
        assert send(session, get(target)).startswith(b"HTTP/1.1 404")
    # Under any other name nothing is there to be found out.
    assert b"Tiny" not in send(net.connect(443, "pypi.org"), get("/packages/Tiny.Tool-1.3.tar.gz"))
    net.end()


@pytest.mark.parametrize(
    ("file", "name"),
    [("a_b-1.0-py3-none-any.whl", "a-b"), ("A.b-c-1.0.tar.gz", "a-b-c"), ("x-2.zip", "x")],
)
def test_files_belong_to_projects(file: str, name: str) -> None:
    assert project(file) == name


def test_answers_are_in_the_setting_s_manner(tmp_path: Path) -> None:
    manners = Manners(server="Apache/2.4", put_status=503, delay_ms=1500)
    session = Net(tmp_path / "c", manners=manners).connect(80)
    answer = send(session, b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 503 ") and b"server: Apache/2.4\r\n" in answer
    session.receive(get("/"))
    assert session.delay == 1.5
    assert Net(tmp_path / "d").connect(80).delay == 0.0


@pytest.mark.parametrize(
    ("port", "wire"),
    [(80, get("/")), (25, b"EHLO me\r\n"), (21, b"USER me\r\n"), (3128, get("h:80", "CONNECT"))],
)
def test_answers_take_their_time_in_every_protocol(tmp_path: Path, port: int, wire: bytes) -> None:
    session = Net(tmp_path / "c", manners=Manners(delay_ms=1500)).connect(port)
    session.receive(wire)
    assert session.delay == 1.5
    session.receive(get("/") if port == 3128 else wire)  # the inside of a tunnel does, too
    assert session.delay == 1.5
    assert Net(tmp_path / "d").connect(port).delay == 0.0


def test_the_insides_of_tunnels_are_allowed_by_their_own_name(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=Manners(allowed={HOST: "site"}))
    for outer, inner in ((None, HOST), (HOST, "evil.example")):
        session = net.connect(3128, outer)
        send(session, get(f"{inner}:80", "CONNECT"))
        send(session, get("/"))
    assert [s.allowed for s in net.end().streams] == [False, True, True, False]


def test_datagrams_and_echoes_to_allowed_hosts_are_allowed(tmp_path: Path) -> None:
    def scene(one: World) -> None:
        one.gateway._names["127.0.0.1"] = HOST
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", one.udp4)

    [stream] = played(tmp_path / "c", scene, manners=Manners(allowed={HOST: "site"})).streams
    assert stream.allowed


def test_manners_reach_the_gateway_as_they_were() -> None:
    manners = Manners("x", 201, 5, {HOST: "index"}, {WHEEL: wheel()})
    assert read_manners(manners.pack()) == manners
    assert read_manners(Manners().pack()) == Manners()
    closed = Manners(allowed={HOST: "git"}, others="refuse")
    assert read_manners(closed.pack()) == closed and closed.summary()["others"] == "refuse"
    assert manners.without_allowed() == Manners("x", 201, 5)


@pytest.mark.parametrize("packed", [b"", b"{", b"[1]", b"{}", b'{"packages": {"a": 1}}'])
def test_what_is_not_manners_is_one_line(packed: bytes) -> None:
    with pytest.raises(MannersError) as bad:
        read_manners(packed)
    assert "\n" not in str(bad.value)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"put_status": 99}, "put_status must be 200 to 599"),
        ({"delay_ms": -1}, "delay_ms must be 0 to 10000"),
        ({"server": "a\r\nb"}, "server must be printable"),
        ({"server": ""}, "server must be printable"),
        ({"allowed": {"Upper.example": "site"}}, "allowed: 'Upper.example'"),
        ({"allowed": {"": "site"}}, "allowed: ''"),
        ({"allowed": {"192.0.2.7": "site"}}, "allowed: '192.0.2.7'"),
        ({"allowed": {"https://a.example": "site"}}, "allowed: 'https://a.example'"),
        ({"allowed": {"a.example": "bank"}}, "site, index, store, git, not 'bank'"),
        ({"others": "drop"}, "others must be answer or refuse, not 'drop'"),
        ({"packages": {WHEEL: b""}}, "packages: no host offers them"),
        ({"packages": {"README": b""}}, "packages: 'README'"),
    ],
)
def test_bad_manners_are_one_line_that_names_the_key(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(MannersError) as bad:
        Manners(**fields)
    assert says in str(bad.value) and "\n" not in str(bad.value)
