"""Boxes that were opened on purpose: the probes run in them as they do in a cell.

No opening can send a packet anywhere: each has a network namespace of its own, or runs probes only
that send none.
"""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.certificate.findings import Probe, reported
from sandbox.certificate.inside.setup import Setup
from sandbox.certificate.script import COMMAND, script

MARK = "0123456789abcdef"
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
SOCKET = {"x86_64": 41, "aarch64": 198}.get(platform.machine(), -1)
"""The number of the call `socket`."""

# Classic BPF, and what a filter may answer.
_LOAD, _EQUALS, _RETURN, _FIRST_ARGUMENT = 0x20, 0x15, 0x06, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_FILTER = """
import ctypes, os, struct, sys
code = ctypes.create_string_buffer(bytes.fromhex(sys.argv[1]))
program = struct.pack("HxxxxxxQ", (len(code) - 1) // 8, ctypes.addressof(code))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong]
if prctl(38, 1, None, 0, 0) or prctl(22, 2, program, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def told(**fields: Any) -> Setup:
    """A `Setup` of this module's mark."""
    return Setup(MARK, "f" * 32)._replace(**fields)


def run(
    prefix: Sequence[str],
    probes: Collection[str],
    setup: Setup | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    fds: Sequence[int] = (),
    stdin_file: Path | None = None,
) -> dict[str, Probe]:
    """Run some probes behind a command that opens the box.

    Args:
        prefix: A command that runs the command after it.
        probes: Names of the probes to run.
        setup: What to tell them.
        environment: Variables beside PATH.
        fds: Descriptors to leave open.
        stdin_file: Where to put the script, to be a file and not a pipe.
    """
    text = script(setup or told(), probes)
    if stdin_file is not None:
        stdin_file.write_text(text)
    done = subprocess.run(
        [*prefix, *COMMAND],
        input=None if stdin_file else text,
        stdin=stdin_file.open() if stdin_file else None,
        capture_output=True,
        text=True,
        env={"PATH": PATH} | dict(environment or {}),
        pass_fds=fds,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return reported(done.stdout, MARK)


def shell(script: str) -> list[str]:
    """A prefix: a shell script in which `"$@"` is the command that runs the probes."""
    return ["sh", "-c", script, "sh"]


def played(change: str) -> list[str]:
    """A prefix: the box's Python after a change, where the kernel cannot be had to say a thing.

    Args:
        change: Python that is run first, in the process that makes the probes.
    """
    return ["python3", "-I", "-S", "-c", f"import sys\n{change}\nexec(sys.argv[-1])"]


def answering(calls: Mapping[int, int | None], families: Collection[int] = ()) -> list[str]:
    """A prefix: a kernel that has calls and kinds of sockets which this one lacks.

    A system-call filter answers in its stead; the calls are not carried out.

    Args:
        calls: What each call returns: 0, or the errno that it fails with, by its number; with
            None the caller is killed.
        families: Address families of which sockets can be made, it seems.
    """
    program = [(_LOAD, 0, 0, 0)]
    for number, code in calls.items():
        answer = _KILL if code is None else _ERRNO | code
        program += [(_EQUALS, 0, 1, number), (_RETURN, 0, 0, answer)]
    program += [(_EQUALS, 1, 0, SOCKET), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    for family in families:
        program += [(_EQUALS, 0, 1, family), (_RETURN, 0, 0, _ERRNO)]
    program += [(_RETURN, 0, 0, _ALLOW)]
    packed = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    return [sys.executable, "-c", _FILTER, packed.hex()]


def stand_in(
    folder: Path,
    files: Mapping[str, str],
    *,
    folders: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    proc: bool = True,
    options: Sequence[str] = (),
) -> list[str]:
    """A prefix: a box that has no protection beyond a root of its own, with some files in it.

    Args:
        folder: Where to keep the files on the host.
        files: Contents by path in the box; what is there can be written.
        folders: Empty ones to make.
        links: Symbolic links by path.
        proc: Whether there is a /proc; without one, files can stand in for it.
        options: Further ones of bubblewrap.
    """
    bwrap = shutil.which("bwrap", path=PATH)
    assert bwrap, "bubblewrap is not installed: run `make prepare`"
    prefix = [bwrap, "--unshare-user", "--unshare-net", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        host = Path("/", name)
        if host.is_symlink():
            prefix += ["--symlink", str(host.readlink()), str(host)]
    prefix += ["--dir", "/tmp", "--dir", "/home/agent", "--setenv", "HOME", "/home/agent"]
    prefix += ["--proc", "/proc"] if proc else []
    for number, (path, content) in enumerate(files.items()):
        source = folder / f"{number}"
        source.write_text(content)
        prefix += ["--bind", str(source), path]
    for path in folders:
        prefix += ["--dir", path]
    for path, target in (links or {}).items():
        prefix += ["--symlink", target, path]
    return [*prefix, *options]
