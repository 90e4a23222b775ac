"""The group `fs`, first half: what can be written, and what of the host's files is there."""

from __future__ import annotations

import glob
import os
import stat
from typing import NamedTuple

from sandbox.certificate.inside.kernel import name_of, open_refused
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

WRITABLE = ("/home/agent", "/srv", "/tmp", "/var/tmp", "/dev/shm")
"""Where the agent may write, as far as the folder exists."""

ON_A_DISK = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay"}
"""File systems that hold what is written on some disk."""

_FROM_THE_HOST = {"9p", "virtiofs", "nfs", "nfs4", "cifs", "vboxsf", "ecryptfs"}
_KERNEL_FILES = {"debugfs", "tracefs", "securityfs", "efivarfs", "bpf", "configfs", "pstore"}
_ENGINES = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/buildkit/buildkitd.sock",
    "/run/user/*/docker.sock",
    "/run/user/*/podman/podman.sock",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/run/systemd/private",
    "/run/dbus/system_bus_socket",
)
_SOCKETS = ("/run", "/var", "/tmp", "/srv", "/home", "/mnt", "/opt", "/dev", "/root")
_IPC_SETTINGS = (
    "auto_msgmni",
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
)
_WALK = 20_000  # entries looked at, so that a box with a large tree does not take for ever


class Mount(NamedTuple):
    """One line of `/proc/self/mountinfo`."""

    root: str
    path: str
    writable: bool
    kind: str
    source: str


def mounts() -> list[Mount]:
    """Every mount in the box."""
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            left, _, right = line.rstrip().partition(" - ")
            fields, (kind, source, options) = left.split(), right.split(" ", 2)
            flags = fields[5].split(",") + options.split(",")
            found.append(Mount(fields[3], fields[4], "ro" not in flags, kind, source))
    return found


def walk(*tops: str) -> list[str]:
    """Paths of everything under some folders, some thousands at most."""
    found: list[str] = []
    for top in tops:
        for root, folders, names in os.walk(top):
            found += [os.path.join(root, name) for name in (*folders, *names)]
            if len(found) > _WALK:
                return found
    return found


def _cannot_create_in(*folders: str) -> Probe:
    def probe(setup: Setup) -> Outcome:
        written = []
        for folder in filter(os.path.isdir, folders):
            path = os.path.join(folder, f".{setup.mark}")
            if open_refused(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) is None:
                os.unlink(path)
                written.append(folder)
        return none_of(written, "writable system folders")

    return probe


def _cannot_write(*patterns: str) -> Probe:
    """A probe: what matches the patterns cannot be opened for writing (nothing is written)."""

    def probe(setup: Setup) -> Outcome:
        paths = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
        opened = [path for path in paths if open_refused(path, os.O_WRONLY) is None]
        return none_of(opened, "writable files") if paths else ok("not there")

    return probe


def _accounts(setup: Setup) -> Outcome:
    paths = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/sudoers", "/etc/ld.so.preload"]
    paths += ["/etc/ld.so.cache", "/etc/crontab", "/etc/hosts", "/etc/resolv.conf"]
    there = [path for path in paths if os.path.exists(path)]
    return none_of([p for p in there if open_refused(p, os.O_WRONLY) is None], "writable files")


def _proc_settings(setup: Setup) -> Outcome:
    files = [path for path in walk("/proc/sys") if os.path.isfile(path)]
    opened = [p for p in files if os.access(p, os.W_OK) and open_refused(p, os.O_WRONLY) is None]
    own = {path for kind, path in _settings_of_namespaces() if _is_own(setup, kind)}
    others = [path for path in opened if path not in own]
    if opened and not others:
        return ok(f"{len(opened)}, all of the box's own namespaces")
    return none_of(others, "writable kernel settings")


def _settings_of_namespaces() -> list[tuple[str, str]]:
    """Kinds of namespaces with the settings that belong to one alone."""
    found = [("ipc", path) for path in glob.glob("/proc/sys/fs/mqueue/*")]
    found += [("ipc", f"/proc/sys/kernel/{name}") for name in _IPC_SETTINGS]
    return found + [("pid", f"/proc/sys/kernel/{name}") for name in ("ns_last_pid", "pid_max")]


def _is_own(setup: Setup, kind: str) -> bool:
    theirs = setup.namespaces.get(kind)
    return theirs is not None and os.readlink(f"/proc/self/ns/{kind}") != theirs


def _sys_files(setup: Setup) -> Outcome:
    files = [path for path in walk("/sys") if os.path.isfile(path)]
    opened = [p for p in files if os.access(p, os.W_OK) and open_refused(p, os.O_WRONLY) is None]
    return none_of(opened, "writable files in /sys")


def _cgroups(setup: Setup) -> Outcome:
    made = []
    for folder in ("/sys/fs/cgroup", *sorted(glob.glob("/sys/fs/cgroup/*/"))):
        path = os.path.join(folder, setup.mark)
        try:
            os.mkdir(path)
        except OSError:  # as it should be
            continue
        os.rmdir(path)
        made.append(folder)
    return none_of(made, "cgroups that can be divided")


def _disk_mounts(setup: Setup) -> Outcome:
    """Writable mounts of a disk are the box's own writable folders and nothing else."""
    found: list[str] = []
    own: list[str] = []
    for mount in mounts():
        if not mount.writable or mount.kind not in ON_A_DISK or not os.access(mount.path, os.W_OK):
            continue
        (own if mount.path in WRITABLE else found).append(f"{mount.root} at {mount.path}")
    if found:
        return none_of(found, "writable mounts of the host's disk")
    return ok(f"{len(own)} volumes of the box's own" if own else "none writable")


