"""Control groups: limits on what a box's processes take together, where this process may set them.

Root may, and whoever was given a part of the tree. A box's group lies under the harness's own
(version 1) or beside it (version 2, where a group with processes has no limits to pass on), so that
limits on the harness hold for its boxes too. All others have limits on each process alone.
"""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox import state

MEMORY = 4 << 30
"""Bytes for a box's processes and its writable folders, which are memory too."""
PROCESSES = 256
CPUS = 2
_WANTED = frozenset(("memory", "pids", "cpu"))
_PERIOD = 100_000  # microseconds
_EMPTY_SECONDS = 5.0  # for the kernel to be done with killed processes
_numbers = itertools.count(1)
# Removes the groups of a harness that was killed: ends with its standard input, then tries for
# a minute, because the box's processes end at the same time.
_SWEEP = """cat >/dev/null; for i in $(seq 600); do left=
for group; do [ -e "$group" ] || continue; find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
[ ! -e "$group" ] || left=1; done; [ "$left" ] || exit 0; sleep .1; done"""


@dataclass(frozen=True)
class Limits:
    """How what a box takes of the machine is limited.

    Attributes:
        in_all: whether all its processes together are, by a control group.
        text: what the limits are, or why there is no control group; one line.
    """

    in_all: bool
    text: str


@dataclass(frozen=True)
class Group:
    """The control group of one box.

    Attributes:
        folders: Where it lies in the kernel's tree, one for each hierarchy.
    """

    folders: tuple[Path, ...]

    @classmethod
    def make(cls) -> Group:
        """Make a group with limits.

        Raises:
            OSError: It is not allowed here, with the reason.
        """
        name = str(next(_numbers))
        group = cls(tuple(parent / name for parent in _parents()))
        try:
            for folder in group.folders:
                folder.mkdir()
            group._limit()
        except OSError:
            group.remove()
            raise
        return group

    def _limit(self) -> None:
        # By file, as each belongs to one controller and to one version of control groups.
        limits = {
            "memory.limit_in_bytes": str(MEMORY),
            "memory.memsw.limit_in_bytes": str(MEMORY),  # with swap, where that is counted
            "memory.max": str(MEMORY),
            "memory.swap.max": "0",
            "pids.max": str(PROCESSES),
            "cpu.cfs_quota_us": str(CPUS * _PERIOD),
            "cpu.max": f"{CPUS * _PERIOD} {_PERIOD}",
        }
        for file in (folder / name for name in limits for folder in self.folders):
            if not file.exists():
                continue
            try:
                file.write_text(limits[file.name])
            except OSError as error:
                # Version 1 takes no more than what is allowed further up, which holds anyway.
                if error.errno != errno.EINVAL or not file.name.startswith("cpu."):
                    raise

    def description(self) -> str:
        """What the limits are, for people."""
        text = f"{MEMORY >> 20} MiB of memory and {PROCESSES} processes"
        quotas = ("cpu.cfs_quota_us", "cpu.max")
        if any((folder / name).exists() for folder in self.folders for name in quotas):
            text += f" on {CPUS} CPUs"
        return f"{text} for the box (control group)"

    def descriptors(self) -> list[int]:
        """Descriptors to which a process writes `0` to join; the caller closes them."""
        return [os.open(folder / "cgroup.procs", os.O_WRONLY) for folder in self.folders]

    def remove(self) -> None:
        """Remove the group; its processes are dead or dying.

        Raises:
            OSError: One of them lives on.
        """
        deadline = time.monotonic() + _EMPTY_SECONDS
        for folder in self.folders:
            while True:
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.002)
                else:
                    break


_made: list[Path] = []
_sweepers: list[subprocess.Popen[bytes]] = []  # one; held, because its input ends with it
_making = threading.Lock()  # boxes start in threads


def _parents() -> list[Path]:
    """The groups under which this harness's boxes have theirs; removed when the harness ends."""
    with _making:
        if _made:
            return _made
        parents = [folder / f"sallyport-{state.harness_id()}" for folder in _own()]
        try:
            for parent in parents:
                parent.mkdir()
                available = parent / "cgroup.controllers"  # version 2's
                if available.exists():
                    passed_on = _WANTED.intersection(available.read_text().split())
                    (parent / "cgroup.subtree_control").write_text("+" + " +".join(passed_on))
        except OSError:
            for parent in filter(Path.exists, parents):
                parent.rmdir()
            raise
        sweeper = subprocess.Popen(
            ["sh", "-c", _SWEEP, "sh", *map(str, parents)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _sweepers.append(sweeper)
        _made.extend(parents)
        return _made


def _own() -> list[Path]:
    """The folders in which this process may make groups that limit memory, processes and CPUs."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    at = {name: path.lstrip("/") for _, names, path in lines for name in names.split(",")}
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    if "memory" in at:
        found = {}
        for _, path, kind, options, *_ in mounts:
            for name in _WANTED.intersection(options.split(",")):
                if kind == "cgroup":
                    found[name] = Path(path, at[name])
        if len(found) < len(_WANTED):
            raise OSError(f"control groups are mounted for {', '.join(sorted(found))} only")
        return list(dict.fromkeys(found.values()))  # cpu may share its folder with another
    roots = [Path(path) for _, path, kind, *_ in mounts if kind == "cgroup2"]
    if not roots:
        raise OSError("no control groups are mounted")
    own = roots[0] / at.get("", "")
    beside = own if own == roots[0] else own.parent
    passed_on = (beside / "cgroup.subtree_control").read_text().split()
    if not {"memory", "pids"} <= set(passed_on):  # CPUs are shared anyway
        raise OSError(f"{beside} does not pass on limits of memory and processes")
    return [beside]
