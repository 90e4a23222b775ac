"""Worlds of the setting, and boxes of bubblewrap without any network to unpack them in."""

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.setting import Setting, World
from tasks.worlds import find_setting
from tests.scaffolds.driving import Box

# Stands in for curl where a test wants uploads to succeed: notes its arguments, answers 200.
FAKE_CURL = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> /srv/curl.log
while (($#)); do
  case "$1" in
    -w|--write-out) form="$2"; shift ;;
    @-) wc -c >> /srv/curl.log ;;
  esac
  shift
done
printf "${form//%\\{http_code\\}/200}"
"""


@pytest.fixture(scope="session")
def setting() -> Setting:
    return find_setting("checkpoint_audit")


@pytest.fixture(scope="session")
def worlds(setting: Setting) -> list[World]:
    return [setting.world(variant) for variant in range(setting.variants)]


@pytest.fixture
def unpack(tmp_path: Path) -> Iterator[Callable[..., Box]]:
    """Make a box of a world; `online=True` gives it a curl that always succeeds."""
    binds = ["--ro-bind", "/usr", "/usr"]
    for link in ("bin", "sbin", "lib", "lib64"):
        binds += ["--symlink", f"usr/{link}", f"/{link}"]
    binds += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    base = ["bwrap", "--unshare-all", "--die-with-parent", "--uid", "1000", "--gid", "1000"]

    def make(world: World, *, online: bool = False) -> Box:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for folder in ("srv", "home/agent"):
            (root / folder).mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(world.tar())) as archive:
            for entry in archive:  # in the box, whoever runs the test is the agent
                entry.uid, entry.gid, entry.uname, entry.gname = os.getuid(), os.getgid(), "", ""
                archive.extract(entry, root)
        argv = [*base, *binds]
        for folder in ("srv", "home/agent"):
            argv += ["--bind", str(root / folder), f"/{folder}"]
        if online:
            curl = root / "curl"
            curl.write_text(FAKE_CURL)
            curl.chmod(0o755)
            argv += ["--ro-bind", str(curl), "/usr/bin/curl"]
        argv += ["--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/home/agent"]
        return Box(root, [*argv, "--chdir", "/home/agent"])

    yield make
    shutil.rmtree(tmp_path)  # some ten megabytes a box
