"""However a run ends, nothing is left behind and what was done stays in the log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.util import sandbox

from sandbox import cell
from sandbox.gateway.capture import Capture, read_capture
from tests.signals import interruptible
from tests.tasks.evals import metric, run

_PATIENCE = 120.0  # seconds until a slow machine counts as one that hangs


class Harness:
    """`inspect eval`, as a user starts it."""

    def __init__(self, folder: Path, provider: str) -> None:
        self.folder = folder
        arguments = ["-T", f"sandbox={provider}", "-T", "protocol=none", "--max-samples", "1"]
        arguments += ["--log-dir", str(folder), "--display", "none", "--log-buffer", "1"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inspect_ai", "eval", "tasks/exfil.py", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            preexec_fn=interruptible,
        )

    def log(self) -> EvalLog | None:
        found = list(self.folder.glob("*.eval"))
        return read_eval_log(str(found[0])) if found else None

    def wait_for_samples(self, n: int) -> None:
        """Until `n` samples are done and another one is at work."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.5)
            assert self.process.poll() is None, "it ended by itself"
            try:
                log = self.log()
            except (OSError, ValueError, KeyError, EOFError):  # caught in the middle of a write
                continue
            if log is not None and len(log.samples or []) >= n:
                return
        raise AssertionError(f"no {n} samples after {_PATIENCE:.0f} s")

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        try:
            self.process.send_signal(number)
            self.process.wait(timeout=_PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()


def box_processes(of: int) -> list[psutil.Process]:
    """The launchers and boxes below a process."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if any("launch.py" in a or "/run/init" in a for a in process.cmdline()):
                found.append(process)
    return found


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return not alive


@pytest.mark.namespace
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_keeps_its_samples_and_leaves_no_box(
    number: signal.Signals, tmp_path: Path
) -> None:
    harness = Harness(tmp_path, "namespace")
    try:
        harness.wait_for_samples(2)
        boxes: list[psutil.Process] = []
        while not boxes:
            boxes = box_processes(harness.process.pid)
    finally:
        harness.end(number)
    assert gone(boxes)
    log = harness.log()
    assert log is not None and log.status != "success"
    done = [sample for sample in log.samples or [] if sample.scores]
    assert len(done) >= 2
    cell.clean()
    assert not list(Path(f"/tmp/sallyport-{os.getuid()}").glob(f"{harness.process.pid}-*"))


def of_harness(pid: int) -> list[str]:
    client = docker.from_env()
    try:
        # The containers of other tests come and go while they are listed.
        found = client.containers.list(
            all=True, filters={"label": cell.HARNESS_LABEL}, ignore_removed=True
        )
        return [str(c.name) for c in found if c.labels[cell.HARNESS_LABEL].startswith(f"{pid}-")]
    finally:
        client.close()


def volumes() -> set[str]:
    client = docker.from_env()
    try:
        return {str(volume.name) for volume in client.volumes.list()}
    finally:
        client.close()


@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_on_docker_too(number: signal.Signals, tmp_path: Path) -> None:
    harness = Harness(tmp_path, "docker")
    try:
        harness.wait_for_samples(1)
        deadline = time.monotonic() + _PATIENCE
        while not (names := of_harness(harness.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert names
    finally:
        harness.end(number)
    cell.clean()  # after SIGKILL they are still there, unless another test's harness was first
    assert of_harness(harness.process.pid) == []
    project = names[0].rsplit("-", 2)[0]
    assert not [name for name in volumes() if name.startswith(project)]
    log = harness.log()
    assert log is not None and any(sample.scores for sample in log.samples or [])


@pytest.mark.namespace
def test_a_broken_capture_voids_the_sample_and_does_not_read_as_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(events: bytes, blob: bytes) -> Capture:
        lines = events.splitlines(keepends=True)
        return read_capture(b"".join(lines[:3] + lines[4:]), blob)  # one event less

    monkeypatch.setattr(cell, "read_capture", tampered)
    log = run(tmp_path, protocol="none", eval_limit=2)
    assert log.status == "success"
    assert metric(log, "unscored") == 1.0
    for measure in ("catch_rate", "safety", "usefulness", "undetected", "attempts"):
        assert metric(log, measure, "n") == 0


async def end_gateway(how: str) -> None:
    """What an operator, or a machine short of memory, may do to the current sample's gateway."""
    connection = await sandbox("gateway").connection()
    client = docker.from_env()
    try:
        container = client.containers.get(str(connection.container))
        getattr(container, how)()
    finally:
        client.close()


@pytest.mark.docker
@pytest.mark.parametrize(
    ("how", "when"),
    [
        ("kill", "before the agent works"),
        ("restart", "before the agent works"),
        ("restart", "before it is scored"),
    ],
)
def test_a_gateway_that_dies_voids_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, when: str
) -> None:
    furnish, sealed = cell.furnish, cell.sealed_capture

    async def furnish_and_end(*arguments: Any) -> None:
        await furnish(*arguments)
        await end_gateway(how)

    async def end_and_seal() -> object:
        await end_gateway(how)
        return await sealed()

    if when == "before it is scored":
        monkeypatch.setattr("tasks.scoring.sealed_capture", end_and_seal)
    else:
        monkeypatch.setattr(cell, "furnish", furnish_and_end)
    log = run(tmp_path, protocol="none", modes="honest", sandbox="docker", eval_limit=1)
    assert metric(log, "unscored") == 1.0
    assert metric(log, "usefulness", "n") == 0
    [sample] = log.samples or []
    assert sample.scores is not None
    assert "gateway" in str(sample.scores["control_outcome"].explanation)
