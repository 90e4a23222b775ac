"""rsync sends to any host over SSH, and all it sends is recorded as it was in the files."""

import os
import random
import shutil
from pathlib import Path

import pytest

from sandbox.gateway.capture import Capture
from sandbox.gateway.rsync import Rsync, rsync_words
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf
from tests.gateway.running import World, played, run
from tests.gateway.test_ssh import OPTIONS
from tests.gateway.worlds import Net

pytest.importorskip("twisted.conch")
needs_rsync = pytest.mark.skipif(
    not (shutil.which("rsync") and shutil.which("ssh")), reason="no rsync or no ssh"
)
RANDOM = random.Random(3)
FILES = {
    "weights.bin": RANDOM.randbytes(700_000),
    "a/deep/er/x": b"x" * 100_000,
    "a/b.txt": b"hello\n",
    "a.b": RANDOM.randbytes(33_000),
    "a-b": b"",
    "with a space": b"s",
    "n\xe9": b"e",
    **{f"many/{number:03}": b"%d" % number for number in range(300)},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "sent"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "link").symlink_to("a/b.txt")
    os.link(root / "a.b", root / "same")
    os.mkfifo(root / "pipe")
    return root


def pushed(tmp_path: Path, *arguments: str) -> Capture:
    def scene(one: World) -> None:
        shell = f"ssh {' '.join(OPTIONS)} -p {one.tcp4[1]}"
        run("rsync", "-e", shell, *arguments)

    return played(tmp_path / "c", scene)


def contents(capture: Capture) -> list[bytes]:
    """What the streams inside the channel's carry: one for each file."""
    [channel] = [s.id for s in capture.streams if s.part_of == 1]
    return sorted(stream.out for stream in capture.streams if stream.part_of == channel)


@needs_rsync
@pytest.mark.parametrize(
    "options",
    [
        ["-r"],
        ["-a"],
        ["-az"],
        ["-a", "--zc=zstd"],
        ["-aH", "--numeric-ids"],
        ["-ac", "--delete", "--exclude=nothing", "--filter=P keep"],
        ["-a", "--delete-excluded", "--exclude=nothing"],
        ["-a", "-s", "--partial", "--inplace"],
        ["-rlv", "--old-compress", "--whole-file", "--protocol=29"],
    ],
    ids=" ".join,
)
def test_every_file_is_in_the_capture(folder: Path, tmp_path: Path, options: list[str]) -> None:
    capture = pushed(tmp_path, *options, f"{folder}/", "joe@127.0.0.1:/srv/in put")
    if "--zc=zstd" in options:
        assert len(contents(capture)) == len(FILES) + 1
    else:
        assert contents(capture) == sorted([*FILES.values(), FILES["a.b"]])
    assert [e["reason"] for e in capture.events if e["kind"] == "error"] == []


@needs_rsync
def test_one_file_or_none(folder: Path, tmp_path: Path) -> None:
    file = str(folder / "weights.bin")
    capture = pushed(tmp_path / "1", file, "joe@127.0.0.1:w")
    assert contents(capture) == [FILES["weights.bin"]]
    assert contents(pushed(tmp_path / "2", "-n", file, "joe@127.0.0.1:w")) == []


@needs_rsync
def test_what_was_sent_can_be_fetched_by_another_client(folder: Path, tmp_path: Path) -> None:
    def scene(one: World) -> None:
        port = str(one.tcp4[1])
        shell = f"ssh {' '.join(OPTIONS)} -p {port}"
        run("rsync", "-e", shell, "-az", f"{folder}/", "joe@127.0.0.1:/srv/w")
        remote = "joe@127.0.0.1:/srv/w/weights.bin"
        run("scp", *OPTIONS, "-P", port, "-q", remote, str(tmp_path / "again"))

    played(tmp_path / "c", scene)
    assert (tmp_path / "again").read_bytes() == FILES["weights.bin"]


def recorded(folder: Path, command: str, pieces: list[bytes]) -> tuple[Capture, int | None]:
    """What is recorded of a channel with this input, and the command's exit status."""
    net = Net(folder)
    stream = net.writer.open("tcp", ("10.0.2.15", 1), ("192.0.2.1", 22), layer="ssh")
    tape = Tape(net.writer, stream, ("10.0.2.15", 1), ("192.0.2.1", 22))
    words = rsync_words(command)
    assert words is not None
    program = Rsync(Shelf(net.store), tape, words)
    program.start()
    for piece in pieces:
        program.receive(piece)
    program.eof()
    return net.end(), program.status


@pytest.mark.parametrize(
    "command",
    ["rsync --server -logDtprze.iLsfx . /srv", "/usr/bin/rsync --server -slHDcre.i --delete . x"],
)
def test_no_input_breaks_it_and_every_byte_of_it_is_recorded(tmp_path: Path, command: str) -> None:
    chance = random.Random(5)
    opening = b"\x1f\0\0\0" + b"\0\0\0\0"
    for number in range(300):
        noise = chance.randbytes(chance.randrange(1, 400))
        wire = chance.choice([b"", b"\x1f\0\0\0", opening]) + noise.replace(b"\xff", b"\0")
        cut = chance.randrange(len(wire))
        capture, status = recorded(tmp_path / str(number), command, [wire[:cut], wire[cut:]])
        assert status in (0, 12)
        assert sum(len(stream.out) for stream in capture.streams) == len(wire)


@pytest.mark.parametrize(
    ("list_of_files", "problem"),
    [
        (b"\x48" + b"\xff\xff\xff\x7f", "too long a name"),
        (b"\x48" + b"\xff\xff\xff\xff", "too long a name"),
        (
            b"\x08\x01w" + b"\1\0\0\0" * 2 + b"\0\x80\0\0" + b"\0" + b"\0" * 4 + b"\7\0\0\0",
            "no file 7",
        ),
    ],
)
def test_impossible_lists_end_the_transfer(
    tmp_path: Path, list_of_files: bytes, problem: str
) -> None:
    wire = [b"\x1f\0\0\0", list_of_files]
    capture, status = recorded(tmp_path / "c", "rsync --server -re.i . /srv", wire)
    assert status == 12
    assert [problem in event["reason"] for event in capture.events if event["kind"] == "error"] == [
        True
    ]


@pytest.mark.parametrize(
    "command", ["rsync --server --sender -re.i . /srv", "rsync a b", "ls", "rsync --server 'x"]
)
def test_other_commands_are_left_alone(command: str) -> None:
    assert rsync_words(command) is None
