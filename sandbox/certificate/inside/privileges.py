"""The group `priv`: who the agent is, and that it cannot become anybody else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator

from sandbox.certificate.inside.kernel import in_child, name_of, status
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

_PROGRAMS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec")
_LIBRARIES = "/usr/lib"  # helpers such as dbus' and polkit's lie two levels down
_NO_SUID = 2  # ST_NOSUID
_SUDO = {"sudo": ["-n", "true"], "doas": ["-n", "true"]}


def _user(setup: Setup) -> Outcome:
    ids = os.getresuid()
    return failed(f"root: {ids}") if 0 in ids else ok(f"user {ids[0]}")


def _group(setup: Setup) -> Outcome:
    ids = os.getresgid()
    return failed(f"group root: {ids}") if 0 in ids else ok(f"group {ids[0]}")


def _groups(setup: Setup) -> Outcome:
    # 65534 is what a group without a mapping shows as; the user's own group gives nothing.
    extra = sorted(set(os.getgroups()) - {os.getgid(), 65534})
    return none_of([str(group) for group in extra], "supplementary groups")


def _capabilities(name: str) -> Probe:
    def probe(setup: Setup) -> Outcome:
        held = status()[name]
        return failed(f"{name} is {held}") if int(held, 16) else ok("none")

    return probe


def _no_new_privileges(setup: Setup) -> Outcome:
    return ok("set") if status().get("NoNewPrivs") == "1" else failed("not set")


def _filter(setup: Setup) -> Outcome:
    return ok("on") if status().get("Seccomp") == "2" else failed("no system-call filter")


def _host_root(setup: Setup) -> Outcome:
    with open("/proc/self/uid_map") as file:
        lines = [tuple(map(int, line.split())) for line in file]
    if lines != [(0, 0, 4294967295)]:
        return ok(f"mapped: {lines}")
    here = status()
    if os.getuid() == 0 or int(here["CapBnd"], 16) or here.get("NoNewPrivs") != "1":
        return failed("users are the host's own, and root can be had")
    return not_applicable(
        "the engine maps no users (userns-remap): root in the box would be the host's root, "
        "but nothing here can become root"
    )


def _become_root(setup: Setup) -> Outcome:
    return in_child(lambda: _refused_change(os.setresuid, 0, 0, 0))


def _become_group_root(setup: Setup) -> Outcome:
    return in_child(lambda: _refused_change(os.setresgid, 0, 0, 0))


def _join_groups(setup: Setup) -> Outcome:
    return in_child(lambda: _refused_change(os.setgroups, [0]))


def _become_somebody(setup: Setup) -> Outcome:
    return in_child(lambda: _refused_change(os.setresuid, 4242, 4242, 4242))


def _refused_change(change: object, *arguments: object) -> Outcome:
    try:
        change(*arguments)  # type: ignore[operator]
    except OSError as error:
        return ok(name_of(error.errno or 0))
    return failed("allowed")


def _executables() -> Iterator[str]:
    for folder in _PROGRAMS:
        for root, _, names in os.walk(folder):
            yield from (os.path.join(root, name) for name in names)
    for root, folders, names in os.walk(_LIBRARIES):
        if root.count("/") - _LIBRARIES.count("/") >= 2:
            folders.clear()
        yield from (os.path.join(root, name) for name in names if ".so" not in name)


def _inert(found: list[str], what: str) -> Outcome:
    """Judge files that raise privileges: none, or none that the kernel would heed."""
    if not found:
        return ok(f"no {what}")
    heeded = [path for path in found if not os.statvfs(path).f_flag & _NO_SUID]
    if not heeded:
        return ok(f"{len(found)} {what}, all on nosuid mounts")
    if status().get("NoNewPrivs") == "1":
        return ok(f"{len(found)} {what}, without effect under no_new_privs")
    return none_of(heeded, what)


def _set_id_files(setup: Setup) -> Outcome:
    found = []
    for path in _executables():
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
            found.append(path)
    return _inert(found, "setuid or setgid files")


def _capability_files(setup: Setup) -> Outcome:
    found = []
    for path in _executables():
        try:
            os.getxattr(path, "security.capability", follow_symlinks=False)
        except OSError:  # no such attribute, or none that may be seen
            continue
        found.append(path)
    return _inert(found, "files with capabilities")


def _sudo(setup: Setup) -> Outcome:
    there = [name for name in _SUDO if shutil.which(name)]
    for name in there:
        done = subprocess.run([name, *_SUDO[name]], capture_output=True, timeout=10, check=False)
        if done.returncode == 0:
            return failed(f"{name} works without a password")
    return ok(f"{' and '.join(there)} refused" if there else "not installed")


PROBES: Table = {
    "priv.user": _user,
    "priv.group": _group,
    "priv.supplementary_groups": _groups,
    "priv.capabilities_effective": _capabilities("CapEff"),
    "priv.capabilities_permitted": _capabilities("CapPrm"),
    "priv.capabilities_bounding": _capabilities("CapBnd"),
    "priv.capabilities_inheritable": _capabilities("CapInh"),
    "priv.capabilities_ambient": _capabilities("CapAmb"),
    "priv.no_new_privileges": _no_new_privileges,
    "priv.system_call_filter": _filter,
    "priv.root_of_the_host": _host_root,
    "priv.become_root": _become_root,
    "priv.become_group_root": _become_group_root,
    "priv.become_another_user": _become_somebody,
    "priv.join_groups": _join_groups,
    "priv.setuid_files": _set_id_files,
    "priv.capability_files": _capability_files,
    "priv.sudo": _sudo,
}
