"""The namespace box: what runs in it, what comes back, and what cannot be done."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import anyio
import psutil
import pytest

from sandbox.box.box import Finished
from sandbox.box.plan import BoxError
from sandbox.box.seccomp import filter_program
from tests.sandbox.boxes import Cell, in_cell
from tests.signals import interruptible

pytestmark = pytest.mark.namespace


def run(tmp_path: Path, script: str) -> Finished:
    async def work(cell: Cell) -> Finished:
        return await cell.sh(script)

    return in_cell(tmp_path, work)


def test_status_and_both_streams_come_back(tmp_path: Path) -> None:
    done = run(tmp_path, "echo out; echo err >&2; exit 3")
    assert done == Finished(3, b"out\n", b"err\n", False)


def test_nothing_of_a_harness_with_many_open_files_is_inherited(tmp_path: Path) -> None:
    """Its sockets then have numbers beyond the box's own limit of open files."""
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(open(os.devnull))
        done = run(tmp_path, "ls /proc/$$/fd; true")  # the shell stays
    assert set(done.stdout.split()) <= {b"0", b"1", b"2", b"255"}


def test_a_missing_command_is_an_ordinary_failure(tmp_path: Path) -> None:
    async def work(cell: Cell) -> Finished:
        return await cell.box.run(["no-such-command"])

    assert in_cell(tmp_path, work).status == 127


def test_bytes_pass_unchanged(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000

    async def work(cell: Cell) -> Finished:
        return await cell.box.run(["cat"], stdin=data, limit=1 << 30)

    assert in_cell(tmp_path, work).stdout == data


def test_output_past_the_limit_is_dropped_and_told(tmp_path: Path) -> None:
    async def work(cell: Cell) -> Finished:
        return await cell.box.run(["sh", "-c", "yes | head -c 3000000"], limit=1_000_000)

    done = in_cell(tmp_path, work)
    assert (done.status, len(done.stdout), done.overflow) == (0, 1_000_000, True)


def test_a_command_ends_though_its_background_process_holds_the_output(tmp_path: Path) -> None:
    async def work(cell: Cell) -> tuple[Finished, Finished]:
        return await cell.sh("sleep 300 & echo started"), await cell.sh("pgrep -c sleep")

    first, second = in_cell(tmp_path, work)
    assert first.stdout == b"started\n"
    assert second.stdout == b"1\n", "the background process lives on"


def test_a_timeout_kills_the_command_and_its_children(tmp_path: Path) -> None:
    async def work(cell: Cell) -> Finished:
        with pytest.raises(TimeoutError):
            await cell.sh("sleep 300 | sleep 301", timeout=0.3)
        return await cell.sh("pgrep -c sleep")

    assert in_cell(tmp_path, work).stdout == b"0\n"


def test_commands_run_at_the_same_time(tmp_path: Path) -> None:
    async def work(cell: Cell) -> list[bytes]:
        found: list[bytes] = []

        async def one(number: int) -> None:
            # Each waits for a file that the next one makes: in turn they would never end.
            script = f"touch /tmp/{number}; until [ -e /tmp/{9 - number} ]; do sleep .01; done; "
            found.append((await cell.sh(script + f"echo {number}", timeout=20)).stdout)

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, number)
        return found

    assert sorted(in_cell(tmp_path, work)) == [b"%d\n" % n for n in range(10)]


def test_the_environment_is_the_boxs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_SECRET", "hunter2")
    assert b"hunter2" not in run(tmp_path, "env; cat /proc/1/environ; cat /proc/*/environ").stdout


@pytest.mark.parametrize(
    "attempt",
    [
        "kill -9 1; kill -STOP 1; kill -9 -1",
        ":(){ :|:& };: 2>/dev/null; sleep 1; for i in 1 2 3 4 5 6 7 8 9; do kill -9 -1; done",
        "head -c 900000000 /dev/zero > /tmp/full 2>/dev/null",
    ],
    ids=["signals", "fork bomb", "disk fill"],
)
def test_the_box_outlives_its_agent(attempt: str, tmp_path: Path) -> None:
    async def work(cell: Cell) -> Finished:
        await cell.sh(attempt)
        for _ in range(50):  # a fork bomb takes a moment to be dead
            done = await cell.sh("echo alive")
            if done.status == 0:
                return done
            await anyio.sleep(0.1)
        return done

    assert in_cell(tmp_path, work).stdout == b"alive\n"


