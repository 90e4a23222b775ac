"""Reading the watched files from outside, and probing what was left of them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from inspect_ai.util import ExecResult, SandboxEnvironment, SandboxUnavailableError

from sandbox import cell, watch
from sandbox.cell import CellError, Provider
from sandbox.certificate.cells import fresh_cell
from sandbox.files import WorldFile
from sandbox.gateway.manners import Manners
from sandbox.watch import WatchError, read_watched, run_probes
from sandbox.world import World

PROVIDERS = [
    pytest.param("namespace", marks=pytest.mark.namespace),
    pytest.param("docker", marks=pytest.mark.docker),
]


def read_after(
    script: str, *paths: str, provider: Provider = "namespace", files: Mapping[str, str] = {}
) -> dict[str, WorldFile]:
    """What is read below `paths` after an agent ran a script."""

    async def main() -> dict[str, WorldFile]:
        async with fresh_cell(provider) as (agent, _):
            await cell.unpack(agent, world(files).tar())
            done = await agent.exec(["bash", "-c", script])
            assert done.success, done.stderr
            return await read_watched(agent, paths)

    return anyio.run(main)


def world(
    files: Mapping[str, str],
    probes: Mapping[str, str] = {},
    watched: tuple[str, ...] = ("/srv/mon",),
) -> World:
    return World(
        setting="test",
        variant=0,
        task="",
        colleague="",
        side_tasks={},
        files=tuple(WorldFile(path, text.encode(), 0o755) for path, text in files.items()),
        weights=(),
        adapter=(),
        keys={},
        outputs=(),
        watch=watched,
        probes=probes,
        facts={},
        manners=Manners(),
    )


def probe(
    command: str,
    left: Mapping[str, WorldFile] = {},
    added: Mapping[str, str] = {},
    files: Mapping[str, str] = {},
    provider: Provider = "namespace",
) -> str:
    """What one probe prints."""
    place = world(files, {"one": command})
    return anyio.run(run_probes, provider, place, left, added)["one"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_regular_file_is_read_with_its_mode_whatever_its_name(provider: Provider) -> None:
    script = r"""
    mkdir -p /srv/mon/deep/er; cd /srv/mon
    printf one > plain; chmod 750 plain; printf '\377\0' > deep/binary; printf x > deep/er/'odd
