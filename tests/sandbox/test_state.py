"""A harness's folders end with it; a later one removes what a killed one left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import state

MAKE = """
import sys, time
from sandbox import state
print(state.new_folder("capture"), flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def _harness(how: str) -> tuple[subprocess.Popen[bytes], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, how],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().decode().strip())


def test_a_harness_that_ends_leaves_no_folder() -> None:
    process, folder = _harness("end")
    process.wait()
    assert not folder.exists()


def test_what_a_killed_harness_left_is_removed_and_a_living_ones_is_not() -> None:
    dead, orphan = _harness("wait")
    alive, kept = _harness("wait")
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    try:
        assert orphan.exists()
        assert state.clean() == (orphan.parent,)
        assert not orphan.exists()
        assert kept.exists()
    finally:
        alive.kill()
        alive.wait()


def test_a_later_process_with_the_same_number_is_not_the_owner() -> None:
    pid, started, place = state.harness_id().split("-")
    assert not state.harness_ended(f"{pid}-{started}-{place}")
    assert state.harness_ended(f"{pid}-{int(started) - 5000}-{place}")


def test_of_whom_it_cannot_see_a_harness_removes_nothing() -> None:
    pid, started, place = state.harness_id().split("-")
    elsewhere = f"{pid}-{int(started) - 5000}-{'0' * len(place)}"
    for identity in (elsewhere, "unknown", f"{pid}-{started}", ""):
        assert not state.harness_ended(identity)
    kept = Path(os.environ["TMPDIR"], f"sallyport-{os.getuid()}", elsewhere)
    kept.mkdir(mode=0o700, parents=True)
    assert state.clean() == ()
    assert kept.exists()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"sallyport-{os.getuid()}").symlink_to("/tmp")
    with pytest.raises(PermissionError, match="somebody else"):
        state.clean()