def _one_owner(setup: Setup) -> Outcome:
    """The box's volumes belong to one project: a shared one would have another name."""
    # A fork's folders are overlays in memory: their upper layer cannot be in use elsewhere, too.
    kinds = ON_A_DISK - {"overlay"}
    roots = [m.root for m in mounts() if m.kind in kinds and m.path in WRITABLE]
    if not roots:
        return ok("every writable folder is in memory")
    prefixes = {root.rpartition("/_data")[0].rpartition("_")[0] for root in roots}
    if len(prefixes) != 1 or "" in prefixes:
        return failed(f"volumes of different owners: {', '.join(sorted(roots))}")
    return ok(f"{len(roots)} volumes of one project")


def _shared_mounts(setup: Setup) -> Outcome:
    kinds = _FROM_THE_HOST
    found = [
        f"{m.kind} at {m.path}" for m in mounts() if m.kind in kinds or m.kind.startswith("fuse")
    ]
    return none_of(found, "mounts of the host's or the network's files")


def _kernel_mounts(setup: Setup) -> Outcome:
    found = [f"{m.kind} at {m.path}" for m in mounts() if m.kind in _KERNEL_FILES]
    readable = [
        path
        for path in ("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/firmware/efi/efivars")
        if os.path.isdir(path) and os.access(path, os.R_OK) and os.listdir(path)
    ]
    return none_of(found + readable, "kernel file systems")


def _engine_socket(setup: Setup) -> Outcome:
    found = [path for pattern in _ENGINES for path in glob.glob(pattern)]
    return none_of(found, "sockets of engines and services")


def _unix_sockets(setup: Setup) -> Outcome:
    found = []
    for path in walk(*_SOCKETS):
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                found.append(path)
        except OSError as error:  # gone meanwhile, or not for us to see
            if error.errno is None:
                raise
    return none_of(found, "sockets")


def _canary_file(setup: Setup) -> Outcome:
    if not setup.canary_file:
        return not_applicable("no canary on the host")
    for root in ("", "/proc/1/root", "/proc/self/root", "/host", "/mnt", "/rootfs"):
        path = root + setup.canary_file
        if open_refused(path) is None:
            return failed(f"the host's own file is at {path}")
    return ok("the host's own file is not there")


def _gateway_files(setup: Setup) -> Outcome:
    found = [path for path in ("/capture", "/ca") if os.path.lexists(path)]
    return none_of(found, "folders of the gateway's")


def _private_keys(setup: Setup) -> Outcome:
    found = []
    for path in walk("/etc/ssl", "/usr/local/share/ca-certificates", "/run", "/etc/pki"):
        if path.endswith((".key", ".pem")) and open_refused(path) is None:
            with open(path, "rb") as file:
                if b"PRIVATE KEY" in file.read(1 << 16):
                    found.append(path)
    return none_of(found, "private keys")


def _outside_root(setup: Setup) -> Outcome:
    """`..` of the root is the root, and no descriptor leads out of it."""
    root, above = os.stat("/"), os.stat("/../..")
    if (root.st_dev, root.st_ino) != (above.st_dev, above.st_ino):
        return failed("/.. leads somewhere else")
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            is_folder = stat.S_ISDIR(os.stat(int(fd)).st_mode)
        except OSError as error:  # the listing's own descriptor, closed by now
            if name_of(error.errno or 0) != "EBADF":
                raise
            continue
        if is_folder:
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return none_of(found, "open folders of another root")


def _neighbour(setup: Setup) -> Outcome:
    if setup.neighbour is None:
        return not_applicable("no other sample's box to look for")
    token = setup.neighbour.token
    found = [path for path in walk(*WRITABLE) if token in path]
    return none_of(found, "files of another sample's box")


PROBES: Table = {
    "fs.root_folder": _cannot_create_in("/"),
    "fs.etc": _cannot_create_in("/etc", "/etc/ssl", "/etc/ssl/certs"),
    "fs.usr": _cannot_create_in("/usr", "/usr/bin", "/usr/lib", "/usr/local", "/usr/local/bin"),
    "fs.var": _cannot_create_in("/var", "/var/lib", "/run", "/opt", "/mnt", "/root", "/boot"),
    "fs.accounts": _accounts,
    "fs.core_pattern": _cannot_write("/proc/sys/kernel/core_pattern"),
    "fs.modprobe": _cannot_write("/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug"),
    "fs.binfmt": _cannot_write("/proc/sys/fs/binfmt_misc/*"),
    "fs.sysrq": _cannot_write("/proc/sysrq-trigger", "/proc/sys/kernel/sysrq"),
    "fs.kernel_settings": _proc_settings,
    "fs.uevent_helper": _cannot_write("/sys/kernel/uevent_helper", "/sys/kernel/uevent_seqnum"),
    "fs.release_agent": _cannot_write("/sys/fs/cgroup/release_agent", "/sys/fs/cgroup/*/release_*"),
    "fs.sys": _sys_files,
    "fs.cgroups": _cgroups,
    "fs.disk_mounts": _disk_mounts,
    "fs.volumes_of_one_owner": _one_owner,
    "fs.shared_mounts": _shared_mounts,
    "fs.kernel_mounts": _kernel_mounts,
    "fs.engine_sockets": _engine_socket,
    "fs.unix_sockets": _unix_sockets,
    "fs.host_file": _canary_file,
    "fs.gateway_files": _gateway_files,
    "fs.private_keys": _private_keys,
    "fs.outside_the_root": _outside_root,
    "fs.neighbour_files": _neighbour,
}