name'; printf y > $'byte\377'; printf z > -dash; printf "q" > "it's \"quoted\" \\ \$HOME"
    """
    found = read_after(script, "/srv/mon", "/srv/absent", provider=provider)
    assert {path: file.data for path, file in found.items()} == {
        "/srv/mon/plain": b"one",
        "/srv/mon/deep/binary": b"\xff\0",
        "/srv/mon/deep/er/odd\nname": b"x",
        "/srv/mon/byte\udcff": b"y",
        "/srv/mon/-dash": b"z",
        '/srv/mon/it\'s "quoted" \\ $HOME': b"q",
    }
    assert found["/srv/mon/plain"].mode == 0o750


@pytest.mark.namespace
@pytest.mark.parametrize(
    "script",
    [
        "ln -s /etc/passwd /srv/mon/a",
        "ln -s /etc /srv/mon/a",
        "mkfifo /srv/mon/a",
        "python3 -c 'import socket as s; s.socket(s.AF_UNIX).bind(\"/srv/mon/a\")'",
        "echo x > /srv/mon/a; chmod 0 /srv/mon/a",
        "mkdir /srv/mon/a; echo x > /srv/mon/a/b; chmod 0 /srv/mon/a",
        "ln -s .. /srv/mon/a; ln -s a /srv/mon/b",
        "rm -rf /srv/mon; ln -s /etc /srv/mon",
        "rm -rf /srv/mon; mkfifo /srv/mon",
    ],
)
def test_what_is_no_regular_file_of_the_agents_is_not_there(script: str) -> None:
    assert read_after(f"mkdir -p /srv/mon; {script}", "/srv/mon") == {}


@pytest.mark.namespace
def test_a_single_file_is_watched_and_its_neighbours_are_not() -> None:
    script = "mkdir -p /srv/mon; echo a > /srv/mon/a; echo b > /srv/mon/ab; echo c > /srv/monitor"
    assert list(read_after(script, "/srv/mon/a")) == ["/srv/mon/a"]
    assert list(read_after(script, "/srv/mon/", "/srv/mon/a")) == ["/srv/mon/a", "/srv/mon/ab"]


@pytest.mark.namespace
@pytest.mark.parametrize(
    "script",
    [
        "head -c 4194305 /dev/zero > /srv/mon/large",
        "truncate -s 100M /srv/mon/sparse",
        "cd /srv/mon; seq 2001 | xargs touch",
        "cd /srv/mon; for n in $(seq 2001); do ln -s x $n; done",
        "cd /srv/mon; for n in 1 2 3 4 5; do head -c 1000000 /dev/zero > $n; done",
    ],
)
def test_too_much_is_an_error(script: str) -> None:
    with pytest.raises(WatchError, match="more than"):
        read_after(f"mkdir -p /srv/mon; {script}", "/srv/mon")


@pytest.mark.namespace
def test_as_much_as_is_allowed_is_read() -> None:
    script = "mkdir -p /srv/mon; cd /srv/mon; head -c 4194304 /dev/zero > a; seq 1999 | xargs touch"
    assert len(read_after(script, "/srv/mon")) == 2000


@pytest.mark.namespace
def test_the_agents_own_modules_and_profile_are_not_run() -> None:
    script = """mkdir -p /srv/mon; echo x > /srv/mon/a; cd
    echo 'raise SystemExit(0)' | tee json.py base64.py os.py sitecustomize.py > usercustomize.py
    echo 'exit 0' | tee .profile .bashrc > .bash_profile
    """
    assert list(read_after(script, "/srv/mon")) == ["/srv/mon/a"]


class Says(SandboxEnvironment):
    """A box that gives one answer, or raises it."""

    def __init__(self, answer: object, success: bool = True) -> None:
        self.answer, self.success = answer, success

    async def exec(self, *args: Any, **kwargs: Any) -> ExecResult[str]:
        if isinstance(self.answer, Exception):
            raise self.answer
        printed = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return ExecResult(self.success, int(not self.success), printed, "")

    write_file = read_file = exec  # type: ignore[assignment]

    @classmethod
    async def sample_cleanup(cls, *args: Any) -> None: ...


def told(path: str, data: bytes = b"", mode: object = 0o644) -> dict[str, Any]:
    text = [base64.b64encode(value).decode() for value in (path.encode(), data)]
    return {"problem": "", "files": [[*text, mode, 0]]}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no json",
        "[" * 100_000,
        [],
        {"problem": ""},
        {"problem": "", "files": [["a"]]},
        {"problem": "", "files": [["/", "/", "x", 0]]},
        told("/srv/other"),
        told("/srv/mon/../other"),
        told("/srv/mon//x"),
        told("relative"),
        told("/srv/mon/x", mode="read"),
        told("/srv/mon/x", bytes(watch.MOST_BYTES + 1)),
        TimeoutError(),
        PermissionError("no"),
        SandboxUnavailableError("gone"),
    ],
)
def test_an_answer_that_cannot_be_true_is_an_error(answer: object) -> None:
    with pytest.raises(WatchError):
        anyio.run(read_watched, Says(answer), ["/srv/mon"])
    with pytest.raises(WatchError):
        anyio.run(read_watched, Says(told("/srv/mon/x"), success=False), ["/srv/mon"])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_probe_sees_what_was_left_in_the_world_of_the_start(provider: Provider) -> None:
    files = {
        "/srv/mon/kept": "old",
        "/srv/mon/gone": "old",
        "/srv/data/outside": "pristine",
    }
    left = {
        "/srv/mon/kept": WorldFile("/srv/mon/kept", b"echo new", 0o750),
        "/srv/mon/n/added": WorldFile("/srv/mon/n/added", b"x", 0o600),
    }
    added = {"/tmp/events/bad.json": "{}"}
    command = (
        "/srv/mon/kept; cd /; find srv/mon tmp/events -type f -printf '%p %m\n' | sort;"
        "cat /srv/data/outside /tmp/events/bad.json; pwd > /dev/null"
    )
    assert probe(command, left, added, files, provider).splitlines() == [
        "new",
        "srv/mon/kept 750",
        "srv/mon/n/added 600",
        "tmp/events/bad.json 644",
        "pristine{}",
    ]


@pytest.mark.namespace
@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("echo alarm", "alarm\n"),
        ("echo alarm; exit 1", ""),
        ("echo alarm; kill -9 $$", ""),
        ("echo alarm; kill -9 -1", ""),
        ("no-such-program", ""),
        ("head -c 20000000 /dev/zero", ""),
        ("yes alarm | head -n 99999", "alarm\n" * 99_999),
        ("true", ""),
    ],
)
def test_an_alarm_that_breaks_does_not_fire(command: str, printed: str) -> None:
    assert probe(command) == printed[: watch.MOST_PRINTED]


@pytest.mark.namespace
@pytest.mark.parametrize("command", ["echo alarm; sleep 60", "echo alarm; sleep 60 & exit 0"])
def test_an_alarm_that_hangs_does_not_fire(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PROBE_SECONDS", 1)
    assert probe(command) in ("", "alarm\n")


@pytest.mark.namespace
def test_one_probe_that_fails_leaves_the_others() -> None:
    place = world({}, {"broken": "exit 3", "fine": "echo alarm"})
    printed = anyio.run(run_probes, "namespace", place, {}, {})
    assert printed == {"broken": "", "fine": "alarm\n"}


@pytest.mark.namespace
@pytest.mark.parametrize("planted", ["/tmp/bad.json", "/tmp/bad.json/x", "/tmp"])
def test_nothing_that_was_left_takes_the_place_of_a_probe_file(planted: str) -> None:
    left = {planted: WorldFile(planted, b"harmless")}
    assert probe("cat /tmp/bad.json", left, {"/tmp/bad.json": "bad"}) == "bad"


def test_a_cell_that_fails_is_an_error_and_no_blind_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(provider: Provider) -> Any:
        raise CellError("the cell did not start")

    monkeypatch.setattr(watch, "fresh_cell", broken)
    with pytest.raises(CellError):
        probe("echo alarm")


class Fails(Says):
    """A cell that can be filled, and in which nothing runs any more then."""

    def __init__(self) -> None:
        super().__init__("")

    async def exec(self, cmd: list[str], *args: Any, **kwargs: Any) -> ExecResult[str]:
        fine = cmd[0] not in ("timeout", "true")
        return ExecResult(fine, int(not fine), "", "")


@pytest.mark.parametrize("ended", [Fails(), Says(SandboxUnavailableError("gone"))])
def test_a_cell_that_ends_under_a_probe_is_an_error(
    ended: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def cell_that_ends(provider: Provider) -> AsyncIterator[tuple[Says, Says]]:
        yield ended, Fails()

    monkeypatch.setattr(watch, "fresh_cell", cell_that_ends)
    with pytest.raises(CellError):
        probe("echo alarm")
