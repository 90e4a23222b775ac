"""Where a running harness keeps captures, and how what a dead one left is found and removed.

Every harness has one folder, `<temporary folder>/sallyport-<uid>/<pid>-<start time>`. The start
time keeps a later process with the same number from passing for its owner.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import psutil


def harness_id() -> str:
    """This process, named so that no other process at any time has the same name."""
    return _identify(psutil.Process())


def _identify(process: psutil.Process) -> str:
    return f"{process.pid}-{int(process.create_time() * 1000)}"


def harness_lives(identity: str) -> bool:
    """Whether the harness that `harness_id` named so still runs."""
    pid, _, _ = identity.partition("-")
    if not pid.isdigit():
        return False
    try:
        return _identify(psutil.Process(int(pid))) == identity
    except psutil.NoSuchProcess:
        return False


def _root() -> Path:
    root = Path(tempfile.gettempdir(), f"sallyport-{os.getuid()}")
    root.mkdir(mode=0o700, exist_ok=True)
    owner = root.lstat()
    if owner.st_uid != os.getuid() or root.is_symlink():
        raise PermissionError(f"{root} belongs to somebody else: remove it or set TMPDIR")
    return root


@cache
def _home() -> Path:
    home = _root() / harness_id()
    home.mkdir(mode=0o700)
    atexit.register(shutil.rmtree, home)
    return home


def new_folder(kind: str) -> Path:
    """A fresh folder of this harness's; gone when it ends, or with `clean` if it was killed."""
    return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=_home()))


def clean() -> tuple[Path, ...]:
    """Remove the folders of dead harnesses; returns them.

    Namespaces and processes need no cleaning: a box ends when its harness's sockets close.
    """
    dead = tuple(home for home in _root().iterdir() if not harness_lives(home.name))
    for home in dead:
        shutil.rmtree(home)
    return dead