@pytest.mark.parametrize(
    ("attempt", "why"),
    [
        ("unshare -Ur true", "a user namespace"),
        ("mount -t tmpfs none /srv", "a mount"),
        ("touch /usr/x || touch /etc/x || touch /x", "the root is read-only"),
        ("ls /proc/1/fd", "the supervisor's descriptors"),
        ("cat /proc/1/environ", "the supervisor's environment"),
        ("ip link add x type dummy", "a network device"),
        ("ip route add default dev lo", "a route"),
        ("ls /sys/kernel", "the kernel's interfaces"),
        ("ls /var/run/docker.sock /run/docker.sock", "an engine's socket"),
        ("ls /root /home/*/.ssh", "the host's homes"),
        ("mknod /tmp/m c 1 1", "a device"),
        ("python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'", "packets"),
        ("python3 -c 'import socket; socket.socket(40, 1)'", "the hypervisor's sockets"),
        ("python3 -c 'import socket; socket.socket(2, 3, 1)'", "raw sockets"),
        ("python3 -c 'import socket; socket.socket(38, 5)'", "the kernel's crypto"),
        ("python3 -c 'import ctypes,sys; sys.exit(ctypes.CDLL(None).syscall(425,1,0) != -1)'; "
         "[ $? = 1 ]", "io_uring"),
        ("find / -xdev -perm -4000 -type f 2>/dev/null | head -1 | xargs -r -I{} {} && false; "
         "grep -q 'NoNewPrivs:.1' /proc/self/status && false", "privileges by setuid"),
    ],
)  # fmt: skip
def test_the_agent_cannot_have(attempt: str, why: str, tmp_path: Path) -> None:
    assert run(tmp_path, attempt).status != 0, why


def test_the_agent_has_no_capability_and_a_filter(tmp_path: Path) -> None:
    status = run(tmp_path, "cat /proc/self/status").stdout.decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


def test_to_the_host_the_agent_is_not_root(tmp_path: Path) -> None:
    async def work(cell: Cell) -> set[int]:
        await cell.sh("sleep 987654 & until pgrep -f '^sleep 987654'; do :; done")
        return {uid for process in _with("987654") for uid in process.uids()}

    uids = in_cell(tmp_path, work)
    assert uids and 0 not in uids


def test_nothing_in_the_box_names_the_harness(tmp_path: Path) -> None:
    seen = run(tmp_path, "cat /run/init /proc/*/cmdline /etc/*; env; mount; ls -laR /run /etc")
    for word in (b"sallyport", b"harness", b"inspect_ai", b"evaluation"):
        assert word not in seen.stdout.lower()


CROWD = """
import os, time
end = time.time() + 2
while time.time() < end:
    try:
        if os.fork() == 0:
            time.sleep(max(0, end - time.time()))
            os._exit(0)
    except OSError:
        open("/tmp/full", "w").close()
"""


def test_a_box_full_of_processes_says_so_and_lives_on(tmp_path: Path) -> None:
    async def work(cell: Cell) -> tuple[Finished, Finished]:
        await cell.sh(f"python3 - <<'EOF' >/dev/null 2>&1 &\n{CROWD}\nEOF\n")
        crowded = after = await cell.box.run(["true"])
        for _ in range(100):
            await anyio.sleep(0.05)
            after = await cell.box.run(["true"])
            crowded = after if after.status else crowded
        return crowded, after

    crowded, after = in_cell(tmp_path, work)
    assert crowded.status == 126
    assert b"cannot start a process" in crowded.stderr
    assert after.status == 0


def test_using_a_dead_box_is_an_error(tmp_path: Path) -> None:
    async def work(cell: Cell) -> None:
        await cell.box.close()
        with pytest.raises(BoxError, match="dead"):
            await cell.box.run(["true"])

    in_cell(tmp_path, work)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_assembles_for_every_supported_machine(machine: str) -> None:
    program = filter_program(machine)
    assert len(program) % 8 == 0
    assert len(program) // 8 < 4096, "the kernel's limit"


def test_another_machine_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="or Docker"):
        filter_program("riscv64")


HARNESS = """
import anyio, sys
from pathlib import Path
from tests.sandbox.boxes import cell
async def main():
    async with cell(Path(sys.argv[1])) as fresh:
        mark = sys.argv[2]
        both = f'until [ $(pgrep -fc "^sleep {mark}") = 2 ]; do :; done'
        await fresh.sh(f"sleep {mark} & setsid sleep {mark} & {both}")
        print("up", flush=True)
        await anyio.sleep(600)
anyio.run(main)
"""


def _with(mark: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or ())]


def _in_namespaces(names: set[str]) -> list[int]:
    """The processes that are in one of these network namespaces."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if os.readlink(entry) in names:
                found.append(int(entry.parts[2]))
    return found


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_harness_that_dies_leaves_no_process_and_no_namespace(
    number: signal.Signals, tmp_path: Path
) -> None:
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"  # of seconds to sleep
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(tmp_path), mark],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        preexec_fn=interruptible,
    )
    try:
        assert harness.stdout is not None and harness.stdout.readline() == b"up\n"
        assert len(_with(mark)) == 3, "the harness itself and two processes in the box"
        tree = psutil.Process(harness.pid).children(recursive=True)
        names = {os.readlink(f"/proc/{process.pid}/ns/net") for process in tree}
        names -= {os.readlink("/proc/self/ns/net")}
        assert len(names) == 2, "the gateway's side and the agent's"
        harness.send_signal(number)
        harness.wait(timeout=20)
    finally:
        harness.kill()
    deadline = time.monotonic() + 20
    while (_with(mark) or _in_namespaces(names)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _with(mark) == []
    assert _in_namespaces(names) == []


def test_a_process_with_no_other_open_files_can_start_a_box() -> None:
    """The lowest free descriptors are then those that the box's own parts use."""
    start = "from sandbox.box.box import Box; Box.trial()"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
