"""Real SSH clients get in with anything, and all they send is recorded decrypted."""

import random
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.gateway.channels import Channels
from sandbox.gateway.recognise import SPEAKS_FIRST
from tests.gateway.running import World, played, run
from tests.gateway.worlds import Net, send

pytest.importorskip("twisted.conch")
pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client")
DATA = random.Random(9).randbytes(3_000_000)
OPTIONS = (
    *("-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20"),
)


def ssh(one: World, *command: str, given: bytes = b"") -> bytes:
    port = ("-p", str(one.tcp4[1]))
    return run("ssh", *OPTIONS, *port, "joe@127.0.0.1", *command, given=given)


def test_input_of_a_command_is_recorded_decrypted(tmp_path: Path) -> None:
    said: list[bytes] = []

    def scene(one: World) -> None:
        said.append(ssh(one, "whoami"))
        said.append(ssh(one, "cat > /srv/w", given=DATA))
        said.append(ssh(one, given=b"echo hi\npwd\nexit\n"))

    capture = played(tmp_path / "c", scene)
    assert said == [b"joe\n", b"", b"hi\n/home/joe\n"]
    assert DATA in [stream.out for stream in capture.streams]
    assert sum(len(stream.out) for stream in capture.streams) < len(DATA) + 20_000
    assert {stream.layer for stream in capture.streams} == {"ssh"}
    commands = [event["command"] for event in capture.events if "command" in event]
    assert commands == ["whoami", "cat > /srv/w"]
    assert [e["reason"] for e in capture.events if e["kind"] == "error"] == []


@pytest.mark.parametrize("old", [(), ("-O",)], ids=["sftp", "scp"])
def test_a_copied_file_is_recorded_and_comes_back(tmp_path: Path, old: tuple[str, ...]) -> None:
    (tmp_path / "w").write_bytes(DATA)

    def scene(one: World) -> None:
        port = ("-P", str(one.tcp4[1]))
        remote = "joe@127.0.0.1:/srv/w"
        run("scp", *old, *OPTIONS, *port, "-q", str(tmp_path / "w"), remote)
        run("scp", *old, *OPTIONS, *port, "-q", remote, str(tmp_path / "again"))

    capture = played(tmp_path / "c", scene)
    assert (tmp_path / "again").read_bytes() == DATA
    assert any(DATA in stream.out for stream in capture.streams)
    assert [e["reason"] for e in capture.events if e["kind"] == "error"] == []


def test_sftp_lists_makes_and_removes(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(DATA[:1000])
    batch = f"mkdir /d\nput {tmp_path}/w /d/a\nls -l /d\nget /d/a {tmp_path}/b\nrm /d/a\n"
    said: list[bytes] = []

    def scene(one: World) -> None:
        port = ("-P", str(one.tcp4[1]))
        said.append(run("sftp", *OPTIONS, *port, "-b", "-", "joe@127.0.0.1", given=batch.encode()))

    played(tmp_path / "c", scene)
    assert b"1000" in said[0]
    assert (tmp_path / "b").read_bytes() == DATA[:1000]


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_git_pushes_and_clones_over_it(tmp_path: Path) -> None:
    work, again = tmp_path / "work", tmp_path / "again"

    def scene(one: World) -> None:
        url = f"ssh://joe@127.0.0.1:{one.tcp4[1]}/team/w.git"
        command = ("-c", f"core.sshCommand=ssh {' '.join(OPTIONS)}")
        run("git", "init", "-q", "-b", "main", str(work))
        for number in range(2):
            (work / "w").write_bytes(DATA[number:])
            run("git", "add", ".", cwd=work)
            run("git", "commit", "-qm", "w", cwd=work)
            run("git", *command, "push", "-q", url, "main", cwd=work)
        run("git", *command, "clone", "-q", url, str(again))
        run("git", *command, "fetch", "-q", url, cwd=again)

    capture = played(tmp_path / "c", scene)
    assert (again / "w").read_bytes() == DATA[1:]
    assert any(b"PACK" in stream.out for stream in capture.streams)
    assert [e["reason"] for e in capture.events if e["kind"] == "error"] == []


def test_every_host_has_a_name_a_key_and_the_time_of_its_own(tmp_path: Path) -> None:
    said: list[bytes] = []
    known: list[bytes] = []

    def scene(one: World) -> None:
        for host in ("drop.example", "drop.example", "other.example"):
            one.gateway._names["127.0.0.1"] = host
            said.append(ssh(one, "hostname"))
            file = tmp_path / str(len(known))
            options = ("-o", f"UserKnownHostsFile={file}", "-o", "HashKnownHosts=no")
            port = ("-p", str(one.tcp4[1]))
            run("ssh", *options, *OPTIONS, *port, "joe@127.0.0.1", "true")
            known.append(file.read_bytes())
        said.append(ssh(one, "date +%s"))

    played(tmp_path / "c", scene)
    assert said[:3] == [b"drop\n", b"drop\n", b"other\n"]
    assert known[0] == known[1] != known[2]
    assert str(datetime.now(UTC).year).encode() in said[3]


def test_logins_and_programs_take_their_time(tmp_path: Path) -> None:
    net = Net(tmp_path / "c")
    net.connect(22)
    _, tape = net.sessions[0]
    channels = Channels(tape, net.outside.shelf, lambda number, content: None)
    strings = [b"joe", b"ssh-connection", b"none"]
    channels.message(50, b"".join(struct.pack("!I", len(one)) + one for one in strings))
    assert channels.delays


def test_a_key_is_as_good_as_any(tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(tmp_path / "id"))

    def scene(one: World) -> None:
        assert ssh(one, "-i", str(tmp_path / "id"), "hostname") == b"srv-04\n"

    played(tmp_path / "c", scene)


def test_a_silent_client_is_greeted_and_a_shell_shows_what_is_typed(tmp_path: Path) -> None:
    assert SPEAKS_FIRST[22] == "ssh"
    session = Net(tmp_path / "d").connect(22)
    assert session.quiet().startswith(b"SSH-2.0-")
    done: list[subprocess.CompletedProcess[bytes]] = []

    def scene(one: World) -> None:
        command = ["ssh", "-tt", *OPTIONS, "-p", str(one.tcp4[1]), "joe@127.0.0.1"]
        typed = b"ls\rexit\r"
        done.append(subprocess.run(command, input=typed, capture_output=True, timeout=60))

    played(tmp_path / "c", scene)
    assert done[0].returncode == 0
    assert b"joe@srv-04:~$ ls" in done[0].stdout


@pytest.mark.parametrize(
    "wire", [b"SSH-2.0-x\r\n" + bytes(400), b"SSH-2.0-x" + b"y" * 9000, b"SSH-1.99-x\r\n\0\0\0\x0c"]
)
def test_what_is_no_ssh_is_recorded_whole(tmp_path: Path, wire: bytes) -> None:
    net = Net(tmp_path / "c")
    session = net.connect(22)
    send(session, *(wire[i : i + 100] for i in range(0, len(wire), 100)), b"more")
    assert net.end().streams[0].out == wire + b"more"
