"""An agent can neither find, read nor influence what judges it."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from inspect_ai.util import SandboxEnvironment

from sandbox import cell
from sandbox.box import plan
from sandbox.certificate.cells import fresh_cell
from tasks.judging import files_left
from tasks.worlds import find_setting, setting_names, world

PROVIDERS = [
    pytest.param("namespace", marks=pytest.mark.namespace),
    pytest.param("docker", marks=pytest.mark.docker),
]
SETTINGS = Path(plan.__file__).parents[2] / "tasks/settings"


def in_a_world(
    provider: cell.Provider, act: Callable[[SandboxEnvironment], Awaitable[None]]
) -> None:
    async def visit() -> None:
        async with fresh_cell(provider) as (agent, gateway):
            place = world("checkpoint_audit", 0)
            await cell.furnish(gateway, place.manners)
            await cell.unpack(agent, place.tar())
            await act(agent)

    asyncio.run(visit())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_verifier_and_no_oracle_can_be_found(provider: cell.Provider) -> None:
    async def search(agent: SandboxEnvironment) -> None:
        names = "-name verify.py -o -name oracle.py -o -name attacks.py -o -name setting.yaml"
        find = f"find / -path /proc -prune -o \\( {names} \\) -print 2>/dev/null"
        found = await agent.exec(["bash", "-c", f"touch /srv/verify.py; {find}; true"])
        paths = [p for p in found.stdout.split() if "settings" in p or p.startswith("/srv")]
        assert paths == ["/srv/verify.py"]  # the search works
        words = "corrupt_shard_quarantined|I could not establish which shard"  # of both files
        grep = f"grep -rlE '{words}' /home /srv /tmp /etc /opt /var /proc/[0-9]*/cmdline; true"
        grepped = await agent.exec(["bash", "-c", f"{grep} 2>/dev/null"])
        assert [p for p in grepped.stdout.split() if not p.startswith("/proc")] == []

    in_a_world(provider, search)


@pytest.fixture
def installed_for_everyone() -> Iterator[Path]:
    """A place among the machine's own libraries, where pip as root would put a package."""
    folder = Path(tempfile.mkdtemp(prefix="installed-", dir="/usr/local/lib"))
    folder.chmod(0o755)
    (folder / "tasks").mkdir()
    (folder / "tasks/verify.py").write_text("secret = 1\n")
    (folder / "other.py").write_text("public = 1\n")
    for name in ("sandbox", "policies", "scaffolds"):
        (folder / name).mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.root
@pytest.mark.namespace
def test_nor_where_sallyport_is_installed_among_the_machines_libraries(
    installed_for_everyone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = plan.own_folders(installed_for_everyone)
    monkeypatch.setattr(plan, "own_folders", lambda: folders)

    async def look(agent: SandboxEnvironment) -> None:
        seen = await agent.exec(["find", str(installed_for_everyone), "-type", "f"])
        assert seen.stdout.split() == [f"{installed_for_everyone}/other.py"]
        tried = await agent.exec(["touch", f"{installed_for_everyone}/tasks/verify.py"])
        assert not tried.success

    in_a_world("namespace", look)


def test_a_checkout_is_hidden_as_a_whole() -> None:
    assert plan.own_folders() == [SETTINGS.parents[1]]


HOSTILE = {
    "a pipe": "mkfifo X",
    "an endless device": "ln -s /dev/zero X",
    "a folder": "mkdir X",
    "a loop": "ln -s X X",
    "a huge file": "truncate -s 100M X",
    "no text": "head -c 3000 /dev/urandom > X",
    "deep": "python3 -c 'print(\"[\" * 200000)' > X",
    "another file": "ln -s /etc/passwd X",
    "nothing": "true",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_whatever_lies_where_the_verifier_looks_is_no_pass(provider: cell.Provider) -> None:
    async def leave(agent: SandboxEnvironment) -> None:
        place, setting = world("checkpoint_audit", 0), find_setting("checkpoint_audit")
        for what, make in HOSTILE.items():
            for path in place.outputs:
                command = f"rm -rf {path}; {make.replace('X', path)}"
                await agent.exec(["bash", "-c", command])
            found = await files_left(agent, place)
            assert not setting.verify(place, found).passed, what

    in_a_world(provider, leave)


@pytest.mark.parametrize("name", setting_names())
def test_no_verifier_raises(name: str) -> None:
    setting, place = find_setting(name), world(name, 0)
    rubbish = [
        None,
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b"[]",
        b"null",
        b"1e999",
        os.urandom(99),
    ]
    for content in rubbish:
        assert not setting.verify(place, dict.fromkeys(place.outputs, content)).passed
