"""The services a setting allows, used by an agent in its box, on every provider."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from inspect_ai.util import SandboxEnvironment

from sandbox import cell
from sandbox.certificate.cells import fresh_cell
from sandbox.gateway.capture import Capture, read_capture
from sandbox.gateway.manners import Manners
from sandbox.replay import bytes_out
from sandbox.setting import load_setting
from tests.gateway.packages import WHEEL, wheel

FOLDER = Path(__file__).parents[2] / "tasks/settings/checkpoint_audit"
INDEX, STORE, GIT = "pypi.corp.example", "store.corp.example", "git.corp.example"
MANNERS = f"""
manners:
  server: Apache/2.4.57
  put_status: 201
  allowed: {{{INDEX}: index, {STORE}: store, {GIT}: git}}
"""

FETCH = f"""
import hashlib, re, urllib.request
page = urllib.request.urlopen("https://{INDEX}/simple/tiny-tool/").read().decode()
[(href, digest)] = re.findall('href="([^"#]*)#sha256=([0-9a-f]*)"', page)
data = urllib.request.urlopen("https://{INDEX}" + href).read()
assert hashlib.sha256(data).hexdigest() == digest
print(digest)
"""
USE = f"""
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
head -c 100000 /dev/urandom > /tmp/w
curl -sSf -o /dev/null -T /tmp/w -D /tmp/head https://{STORE}/runs/w
grep -o '^HTTP/1.1 2[ 0-9A-Za-z]*\\|^server: [A-Za-z0-9./]*' /tmp/head
curl -sSf https://{STORE}/runs/w | cmp - /tmp/w && echo same
curl -sS -o /dev/null -w '%{{http_code}}\\n' https://{STORE}/runs/none
git init -q -b main /tmp/one && cd /tmp/one && cp /tmp/w . && git add . && git commit -qm w
git push -q https://{GIT}/team/one.git main
git clone -q https://{GIT}/team/one.git /tmp/two && cmp /tmp/two/w /tmp/w && echo cloned
curl -sS -o /dev/null -T /tmp/w https://other.example/w
"""

providers = pytest.mark.parametrize(
    "provider",
    [
        pytest.param("namespace", marks=pytest.mark.namespace),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)


@pytest.fixture
def manners(tmp_path: Path) -> Manners:
    """As a setting's folder declares them."""
    folder = shutil.copytree(FOLDER, tmp_path / "mine")
    text = (folder / "setting.yaml").read_text()
    before, found, after = text.partition("manners:\n")
    assert found
    (folder / "setting.yaml").write_text(before + after[after.index("outputs:") :] + MANNERS)
    (folder / "packages").mkdir()
    (folder / "packages" / WHEEL).write_bytes(wheel())
    return load_setting(folder).manners(0)


Work = Callable[[SandboxEnvironment, SandboxEnvironment], Awaitable[str]]


async def sh(agent: SandboxEnvironment, script: str) -> str:
    done = await agent.exec(["bash", "-c", script], timeout=120)
    assert done.success, done.stderr
    return done.stdout


def captured(provider: cell.Provider, work: Work) -> tuple[str, Capture]:
    async def main() -> tuple[str, Capture]:
        async with fresh_cell(provider) as (agent, gateway):
            said = await work(agent, gateway)
            return said, read_capture(*await cell.sealed_files(gateway))

    return anyio.run(main)


@providers
def test_the_allowed_services_work_and_their_streams_say_so(
    provider: cell.Provider, manners: Manners
) -> None:
    async def work(agent: SandboxEnvironment, gateway: SandboxEnvironment) -> str:
        await cell.furnish(gateway, manners)
        return await sh(agent, f"python3 - <<'END'\n{FETCH}END\n") + await sh(agent, USE)

    said, capture = captured(provider, work)
    assert said.splitlines() == [
        hashlib.sha256(wheel()).hexdigest(),
        "HTTP/1.1 201 Created",
        "server: Apache/2.4.57",
        "same",
        "404",
        "cloned",
    ]
    allowed = {(s.host, s.allowed) for s in capture.streams if s.proto == "tcp"}
    assert allowed == {(INDEX, True), (STORE, True), (GIT, True), ("other.example", False)}
    [noted] = [event for event in capture.events if event["kind"] == "manners"]
    assert noted["allowed"] == {INDEX: "index", STORE: "store", GIT: "git"}
    assert noted["packages"] == {WHEEL: hashlib.sha256(wheel()).hexdigest()}


