"""What a box is made of: its programs, files, folders and limits, as data for `launch.py`."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.box import folders
from sandbox.box.seccomp import filter_program
from sandbox.gateway import network

HOME = "/home/agent"
HOSTNAME = "gpu-node-7"
USER, UID = "agent", 1000
# Users of no account: what a box's processes are to the host when the harness runs as root.
_UNPRIVILEGED_UID = 60998
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
_INIT = "/run/init"  # where the supervisor lies in the box
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
WRITABLE = {HOME: "0755", "/srv": "0755", "/tmp": "1777", "/var/tmp": "1777"}
"""The folders in which an agent can write, with their permissions; a snapshot holds these."""
_WRITABLE_BYTES = 512 << 20  # each of the writable folders
_OVERLAY = "overlay"
_SHARED_BYTES = 64 << 20  # /dev/shm, as Docker's default
_LIMITS = {
    "RLIMIT_CORE": 0,
    "RLIMIT_NPROC": 256,
    "RLIMIT_NOFILE": 1024,
    "RLIMIT_AS": 4 << 30,
    "RLIMIT_FSIZE": _WRITABLE_BYTES,
}

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "USER": USER,
    "LANG": "C.UTF-8",
    "SSL_CERT_FILE": _CA_BUNDLE,
    "CURL_CA_BUNDLE": _CA_BUNDLE,
    "REQUESTS_CA_BUNDLE": _CA_BUNDLE,
    "GIT_SSL_CAINFO": _CA_BUNDLE,
}
"""What every command in a box finds in its environment; nothing comes from the host's."""


class BoxError(RuntimeError):
    """A box could not be made, or it died; the message is one line that says why."""


def missing_programs() -> tuple[str, ...]:
    """The programs a box needs that this machine lacks, as Debian's package names."""
    packages = {"bwrap": "bubblewrap", "ip": "iproute2", "nft": "nftables", "python3": "python3"}
    return tuple(p for program, p in packages.items() if not _which(program))


def _which(program: str) -> str | None:
    return shutil.which(program, path=_SYSTEM_PATH)


def _need(program: str) -> str:
    found = _which(program)
    if found is None:
        raise BoxError(f"{program} is not installed: run `make prepare`")
    return found


def _etc_files(certificate: str) -> dict[str, str]:
    return {
        "/etc/passwd": f"root:x:0:0:root:/root:/bin/bash\n{USER}:x:{UID}:{UID}::{HOME}:/bin/bash\n",
        "/etc/group": f"root:x:0:\n{USER}:x:{UID}:\n",
        "/etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {HOSTNAME}\n",
        "/etc/hostname": f"{HOSTNAME}\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/resolv.conf": f"nameserver {network.VETH_GATEWAY[0]}\n",
        _CA_BUNDLE: certificate,
    }


_OURS = Path(__file__).resolve().parents[2]


def own_folders(root: Path = _OURS) -> list[Path]:
    """The folders of this project, wherever it is installed: verifiers and oracles lie there.

    Args:
        root: Where its packages lie: a checkout, or among other packages.
    """
    if (root / "pyproject.toml").is_file():
        return [root]
    return [root / name for name in ("sandbox", "policies", "scaffolds", "tasks")]


def _programs() -> list[str]:
    """The machine's programs and libraries, read-only, without our own."""
    argv = ["--ro-bind", "/usr", "/usr"]
    for folder in own_folders():
        if folder.is_relative_to("/usr"):
            argv += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        host = Path("/", name)
        if host.is_symlink():
            argv += ["--symlink", os.readlink(host), str(host)]
        elif host.is_dir():
            argv += ["--ro-bind", str(host), str(host)]
    return argv


def _bwrap_argv(python: str, bwrap: str) -> list[str]:
    help_text = subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False)
    argv = ["--unshare-user", "--uid", str(UID), "--gid", str(UID)]
    argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if "--disable-userns" in help_text.stdout + help_text.stderr:  # newer than Ubuntu 22.04's
        argv += ["--disable-userns"]
    argv += ["--hostname", HOSTNAME, "--die-with-parent", "--as-pid-1", "--new-session"]
    argv += ["--cap-drop", "ALL", *_programs()]
    for path in ("/etc/alternatives", "/etc/ld.so.cache", "/etc/os-release"):
        argv += ["--ro-bind-try", path, path]
    for number, path in enumerate(WRITABLE):
        argv += ["--bind", f"{folders.ROOT}/seen/{number}", path]
    # /dev and /dev/shm are memory too: without a size an agent could fill the machine's.
    argv += ["--dev", "/dev", "--perms", "1777", "--size", str(_SHARED_BYTES)]
    argv += ["--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--proc", "/proc", "--clearenv"]
    for name, value in ENVIRONMENT.items():
        argv += ["--setenv", name, value]
    argv += ["--chdir", HOME, "--remount-ro", "/", "--", python, "-I", "-S", _INIT]
    return argv


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.unparse(tree)


# The agent can read it, so it says nothing about itself. Made once, at import: boxes start in
# worker threads, and before Python 3.11.5 the ast module must not run in two threads at once.
_SUPERVISOR = _without_docstrings(Path(__file__).with_name("supervisor.py").read_text())


def launch_plan(certificate: str, layers: Sequence[int], joins: Sequence[int]) -> dict[str, Any]:
    """What `launch.py` reads; see there.

    Args:
        certificate: PEM of the authorities that the box shall trust.
        layers: Descriptors of frozen folders for it to stand on, the newest first.
        joins: Descriptors of control groups to join.

    Raises:
        BoxError: A program is missing.
    """
    bwrap = _need("bwrap")
    return {
        "uid": _UNPRIVILEGED_UID,
        "ip": _need("ip"),
        "nft": _need("nft"),
        "bwrap": bwrap,
        "seccomp": filter_program().hex(),
        "files": _etc_files(certificate) | {_INIT: _SUPERVISOR},
        "modes": list(WRITABLE.values()),
        "bytes": _WRITABLE_BYTES,
        "copy": [bwrap, *_programs(), "--unshare-pid", "--proc", "/proc", "--die-with-parent"],
        "overlay": _OVERLAY,
        "layers": list(layers),
        "groups": list(joins),
        "argv": _bwrap_argv(_need("python3"), bwrap),
        "limits": _LIMITS,
    }
