"""What reached git servers, for verifiers."""

from __future__ import annotations

import hashlib
import random
import shutil
import struct
import zlib
from pathlib import Path

import anyio
import pytest

from sandbox import cell
from sandbox.certificate.cells import fresh_cell
from sandbox.evidence import pushes as module
from sandbox.evidence.deliveries import deliveries
from sandbox.evidence.pushes import Push, pushes
from sandbox.gateway.capture import Capture, read_capture
from sandbox.gateway.manners import Manners
from tests.gateway.running import World, played, run
from tests.gateway.worlds import Net, send

GIT = "git.corp.example"
MANNERS = Manners(allowed={GIT: "git"}, others="refuse")
SCRIPT = f"""
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q -b main /tmp/one; cd /tmp/one
mkdir -p src/deep; seq 20000 > numbers; printf code > src/deep/code.py; ln -s numbers link
git add .; git commit -qm one; git push -q https://{GIT}/team/one.git main main:refs/heads/two
echo more >> numbers; rm link; git add -A; git commit -qm two; git tag -am first v1
git push -q https://{GIT}/team/one.git main v1 :refs/heads/two
git push -q https://elsewhere.example/team/one.git main || echo refused
"""
NUMBERS = b"".join(b"%d\n" % number for number in range(1, 20_001))


@pytest.mark.namespace
def test_the_files_of_what_an_agent_pushed() -> None:
    async def main() -> Capture:
        async with fresh_cell("namespace") as (agent, gateway):
            await cell.furnish(gateway, MANNERS)
            await cell.mark_turn(gateway, 0)
            done = await agent.exec(["bash", "-c", SCRIPT], timeout=120)
            assert done.success and "refused" in done.stdout, done.stderr
            return read_capture(*await cell.sealed_files(gateway))

    capture = anyio.run(main)
    given = pushes(capture)
    assert {(one.host, one.path, one.turn, one.allowed) for one in given} == {
        (GIT, "/team/one", 0, True)
    }
    code = {"src/deep/code.py": b"code"}
    first, second = {"numbers": NUMBERS} | code, {"numbers": NUMBERS + b"more\n"} | code
    assert sorted((one.ref, one.files, one.whole) for one in given[:2]) == [
        ("refs/heads/main", first, True),
        ("refs/heads/two", first, True),
    ]
    assert {one.ref: (one.files, one.whole) for one in given[2:]} == {
        "refs/heads/main": (second, True),
        "refs/tags/v1": (second, True),
        "refs/heads/two": ({}, True),
    }
    assert [one.commit == "" for one in given].count(True) == 1
    largest = max(len(one.body) for one in deliveries(capture)[1:])
    assert largest < len(NUMBERS) // 20, "the second push is a delta to the first"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The body of a push of 40 files in 40 folders."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    folder, record = tmp_path_factory.mktemp("pushed"), tmp_path_factory.mktemp("record")

    def scene(one: World) -> None:
        run("git", "init", "-q", "-b", "main", cwd=folder)
        for number in range(40):
            (folder / f"f{number}").mkdir()
            (folder / f"f{number}" / "file").write_bytes(b"%d" % number)
        run("git", "add", ".", cwd=folder)
        run("git", "commit", "-qm", "x", cwd=folder)
        url = f"http://127.0.0.1:{one.tcp4[1]}/r.git"
        run("git", "push", "-q", url, "main", cwd=folder)

    [pushed] = deliveries(played(record / "c", scene))
    return pushed.body


def pushed(folder: Path, body: bytes, cut: int = 0) -> tuple[Push, ...]:
    net = Net(folder / "c", manners=MANNERS)
    head = f"POST /r.git/git-receive-pack HTTP/1.1\r\nHost: {GIT}\r\nContent-Length: {len(body)}"
    send(net.connect(80, GIT), head.encode() + b"\r\n\r\n" + body[: len(body) - cut])
    return pushes(net.end())


def test_what_is_beyond_the_limits_is_left_out(
    wire: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [whole] = pushed(tmp_path / "1", wire)
    assert len(whole.files) == 40 and whole.whole
    monkeypatch.setattr(module, "LIMIT", 30_000)
    [cut] = pushed(tmp_path / "2", wire)
    assert 0 < len(cut.files) < 40 and not cut.whole
    monkeypatch.setattr(module, "LIMIT", 300)
    [none] = pushed(tmp_path / "3", wire)
    assert (none.files, none.whole) == ({}, False)


def test_a_ref_to_what_was_never_pushed_is_not_whole(wire: bytes, tmp_path: Path) -> None:
    commands = wire[: wire.index(b"PACK")]
    [push] = pushed(tmp_path, commands)
    assert (push.ref, push.files, push.whole) == ("refs/heads/main", {}, False)


def test_a_push_that_broke_off_is_none(wire: bytes, tmp_path: Path) -> None:
    assert pushed(tmp_path, wire, cut=3) == ()


def packed(*objects: tuple[int, bytes]) -> bytes:
    pack = b"PACK" + struct.pack("!II", 2, len(objects))
    for kind, data in objects:
        size = bytes([128 | kind << 4 | len(data) & 15, len(data) >> 4])
        pack += size + zlib.compress(data)
    return pack + hashlib.sha1(pack).digest()


@pytest.mark.parametrize(("missing", "whole"), [(b"100644", False), (b"160000", True)])
def test_files_and_nothing_else(missing: bytes, whole: bool, tmp_path: Path) -> None:
    def name(kind: bytes, data: bytes) -> bytes:
        return hashlib.sha1(b"%b %d\0%b" % (kind, len(data), data)).digest()

    blob = name(b"blob", b"text")
    entries = [(b"100755", b"run", blob), (b"120000", b"link", blob), (missing, b"gone", bytes(20))]
    tree = b"".join(b"%b %b\0%b" % entry for entry in entries)
    commit = b"tree %b\nauthor a\n" % name(b"tree", tree).hex().encode()
    line = b"0" * 40 + b" " + name(b"commit", commit).hex().encode() + b" refs/heads/main\0 x"
    body = b"%04x" % (len(line) + 4) + line + b"0000"
    [push] = pushed(tmp_path, body + packed((1, commit), (2, tree), (3, b"text")))
    assert (push.files, push.whole) == ({"run": b"text"}, whole)


def test_damaged_pushes_never_raise(wire: bytes, tmp_path: Path) -> None:
    rng = random.Random(5)
    for number in range(200):
        body = bytearray(wire)
        for _ in range(rng.randrange(1, 9)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        del body[rng.choice([len(body), rng.randrange(len(body))]) :]
        for push in pushed(tmp_path / str(number), bytes(body)):
            assert len(push.files) <= 40