@providers
def test_manners_come_before_the_first_packet_or_not_at_all(
    provider: cell.Provider, manners: Manners
) -> None:
    async def work(agent: SandboxEnvironment, gateway: SandboxEnvironment) -> str:
        await sh(agent, f"curl -sS https://{STORE}/")
        with pytest.raises(OSError, match="cannot change its manners"):
            await cell.furnish(gateway, manners)
        return await sh(agent, f"curl -sS https://{STORE}/x")

    said, capture = captured(provider, work)
    assert said == '{"status":"ok"}\n'
    assert not any(stream.allowed for stream in capture.streams)


@pytest.mark.namespace
def test_nothing_that_one_box_leaves_in_its_world_is_in_anothers(manners: Manners) -> None:
    leave = f"""
        set -e; cd /tmp; echo secret > note; git init -q -b main r; cd r
        git -c user.name=a -c user.email=a@b commit -q --allow-empty -m secret
        for host in {INDEX} {STORE} {GIT}; do
          curl -sS -o /dev/null -T ../note https://$host/note
        done
        curl -sS -o /dev/null -F content=@../note https://{INDEX}/legacy/
        git push -q https://{GIT}/drop.git main:secret
        curl -sS -T ../note ftp://{STORE}/secret
    """
    look = f"""
        for host in {INDEX} {STORE} {GIT}; do
          for path in note legacy/ simple/ simple/note/ packages/note; do
            curl -sS https://$host/$path
          done
        done
        git ls-remote https://{GIT}/drop.git; curl -s ftp://{STORE}/; true
    """

    async def main() -> tuple[str, str]:
        async with fresh_cell("namespace") as one, fresh_cell("namespace") as two:
            for _, gateway in (one, two):
                await cell.furnish(gateway, manners)
            await sh(one[0], leave)
            return await sh(one[0], look), await sh(two[0], look)

    own, others = anyio.run(main)
    # As an object in the store and the git server, a branch and a file.
    assert own.count("secret") == 4
    assert "secret" not in others


@providers
def test_turns_are_marked_in_order(provider: cell.Provider) -> None:
    async def work(agent: SandboxEnvironment, gateway: SandboxEnvironment) -> str:
        sent = "exec 3<>/dev/tcp/192.0.2.1/9; echo {} >&3; exec 3>&-"
        for index in range(3):
            await sh(agent, sent.format(f"before-{index}"))
            assert (await gateway.exec(["turn", str(index)])).success
        await sh(agent, sent.format("last"))
        refused = [["turn", word] for word in ("2", "4", "-1", "x", "", "٣")] + [["turn"]]
        for command in refused:
            done = await gateway.exec(command)
            assert not done.success and done.stderr, command
        return ""

    _, capture = captured(provider, work)
    assert len(capture.turns) == 3 and list(capture.turns) == sorted(capture.turns)
    turns = {s.out.strip(): s.chunks[0].turn for s in capture.streams}
    assert turns == {b"before-0": None, b"before-1": 0, b"before-2": 1, b"last": 2}
    assert capture.complete


@providers
def test_what_has_left_so_far_is_counted_as_in_the_evidence(provider: cell.Provider) -> None:
    counts: list[int] = []

    async def work(agent: SandboxEnvironment, gateway: SandboxEnvironment) -> str:
        counts.append(await cell.bytes_out(gateway))
        await sh(agent, "exec 3<>/dev/tcp/192.0.2.1/9; head -c 70000 /dev/zero >&3; exec 3>&-")
        counts.append(await cell.bytes_out(gateway))
        await sh(agent, f"curl -sS https://{STORE}/x -d some")
        counts.append(await cell.bytes_out(gateway))
        return ""

    _, capture = captured(provider, work)
    assert counts[0] == 0
    assert counts[1] == 70_000
    assert counts[2] == bytes_out(capture) > 70_000


@pytest.mark.namespace
def test_nothing_else_runs_in_the_harness() -> None:
    async def work(agent: SandboxEnvironment, gateway: SandboxEnvironment) -> str:
        for command in (["sh", "-c", "true"], [], ["seal", "x"], ["turns", "0"], ["lefts"]):
            with pytest.raises(PermissionError):
                await gateway.exec(command)
        return ""

    captured("namespace", work)
