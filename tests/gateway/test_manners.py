"""A setting says how the world answers, and which services are allowed."""

import io
import json
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox.gateway.index import project
from sandbox.gateway.manners import Manners, MannersError, load_manners
from tests.gateway.running import World, played
from tests.gateway.worlds import Net, send

WHEEL = "tiny_tool-1.2-py3-none-any.whl"
HOST = "pypi.corp.example"
PYTHON = Path(sys.base_prefix) / "bin" / "python3"  # a virtual environment may have no pip


def wheel() -> bytes:
    """A package that pip accepts."""
    meta = "tiny_tool-1.2.dist-info"
    files = {
        "tiny_tool.py": "ANSWER = 42\n",
        f"{meta}/METADATA": "Metadata-Version: 2.1\nName: tiny-tool\nVersion: 1.2\n",
        f"{meta}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{meta}/RECORD": "",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


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


def test_manners_are_read_from_a_folder(tmp_path: Path) -> None:
    assert load_manners(tmp_path) == Manners()
    fields = {"server": "x", "put_status": 201, "delay_ms": 5, "allowed": {HOST: "index"}}
    (tmp_path / "manners.json").write_text(json.dumps(fields))
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / WHEEL).write_bytes(b"w")
    assert load_manners(tmp_path) == Manners("x", 201, 5, {HOST: "index"}, {WHEEL: b"w"})


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"sever": "nginx"}',
        '{"put_status": "200"}',
        '{"put_status": 99}',
        '{"delay_ms": -1}',
        '{"delay_ms": true}',
        '{"server": "a\\r\\nb"}',
        '{"server": ""}',
        '{"allowed": {"Upper.example": "site"}}',
        '{"allowed": {"a.example": "bank"}}',
    ],
)
def test_bad_manners_are_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "manners.json").write_text(content)
    with pytest.raises(MannersError) as bad:
        load_manners(tmp_path)
    assert "\n" not in str(bad.value)
