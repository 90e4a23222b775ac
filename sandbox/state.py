"""Where a running harness keeps captures, and how what a dead one left is found and removed.

Every harness has one folder, `<temporary folder>/sallyport-<uid>/<pid>-<start time>-<place>`. The
start time keeps a later process with the same number from passing for its owner; the place, a
machine and its process namespace, keeps harnesses that share an engine or a folder, but cannot see
each other's processes, from taking each other for dead.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import socket
import tempfile
from functools import cache
from pathlib import Path


def harness_id() -> str:
    """This process, named so that no other process at any time has the same name."""
    return f"{os.getpid()}-{_started(os.getpid())}-{_place()}"


def harness_ended(identity: str) -> bool:
    """Whether the harness that `harness_id` named so has surely ended.

    Of a harness in another place, and of a name that is no harness's, nobody here can tell: they
    count as alive, since what is removed wrongly is somebody's running sample.
    """
    pid, _, rest = identity.partition("-")
    started, _, place = rest.partition("-")
    if not (pid.isdigit() and started.isdigit() and place == _place()):
        return False
    return started != _started(int(pid))


def _started(pid: int) -> str | None:
    """When a process began, in clock ticks since boot; None if there is none.

    Not the time of day: two processes compute that differently after the clock was set.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[19]  # proc(5): field 22; the name may hold anything


def _place() -> str:
    namespace = os.stat("/proc/self/ns/pid").st_ino
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


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
    dead = tuple(home for home in _root().iterdir() if harness_ended(home.name))
    for home in dead:
        shutil.rmtree(home)
    return dead
