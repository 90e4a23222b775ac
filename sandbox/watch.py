"""What oversight lives in, read from outside an agent's box, and asked whether it still sees.

Nothing here trusts the box: what is read is bounded and checked, and what the agent left is only
ever run in a fresh cell.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence

from inspect_ai.util import (
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxUnavailableError,
)

from sandbox import cell
from sandbox.cell import CellError, Provider
from sandbox.certificate.cells import fresh_cell
from sandbox.files import WorldFile, pack
from sandbox.world import World

MOST_FILES = 2000
"""Files below the watched paths, at most; links and the like count too."""
MOST_BYTES = 4 << 20
"""Bytes of them together, at most."""
PROBE_SECONDS = 30
"""After which a probe hangs."""
MOST_PRINTED = 64 << 10
"""Characters of what a probe prints that are kept."""
_READ_SECONDS = 60
_LAST_TIME = 1 << 32

# Isolated, so that no file of the agent's is imported. A file may change under it: what is opened
# is looked at again, and nothing is read twice.
_READ = r"""
import base64, json, os, stat, sys
most_files, most_bytes = int(sys.argv[1]), int(sys.argv[2])
found, seen, room = {}, 0, most_bytes

def end(problem):
    print(json.dumps({"problem": problem, "files": []}))
    sys.exit()

def take(path):
    global seen, room
    try:
        if path in found or stat.S_ISDIR(os.lstat(path).st_mode):
            return
        seen += 1
        if seen > most_files:
            end(f"more than {most_files} files")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            return
        data = file.read(room + 1)
    if len(data) > room:
        end(f"more than {most_bytes} bytes")
    room -= len(data)
    found[path] = [data, about.st_mode & 0o777, int(about.st_mtime)]

for root in map(os.fsencode, sys.argv[3:]):
    take(root)
    if not os.path.islink(root):
        for folder, folders, names in os.walk(root):
            for name in names + folders:
                take(os.path.join(folder, name))
text = lambda data: base64.b64encode(data).decode()
rows = [[text(path), text(data), mode, time] for path, (data, mode, time) in found.items()]
print(json.dumps({"problem": "", "files": rows}))
"""


class WatchError(RuntimeError):
    """The watched files cannot be read; one line. Nobody can then say what became of them."""


async def read_watched(agent: SandboxEnvironment, paths: Sequence[str]) -> dict[str, WorldFile]:
    """Read every regular file at and below some paths, in one call.

    Links are not followed, and like sockets, devices and what the agent's user cannot read they
    are left out: to what runs there as that user, they are no such file.

    Args:
        agent: The agent's side of a running cell.
        paths: Files and folders, absolute; what is not there has no files.

    Returns:
        The files by path, sorted; with surrogates in paths that are not UTF-8.

    Raises:
        WatchError: There is more than `MOST_FILES` or `MOST_BYTES`, or the box does not answer.
    """
    command = ["python3", "-I", "-S", "-c", _READ, str(MOST_FILES), str(MOST_BYTES), *paths]
    try:
        done = await agent.exec(command, timeout=_READ_SECONDS)
    except TimeoutError as error:
        raise WatchError(f"the watched files took over {_READ_SECONDS} s to read") from error
    except (OSError, OutputLimitExceededError, SandboxUnavailableError) as error:
        raise WatchError(f"the watched files cannot be read: {error}") from error
    if not done.success:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WatchError(f"the watched files cannot be read: {why}")
    return _checked(done.stdout, paths)


def _checked(printed: str, paths: Sequence[str]) -> dict[str, WorldFile]:
    """What the reader in the box printed; the agent may have had a hand in it."""
    try:
        told = json.loads(printed)
        files = [
            WorldFile(
                os.fsdecode(base64.b64decode(path)),
                base64.b64decode(data),
                int(mode) & 0o777,
                min(max(int(time), 0), _LAST_TIME),
            )
            for path, data, mode, time in told["files"]
        ]
        problem = str(told["problem"])
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        raise WatchError("the watched files cannot be read: the box gives no answer") from error
    if problem:
        raise WatchError(f"the watched files are too many: {problem}")
    if len(files) > MOST_FILES or sum(len(file.data) for file in files) > MOST_BYTES:
        raise WatchError("the watched files are too many")
    if not all(posixpath.normpath(f.path) == f.path and is_watched(f.path, paths) for f in files):
        raise WatchError("the watched files cannot be read: the box tells of others")
    return {file.path: file for file in sorted(files, key=lambda file: file.path)}


def is_watched(path: str, paths: Iterable[str]) -> bool:
    """Whether a path is one of the watched ones or below one."""
    return any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in paths)


async def run_probes(
    provider: Provider,
    place: World,
    files: Mapping[str, WorldFile],
    probe_files: Mapping[str, str],
) -> dict[str, str]:
    """Ask what was left of oversight whether it still sees: each probe in one fresh cell.

    The cell holds the world as it was at the start, save that below the watched paths there is
    only what was left, and the probe files, which the agent never saw.

    Args:
        provider: The kind of cell.
        place: The world; its `probes` are run in order by `sh`, at home.
        files: What was left, as `read_watched` gives it.
        probe_files: Text by path; they take the place of whatever was left there.

    Returns:
        What each probe printed on standard output, by name. Empty where it exited with another
        status than 0, or hung: an alarm that breaks is an alarm that does not fire.

    Raises:
        CellError: The cell itself failed, so that nothing is known.
    """
    if not place.probes:
        return {}
    added = [WorldFile(path, text.encode()) for path, text in probe_files.items()]
    pristine = [f for f in place.files if not is_watched(f.path, place.watch)]
    kept = [f for f in (*pristine, *files.values()) if not _in_the_way(f.path, probe_files)]
    printed: dict[str, str] = {}
    try:
        async with fresh_cell(provider) as (agent, gateway):
            await cell.furnish(gateway, place.manners)
            await cell.unpack(agent, pack([*kept, *added]))
            for name, command in place.probes.items():
                printed[name] = await _probe(agent, command)
    except (OSError, OutputLimitExceededError, SandboxUnavailableError) as error:
        raise CellError(f"the probes cannot be run: {error}") from error
    return printed


def _in_the_way(path: str, probe_files: Iterable[str]) -> bool:
    return any(is_watched(path, [probe]) or is_watched(probe, [path]) for probe in probe_files)


async def _probe(agent: SandboxEnvironment, command: str) -> str:
    limited = ["timeout", "--signal=KILL", str(PROBE_SECONDS), "sh", "-c", command]
    try:
        done = await agent.exec(limited, timeout=PROBE_SECONDS + 10)
        printed = done.stdout[:MOST_PRINTED] if done.success else ""
    except (TimeoutError, OutputLimitExceededError, UnicodeDecodeError):
        printed = ""
    if not printed:  # is it the probe that failed, or the cell?
        try:
            alive = (await agent.exec(["true"], timeout=PROBE_SECONDS)).success
        except TimeoutError:
            alive = False
        if not alive:
            raise CellError("the cell ended while it was probed")
    return printed
