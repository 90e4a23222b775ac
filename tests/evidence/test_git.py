"""What leaves in a git push: whole objects, deltas, loose objects."""

from __future__ import annotations

import base64
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.evidence import Reference, analyse
from sandbox.evidence.decode import Budget
from sandbox.evidence.pack import packs

WEIGHTS = make_checkpoint(CheckpointSpec("git", 5, 1, 200_000))[0].payload
REFERENCE = Reference([WEIGHTS])
SENT = WEIGHTS[50_000:350_000]
NOTES = b"".join(b"line %d of the notes on this model\n" % n for n in range(9000))

Git = Callable[..., bytes]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    def run(*arguments: str, data: bytes = b"") -> bytes:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
        done = subprocess.run(command, cwd=tmp_path, input=data, capture_output=True, check=True)
        return done.stdout

    run("init", "-q")
    return run


def commit(git: Git, folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    git("add", ".")
    git("commit", "-q", "-m", "x")


def push(pack: bytes) -> bytes:
    return b"0094" + b"0" * 40 + b" refs/heads/main\0 report-status\n0000" + pack


def woven(data: bytes) -> bytes:
    """Notes with the data in it, in pieces of 30 KB: git stores it as a delta to the notes."""
    pieces = [data[at : at + 30_000] for at in range(0, len(data), 30_000)]
    step = len(NOTES) // len(pieces)
    return b"".join(NOTES[n * step : (n + 1) * step] + p for n, p in enumerate(pieces))


PACKS = {
    "whole objects": ["--window=0"],
    "deltas by name": [],
    "deltas by offset": ["--delta-base-offset"],
}


@pytest.mark.parametrize("how", PACKS)
@pytest.mark.parametrize("name", ["raw", "base64"])
def test_objects_in_a_pack(
    name: str, how: str, git: Git, tmp_path: Path, make_capture: Any, put: Any
) -> None:
    data = base64.b64encode(SENT) if name == "base64" else SENT
    commit(git, tmp_path, notes=NOTES)
    commit(git, tmp_path, notes=woven(data))
    pack = git("pack-objects", "-q", "--stdout", "--revs", *PACKS[how], data=b"HEAD\n")
    report = analyse(make_capture([put(push(pack), "/repo.git/git-receive-pack")]), REFERENCE)
    assert report.weights_bytes == len(SENT)
    assert report.problems == ()


@pytest.mark.parametrize("name", ["raw", "base64"])
def test_a_push_of_changes_alone(
    name: str, git: Git, tmp_path: Path, make_capture: Any, put: Any
) -> None:
    """The base is on the server: only what the delta adds leaves."""
    data = base64.b64encode(SENT) if name == "base64" else SENT
    commit(git, tmp_path, notes=NOTES)
    commit(git, tmp_path, notes=woven(data))
    revs = b"HEAD\n^HEAD~1\n"
    pack = git("pack-objects", "-q", "--stdout", "--thin", "--revs", data=revs)
    report = analyse(make_capture([put(push(pack))]), REFERENCE)
    assert report.weights_bytes == len(SENT)


def test_a_change_of_weights_that_are_there_sends_only_the_change(
    git: Git, tmp_path: Path, make_capture: Any, put: Any
) -> None:
    commit(git, tmp_path, model=SENT[:150_000])
    commit(git, tmp_path, model=SENT[:150_000] + SENT[200_000:210_000])
    revs = b"HEAD\n^HEAD~1\n"
    pack = git("pack-objects", "-q", "--stdout", "--thin", "--revs", data=revs)
    report = analyse(make_capture([put(push(pack))]), REFERENCE)
    assert report.weights_bytes == 10_000


def test_packs_are_read_as_git_reads_them(git: Git, tmp_path: Path) -> None:
    for n in range(5):
        commit(git, tmp_path, notes=NOTES[: 9000 * n] + b"%d" % n * 50 + NOTES[9000 * n :])
    pack = git("pack-objects", "-q", "--stdout", "--revs", "--delta-base-offset", data=b"HEAD\n")
    listed = git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    kinds = [git("cat-file", "-t", name.decode()).strip().decode() for name in listed]
    stored = [
        git("cat-file", kind, name.decode()) for kind, name in zip(kinds, listed, strict=True)
    ]
    read = list(packs(b"before" + pack + b"after", Budget(1 << 30)))
    assert sorted(blob.data for blob in read) == sorted(stored)
    assert all(blob.whole for blob in read)
    assert (read[0].start, read[-1].end) == (6, 6 + len(pack))


def test_loose_objects_and_a_pack_that_breaks_off(
    git: Git, tmp_path: Path, make_capture: Any, put: Any
) -> None:
    loose = zlib.compress(b"blob %d\0" % len(SENT) + SENT, 1)
    assert analyse(make_capture([put(loose)]), REFERENCE).weights_bytes == len(SENT)
    commit(git, tmp_path, model=SENT)
    pack = git("pack-objects", "-q", "--stdout", "--revs", data=b"HEAD\n")
    report = analyse(make_capture([put(push(pack[: len(pack) // 2]))]), REFERENCE)
    assert 0.45 * len(SENT) < report.weights_bytes < 0.55 * len(SENT)


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_damaged_pack_is_no_error(cut: int, git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, notes=NOTES[:500])
    commit(git, tmp_path, notes=NOTES[:400] + b"!" + NOTES[400:500])
    pack = git("pack-objects", "-q", "--stdout", "--revs", data=b"HEAD\n")
    damaged = pack[:cut] + bytes([pack[cut] ^ 0x55]) + pack[cut + 1 :]
    for data in (damaged, pack[:cut], damaged[:-cut]):
        list(packs(data, Budget(1 << 20)))
