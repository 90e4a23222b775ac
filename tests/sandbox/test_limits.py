"""What a box may take of the machine: more is refused or killed, and the harness lives."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import psutil
import pytest

from sandbox import state
from sandbox.box import groups
from sandbox.box.box import Finished
from sandbox.certificate.cells import fresh_cell
from sandbox.certify import certify
from tests.sandbox.boxes import Cell, cell, in_cell

pytestmark = pytest.mark.namespace


def _groups_of(identity: str) -> list[Path]:
    """The control groups that a harness has in any hierarchy."""
    name = f"sallyport-{identity}"
    # Not rglob: groups of others come and go meanwhile, which os.walk does not mind.
    return [Path(top, name) for top, below, _ in os.walk("/sys/fs/cgroup") if name in below]


def _has_groups() -> bool:
    try:
        group = groups.Group.make()
    except OSError:
        return False
    group.remove()
    return True


with_groups = pytest.mark.skipif(not _has_groups(), reason="control groups cannot be made here")

SAID = "4096 MiB of memory and 256 processes on 2 CPUs for the box (control group)"
ONE_ASKS_FOR_TOO_MUCH = ["python3", "-c", "bytearray(5 << 30)"]
SEVERAL_TAKE_TOO_MUCH = """
for i in 1 2 3 4; do python3 -c 'import time; held = b"x" * (100 << 20); time.sleep(2)' & done
fails=0; for job in $(jobs -p); do wait $job || fails=$((fails + 1)); done; echo $fails; free -m
"""


def test_one_process_cannot_have_the_machines_memory(tmp_path: Path) -> None:
    async def work(cell: Cell) -> Finished:
        return await cell.box.run(ONE_ASKS_FOR_TOO_MUCH)

    done = in_cell(tmp_path, work)
    assert done.status == 1
    assert b"MemoryError" in done.stderr


@with_groups
def test_what_takes_the_boxs_memory_is_killed_and_the_box_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MEMORY", 256 << 20)

    async def work(cell: Cell) -> tuple[Finished, Finished]:
        return await cell.sh(SEVERAL_TAKE_TOO_MUCH), await cell.sh("echo alive")

    hogs, after = in_cell(tmp_path, work)
    assert int(hogs.stdout.split()[0]) >= 1, "at least one was killed, and the shell was not"
    assert after.stdout == b"alive\n"


@with_groups
def test_the_limits_are_the_kernels(tmp_path: Path) -> None:
    async def work(cell: Cell) -> tuple[str, dict[str, str]]:
        files = ("memory.limit_in_bytes", "memory.max", "pids.max", "cpu.cfs_quota_us", "cpu.max")
        parents = _groups_of(state.harness_id())
        set_to = {
            file.name: file.read_text().strip()
            for parent in parents
            for name in files
            for file in parent.glob(f"*/{name}")
        }
        return cell.box.limits.text, set_to

    said, set_to = in_cell(tmp_path, work)
    assert said == SAID
    assert set_to["pids.max"] == "256"
    assert {set_to.get("memory.limit_in_bytes"), set_to.get("memory.max")} == {None, str(4 << 30)}
    assert {set_to.get("cpu.cfs_quota_us"), set_to.get("cpu.max")} <= {
        None,
        "200000",
        "200000 100000",
    }


def test_without_groups_the_box_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[Path]:
        raise PermissionError("Permission denied: 'memory'")

    monkeypatch.setattr(groups, "_parents", refuse)

    async def work(cell: Cell) -> tuple[str, Finished]:
        return cell.box.limits.text, await cell.box.run(["bash", "-c", "ulimit -v; ulimit -u"])

    said, limits = in_cell(tmp_path, work)
    assert said == "each process alone, no control group (Permission denied: 'memory')"
    assert limits.stdout == b"4194304\n256\n"


@with_groups
def test_the_certificate_names_the_limits() -> None:
    async def main() -> dict[str, tuple[str, str]]:
        async with fresh_cell("namespace") as (agent, gateway):
            certificate = await certify(agent, gateway)
            return {probe.name: (probe.verdict, probe.detail) for probe in certificate.probes}

    assert anyio.run(main)["resources.memory_in_all"] == ("ok", SAID)


HARNESS = """
import anyio, sys
from pathlib import Path
from sandbox import state
from sandbox.snapshot import fork, snapshot
from sandbox.certificate.cells import fresh_cell
async def main():
    async with fresh_cell("namespace") as (agent, _):
        async with fork(await snapshot(agent)) as (child, _):
            print(state.harness_id(), flush=True)
            await child.exec(["sleep", "600"])
anyio.run(main)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_harness_that_is_killed_leaves_no_group_and_no_layer(how: signal.Signals) -> None:
    def left() -> list[object]:
        held = [p for p in psutil.process_iter(["environ"]) if _marked(p)]
        return [*_groups_of(identity), *held]

    mark = f"{os.getpid()}-{how}"

    def _marked(process: psutil.Process) -> bool:
        return (process.info["environ"] or {}).get("SALLYPORT_TEST_MARK") == mark

    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "SALLYPORT_TEST_MARK": mark},
    )
    try:
        assert harness.stdout is not None
        identity = harness.stdout.readline().decode().strip()
        assert len(left()) > 2, "the harness and the keepers at least"
        harness.send_signal(how)
        harness.wait(timeout=20)
    finally:
        harness.kill()
        harness.wait()
    deadline = time.monotonic() + 60
    while left() and time.monotonic() < deadline:
        time.sleep(0.1)
    state.clean()
    assert left() == []


def test_more_boxes_live_at_once_than_the_usual_limit_on_files_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 150, hard))
    answers: set[bytes] = set()

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            cells = []
            for number in range(24):
                cells.append(await stack.enter_async_context(cell(tmp_path / str(number))))
                await cells[-1].sh(f"echo {number} > /tmp/number")
            for one in cells:
                answers.add((await one.sh("cat /tmp/number")).stdout)

    try:
        anyio.run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answers == {b"%d\n" % number for number in range(24)}
