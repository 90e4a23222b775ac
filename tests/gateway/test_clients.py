"""Real clients find a world that answers, and all they send is in the capture."""

import random
import shutil
from pathlib import Path

import pytest

from sandbox.gateway.capture import Capture
from tests.gateway.running import World, played, run

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")
DATA = random.Random(7).randbytes(300_000)


def errors(capture: Capture) -> list[str]:
    return [event["reason"] for event in capture.events if event["kind"] == "error"]


@needs_curl
def test_an_object_comes_back_as_it_was_put(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(DATA)
    got: list[bytes] = []

    def scene(one: World) -> None:
        url = f"http://127.0.0.1:{one.tcp4[1]}/bucket/w"
        run("curl", "-sSf", "-T", str(tmp_path / "w"), url)
        got.append(run("curl", "-sSf", url))
        got.append(run("curl", "-sSfI", url))

    capture = played(tmp_path / "c", scene)
    assert got[0] == DATA
    assert f"content-length: {len(DATA)}".encode() in got[1]
    assert DATA in capture.streams[0].out
    assert errors(capture) == []


@needs_curl
@pytest.mark.parametrize("version", ["--http2-prior-knowledge", "--http1.1"])
def test_uploads_by_any_version_of_http(tmp_path: Path, version: str) -> None:
    pytest.importorskip("h2")
    (tmp_path / "w").write_bytes(DATA)
    got: list[bytes] = []

    def scene(one: World) -> None:
        base = f"http://127.0.0.1:{one.tcp4[1]}"
        upload = ("-T", str(tmp_path / "w"), f"{base}/b/w", "-H", "X-Note: hidden")
        got.append(run("curl", "-sSf", version, *upload, "-w", "%{http_version}"))
        got.append(run("curl", "-sSf", version, f"{base}/b/w"))

    capture = played(tmp_path / "c", scene)
    assert got[1] == DATA
    put = next(e for e in capture.events if e["kind"] == "http" and e["method"] == "PUT")
    assert (put["status"], put["request_bytes"]) == (200, len(DATA))
    assert any(DATA in stream.out for stream in capture.streams)
    assert b"hidden" in capture.streams[0].out
    sent = sum(len(s.out) for s in capture.streams)
    assert sent < len(DATA) + 4000  # nothing is there twice
    if version != "--http1.1":
        assert got[0].endswith(b"2")
        assert any(s.out == DATA and s.part_of == 1 for s in capture.streams)
    assert errors(capture) == []


@needs_curl
def test_a_proxy_leads_on_into_the_same_world(tmp_path: Path) -> None:
    def scene(one: World) -> None:
        proxy = f"http://127.0.0.1:{one.tcp4[1]}"
        for url in ("http://plain.example/x", "https://secret.example:8443/x"):
            run("curl", "-sSfkp", "-x", proxy, "-d", f"to {url}", url)

    capture = played(tmp_path / "c", scene)
    inner = [s for s in capture.streams if s.part_of is not None]
    assert [(s.host, s.dst[1], s.sni) for s in inner] == [
        ("plain.example", 80, None),
        ("secret.example", 8443, "secret.example"),
    ]
    assert [s.out.rpartition(b"\r\n\r\n")[2] for s in inner] == [
        b"to http://plain.example/x",
        b"to https://secret.example:8443/x",
    ]
    assert errors(capture) == []


@needs_git
def test_what_was_pushed_can_be_cloned(tmp_path: Path) -> None:
    work, again = tmp_path / "work", tmp_path / "again"

    def scene(one: World) -> None:
        url = f"http://127.0.0.1:{one.tcp4[1]}/team/weights.git"
        run("git", "init", "-q", "-b", "main", str(work))
        for number, size in enumerate((200_000, 1_500_000, 0)):  # small, chunked, and a delta
            (work / f"part{number}").write_bytes(
                DATA[:1] * 9 + DATA[:size] * (size // 300_000 or 1)
            )
            run("git", "add", ".", cwd=work)
            run("git", "commit", "-qm", str(number), cwd=work)
            run("git", "push", "-q", url, "main", f"main:side{number}", cwd=work)
        run("git", "push", "-q", url, "--delete", "side0", cwd=work)
        run("git", "clone", "-q", url, str(again))
        refs = run("git", "ls-remote", "--heads", url).decode().split()
        assert refs[1::2] == [f"refs/heads/{name}" for name in ("main", "side1", "side2")]
        run("git", "fsck", "--full", cwd=again)
        (work / "late").write_bytes(DATA)
        run("git", "add", ".", cwd=work)
        run("git", "commit", "-qm", "late", cwd=work)
        run("git", "push", "-q", url, "main", cwd=work)
        run("git", "pull", "-q", cwd=again)

    capture = played(tmp_path / "c", scene)
    for name in ("part0", "part1", "late"):
        assert (again / name).read_bytes() == (work / name).read_bytes()
    assert errors(capture) == []


@needs_git
def test_a_new_repository_is_empty_and_can_be_cloned(tmp_path: Path) -> None:
    def scene(one: World) -> None:
        url = f"http://127.0.0.1:{one.tcp4[1]}/new.git"
        run("git", "clone", "-q", url, str(tmp_path / "new"))

    assert errors(played(tmp_path / "c", scene)) == []
