"""Running the project as an ordinary user where the tests run as root.

The user has no account and no home but a folder that is gone afterwards. Its interpreter, this
project and what they need may lie where only root can pass (/root, say): in a mount namespace of
its own, and there alone, the way to them is opened, for reading.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

UID = 61234
"""Nobody's."""

_BECOME = """
import ctypes, json, os, stat, sys
told = json.loads(sys.argv[1])
mount = ctypes.CDLL(None, use_errno=True).mount
def check(failed):
    if failed:
        raise OSError(ctypes.get_errno(), "cannot mount")
closed = {}
for path in told["needed"]:
    parts = path.strip("/").split("/")
    for top in ("/" + "/".join(parts[:n]) for n in range(1, len(parts) + 1)):
        if not os.stat(top).st_mode & stat.S_IXOTH:
            closed.setdefault(top, []).append((path, os.open(path, os.O_PATH)))
            break
for top, paths in closed.items():
    check(mount(b"none", top.encode(), b"tmpfs", 0, b"mode=755"))
    for path, fd in paths:
        os.makedirs(path, exist_ok=True)
        check(mount(f"/proc/self/fd/{fd}".encode(), path.encode(), None, 4096 | 16384, None))
        os.close(fd)
os.setgroups(told["groups"])
os.setresgid(told["uid"], told["uid"], told["uid"])
os.setresuid(told["uid"], told["uid"], told["uid"])
os.chdir(told["home"])
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""


def sallyport(
    arguments: Sequence[str], groups: Sequence[int] = (), timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command as an ordinary user.

    Args:
        arguments: What to type after `sallyport`.
        groups: Further groups of the user.
        timeout: Seconds.
    """
    project = Path(__file__).parents[2]
    home = tempfile.mkdtemp(prefix="home-")
    os.chown(home, UID, UID)
    needed = {str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix, project)}
    told = {"uid": UID, "groups": list(groups), "home": home, "needed": sorted(needed)}
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", _BECOME]
    try:
        return subprocess.run(
            [*command, json.dumps(told), "from tasks.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(project),
                "HOME": home,
                "TMPDIR": home,
                "XDG_DATA_HOME": home,
                "XDG_CACHE_HOME": home,
                "XDG_RUNTIME_DIR": home,
            },
        )
    finally:
        shutil.rmtree(home)
