"""The group `resources`: a box cannot starve its neighbours or the host."""

from __future__ import annotations

import ctypes
import errno
import glob
import mmap
import os
import resource
import threading
import time

from sandbox.certificate.inside.files import ON_A_DISK, WRITABLE, mounts
from sandbox.certificate.inside.kernel import in_child, name_of
from sandbox.certificate.inside.setup import (
    Outcome,
    Probe,
    Setup,
    Table,
    failed,
    none_of,
    not_applicable,
    ok,
)

_TASKS = 1500
_TIMEOUT = 30.0  # seconds; the tasks end with the process that holds them
_MEMORY = 64 << 30  # bytes that no box needs; asked for, never touched
_ROOM = 2 << 30  # bytes in one folder
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE: takes blocks, leaves the file empty
_LOCKED = 64 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def _processes(setup: Setup) -> Outcome:
    """Start tasks until it is refused; the kernel counts threads as it counts processes."""

    def work() -> Outcome:
        threading.stack_size(1 << 16)
        for count in range(_TASKS):
            try:
                threading.Thread(target=time.sleep, args=(_TIMEOUT,), daemon=True).start()
            except RuntimeError:  # cannot start a new thread
                return ok(f"{count} beside those that run")
        return failed(f"{_TASKS} tasks started")

    return in_child(work)


def _memory_limit() -> int | None:
    """Bytes that the box's control group allows all its processes together."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:  # the other version of control groups, or none
            continue
        # Version 1 says "no limit" with a number that no machine has.
        if text.isdigit() and int(text) < 1 << 50:
            return int(text)
    return None


def _memory(setup: Setup) -> Outcome:
    limit = _memory_limit()
    if limit is not None:
        return ok(f"{limit >> 20} MiB for the box")
    try:
        mmap.mmap(-1, _MEMORY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000).close()
    except OSError as error:
        limit = resource.getrlimit(resource.RLIMIT_AS)[1]
        return ok(f"{limit >> 20} MiB for a process ({name_of(error.errno or 0)})")
    return failed(f"one process gets {_MEMORY >> 30} GiB")


def _memory_in_all(setup: Setup) -> Outcome:
    limit = _memory_limit()
    if limit is not None:
        return ok(f"{limit >> 20} MiB")
    if setup.limits:
        return ok(setup.limits)
    if resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY:
        return failed("no limit of any kind")
    return not_applicable(
        "no control group: each process is limited, and their number, but not their sum"
    )


def _writable(folder: str, mark: str) -> bool:
    path = os.path.join(folder, f".{mark}")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:  # as far as quotas go, that is the best one
        return False
    os.unlink(path)
    return True


def _room(folder: str, mark: str, kind: str) -> bool:
    """Whether a writable folder would take more than `_ROOM` bytes."""
    if kind in ("tmpfs", "devtmpfs"):
        # What the kernel goes by; to fill it would take that much of the host's memory.
        size = os.statvfs(folder)
        return size.f_blocks * size.f_frsize > _ROOM
    path = os.path.join(folder, f".{mark}")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if not _libc.fallocate(fd, _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(_ROOM)):
            return True
        # A limit on the size of one file is none on their number.
        return ctypes.get_errno() not in (errno.ENOSPC, errno.EDQUOT)
    finally:
        os.close(fd)
        os.unlink(path)


def _kind(folder: str) -> str:
    """The kind of file system that a folder is on."""
    at = {mount.path: mount.kind for mount in mounts()}
    while folder not in at:
        folder = os.path.dirname(folder)
    return at[folder]


def _quota(folders: tuple[str, ...]) -> Probe:
    def probe(setup: Setup) -> Outcome:
        endless: list[str] = []
        on_disk: list[str] = []
        limited: list[str] = []
        for folder in filter(os.path.isdir, folders):
            if not _writable(folder, setup.mark):
                continue
            kind = _kind(folder)
            if not _room(folder, setup.mark, kind):
                limited.append(folder)
            else:
                (on_disk if kind in ON_A_DISK else endless).append(folder)
        if endless:
            return none_of(endless, f"folders in memory that take {_ROOM >> 30} GiB")
        if on_disk:
            return not_applicable(
                f"{', '.join(on_disk)}: volumes of the engine without a quota (Inspect refuses "
                "volumes with driver options), so the agent can fill the engine's disk"
            )
        return ok(f"limited: {', '.join(limited)}" if limited else "none is writable")

    return probe


def _core(setup: Setup) -> Outcome:
    limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with open("/proc/sys/kernel/core_pattern") as file:
        pattern = file.read().strip()
    if not pattern.startswith("|"):
        where = f"a crash writes a dump, but among the box's own files ({pattern!r})"
        return not_applicable(where) if limit else ok("none")
    if limit:
        return failed(f"a crash hands a dump to a program of the host's: {pattern}")
    return not_applicable(
        f"the host's own crash handler is started, with the word that no dump is wanted: {pattern}"
    )


def _files(setup: Setup) -> Outcome:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if _memory_limit() is not None:
        return ok("they count as the box's memory, which is limited")
    endless = limit == resource.RLIM_INFINITY or limit > 1 << 20
    return failed(f"{limit} open files") if endless else ok(f"{limit} for a process")


def _locked(setup: Setup) -> Outcome:
    if _memory_limit() is not None:
        return ok("it counts as the box's memory, which is limited")
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    small = limit != resource.RLIM_INFINITY and limit <= _LOCKED
    return ok(f"{limit >> 10} KiB") if small else failed("memory can be locked without limit")


def _refused(change: str) -> Probe:
    def attempt() -> Outcome:
        try:
            if change == "limits":
                soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard + 4096))
            elif change == "priority":
                os.setpriority(os.PRIO_PROCESS, 0, -5)
            elif change == "real time":
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            else:
                with open("/proc/self/oom_score_adj", "r+") as file:
                    score = int(file.read())
                    file.seek(0)
                    file.write(str(max(-1000, score - 500)))
        except (OSError, ValueError) as error:
            code = getattr(error, "errno", None)
            return ok(name_of(code) if code else str(error))
        return failed("allowed")

    return lambda setup: in_child(attempt)


def _endless_mounts(setup: Setup) -> Outcome:
    found = [f"{m.path} ({m.kind})" for m in mounts() if m.kind in ("ramfs", "hugetlbfs")]
    return none_of(
        [path for path in found if os.access(path.split()[0], os.W_OK)], "endless mounts"
    )


def _own_limits(setup: Setup) -> Outcome:
    """The box's own limits cannot be lifted from inside."""
    names = ("memory.max", "pids.max", "memory/memory.limit_in_bytes", "pids/pids.max")
    paths = [path for name in names for path in glob.glob(f"/sys/fs/cgroup/{name}")]
    found = []
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:  # as it should be
            continue
        found.append(path)
    return none_of(found, "limits that can be written")


PROBES: Table = {
    "resources.processes": _processes,
    "resources.memory": _memory,
    "resources.memory_in_all": _memory_in_all,
    "resources.disk": _quota(tuple(f for f in WRITABLE if f != "/dev/shm")),
    "resources.shared_memory": _quota(("/dev/shm", "/dev", "/run", "/run/lock")),
    "resources.endless_mounts": _endless_mounts,
    "resources.core_dumps": _core,
    "resources.open_files": _files,
    "resources.locked_memory": _locked,
    "resources.control_group": _own_limits,
    "resources.raise_limits": _refused("limits"),
    "resources.priority": _refused("priority"),
    "resources.real_time": _refused("real time"),
    "resources.out_of_memory_score": _refused("score"),
}
