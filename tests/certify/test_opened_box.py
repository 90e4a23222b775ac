"""Every probe about users, namespaces, calls and sockets fails where its wall is missing.

The openings need no root, but for those that are marked; none has a way to the network.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.certificate.inside import kernel
from sandbox.certificate.inside.setup import Neighbour
from tests.certify import openings

pytestmark = pytest.mark.namespace

# Root of a user namespace of its own: every capability over what the namespace holds.
USER_ROOT = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--uts", "--ipc"]
WITH_AMBIENT = [*USER_ROOT, "setpriv", "--inh-caps=+all", "--ambient-caps=+all"]
WITH_INIT = [*USER_ROOT, "--pid", "--fork", "--mount-proc"]
# What follows is a child, so that its parent is in the same namespaces.
AS_CHILD = openings.shell('"$@"; exit $?')
# Root of this machine, but with a network and mounts of its own.
ROOT = ["unshare", "--net", "--mount", "--propagation", "private"]
PLAIN: list[str] = []
# A terminal of the host's, as somebody who runs a box by hand would leave it.
_TERMINAL = """
import fcntl, os, pty, sys, termios
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
os.setsid()
master, terminal = pty.openpty()
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.set_inheritable(master, True)
os.execvp(sys.argv[1], sys.argv[1:])
"""
TERMINAL = [sys.executable, "-c", _TERMINAL]


NAMESPACE_CALLS = [
    *("ns.new_user", "ns.new_net", "ns.new_mnt", "ns.new_pid", "ns.new_ipc", "ns.new_uts"),
    *("ns.new_cgroup", "ns.new_time", "ns.mount", "ns.remount", "ns.unmount", "ns.new_mount"),
    *("ns.copy_mount", "ns.pivot_root", "ns.chroot", "ns.hostname", "ns.domain"),
]
SOCKETS = {
    "sockets.packet_raw": 17,
    "sockets.packet_datagram": 17,
    "sockets.packet_old": 2,
    "sockets.raw_icmp": 2,
    "sockets.raw_tcp": 2,
    "sockets.raw_any": 2,
    "sockets.raw_icmp6": 10,
    "sockets.vsock": 40,
    "sockets.crypto": 38,
    "sockets.key": 15,
    "sockets.xdp": 44,
    "sockets.bluetooth": 31,
    "sockets.tipc": 30,
    "sockets.smc": 43,
    "sockets.rds": 21,
    "sockets.can": 29,
    "sockets.kcm": 41,
    "sockets.qipcrtr": 42,
    "sockets.nfc": 39,
    "sockets.pppox": 24,
    "sockets.appletalk": 5,
    "sockets.x25": 9,
    "sockets.ieee802154": 36,
    "sockets.phonet": 35,
}
OWN_NAMESPACES = [
    *("ns.own_net", "ns.own_mnt", "ns.own_pid", "ns.own_ipc", "ns.own_uts"),
    *("ns.own_cgroup", "ns.own_user"),
]

OPENED: list[tuple[str, list[str], list[str]]] = [
    ("root of a user namespace", USER_ROOT, NAMESPACE_CALLS),
    (
        "root's identity",
        WITH_AMBIENT,
        [
            *("priv.user", "priv.group", "priv.become_root", "priv.become_group_root"),
            *("priv.capabilities_effective", "priv.capabilities_permitted"),
            *("priv.capabilities_bounding", "priv.capabilities_inheritable"),
            "priv.capabilities_ambient",
        ],
    ),
    (
        "no filter",
        USER_ROOT,
        [
            *("priv.no_new_privileges", "priv.system_call_filter", "ns.clone_user"),
            *("ns.clone3_user", "ns.mount_as_new_root", "syscalls.io_uring_setup"),
            *("syscalls.perf_event_open", "syscalls.userfaultfd", "syscalls.keyctl"),
            *("syscalls.add_key", "syscalls.request_key", "syscalls.i386_unshare"),
        ],
    ),
    (
        "an init with more rights",
        WITH_INIT + AS_CHILD,
        [
            *("ns.trace_init", "ns.memory_of_init", "syscalls.read_init"),
            *("syscalls.take_descriptors", "ns.enter"),
        ],
    ),
    (
        "a network to administer",
        USER_ROOT,
        [
            *("net.change_links", "net.change_addresses", "net.change_routes"),
            *("net.remove_routes", "net.change_neighbours", "net.change_rules"),
            *("net.change_queues", "net.change_by_ioctl", "net.settings"),
            *("sockets.mark", "sockets.transparent", "sockets.tcp_repair"),
            *("sockets.netlink_netfilter", "sockets.netlink_xfrm", "sockets.netlink_uevent"),
            *("sockets.netlink_generic", "sockets.netlink_diagnosis"),
        ],
    ),
    (
        "another interface",
        USER_ROOT + openings.shell('ip link add x type veth && ip link set x up && exec "$@"'),
        ["net.interfaces"],
    ),
    ("the host's users", PLAIN, ["priv.root_of_the_host"]),
    ("the host's processes", PLAIN, ["ns.processes"]),
    ("the host's network, nothing sent", PLAIN, ["sockets.netlink_connector"]),
    ("a terminal", TERMINAL, ["leaks.terminal"]),
    ("no limits", PLAIN, ["resources.memory", "resources.memory_in_all", "resources.processes"]),
    ("setuid programs that count", PLAIN, ["priv.setuid_files"]),
]
OPENED_AS_ROOT: list[tuple[str, list[str], list[str]]] = [
    (
        "every capability",
        ROOT,
        [
            *("syscalls.bpf", "syscalls.open_by_handle_at", "syscalls.fanotify_init"),
            *("syscalls.syslog", "syscalls.swapon", "syscalls.swapoff", "syscalls.settimeofday"),
            *("syscalls.adjtimex", "syscalls.clock_adjtime", "syscalls.reboot", "syscalls.acct"),
            *("priv.become_another_user", "priv.join_groups"),
            *("sockets.netlink_audit", "fs.make_block_device", "fs.make_memory_device"),
            *("resources.priority", "resources.real_time"),
        ],
    ),
    ("a terminal to type into", ROOT + TERMINAL, ["syscalls.type_ahead"]),
    (
        "another user's process",
        ROOT
        + openings.shell(
            'setpriv --reuid=4242 --clear-groups sleep 60 & "$@"; s=$?; kill $!; exit $s'
        ),
        ["ns.signals"],
    ),
    ("another group", ["setpriv", "--groups=0,7"], ["priv.supplementary_groups"]),
    (
        "another root",
        ["unshare", "--pid", "--fork", "--net", "--mount-proc"]
        + openings.shell(
            "d=$(mktemp -d) && mount -t tmpfs none $d && mkdir $d/usr $d/proc && "
            "mount --rbind /usr $d/usr && mount --rbind /proc $d/proc && "
            'for l in bin lib lib64; do ln -s usr/$l $d/$l; done; chroot $d "$@"; s=$?; '
            "umount -l $d; rmdir $d; exit $s"
        ),
        ["ns.root_of_init"],
    ),
]


# Not every kernel is built with these calls, and none should be asked in earnest: what each
# returns where the caller may, the arguments being such that nothing comes of it.
PLAYED_CALLS = {
    "syscalls.kexec_load": errno.EINVAL,
    "syscalls.kexec_file_load": errno.EBADF,
    "syscalls.init_module": errno.EFAULT,
    "syscalls.finit_module": errno.EBADF,
    "syscalls.delete_module": errno.EFAULT,
    "syscalls.iopl": 0,
    "syscalls.ioperm": 0,
    "syscalls.x32_unshare": 0,
}
_X32 = 0x40000000
# Not every root may raise limits: some containers' may not.
LIMITS = {
    "resources.open_files": "getrlimit = lambda which: (1 << 21, 1 << 21)",
    "resources.locked_memory": "getrlimit = lambda which: (-1, -1)",
    "resources.raise_limits": "setrlimit = lambda which, limits: None",
}


def check(prefix: list[str], probes: list[str], **fields: Any) -> None:
    found = openings.run(prefix, probes, openings.told(**fields))
    open_ones = {name for name, probe in found.items() if probe.verdict == "failed"}
    assert open_ones == set(probes), {n: found[n] for n in set(probes) - open_ones}
    assert not [probe for probe in found.values() if "broke" in probe.detail]


@pytest.mark.parametrize(("prefix", "probes"), [o[1:] for o in OPENED], ids=[o[0] for o in OPENED])
def test_the_probes_see_it(prefix: list[str], probes: list[str]) -> None:
    check(prefix, probes)


@pytest.mark.root
@pytest.mark.parametrize(
    ("prefix", "probes"), [o[1:] for o in OPENED_AS_ROOT], ids=[o[0] for o in OPENED_AS_ROOT]
)
def test_the_probes_see_it_as_root(prefix: list[str], probes: list[str]) -> None:
    check(prefix, probes)


@pytest.mark.parametrize("probe", PLAYED_CALLS)
def test_calls_that_a_kernel_carries_out_are_seen(probe: str) -> None:
    name = probe.partition(".")[2]
    number = kernel.number(name.removeprefix("x32_"))
    if number is None:
        pytest.skip(f"there is no such call on {platform.machine()}")
    number |= _X32 if name.startswith("x32_") else 0
    check(openings.answering({number: PLAYED_CALLS[probe]}), [probe])


def test_a_call_whose_caller_is_killed_is_refused_and_hides_no_other() -> None:
    answers = {"reboot": errno.EPERM, "kexec_load": None, "acct": 0, "swapon": errno.EPERM}
    prefix = openings.answering(
        {kernel.number(name) or -1: answer for name, answer in answers.items()}
    )
    found = openings.run(prefix, [f"syscalls.{name}" for name in answers])
    assert {name: (p.verdict, p.detail) for name, p in found.items()} == {
        "syscalls.reboot": ("ok", "EPERM"),
        "syscalls.kexec_load": ("ok", "killed by the filter"),
        "syscalls.acct": ("failed", "it was carried out and returned 0"),
        "syscalls.swapon": ("ok", "EPERM"),
    }


@pytest.mark.parametrize("probe", LIMITS)
def test_limits_that_are_missing_or_can_be_raised_are_seen(probe: str) -> None:
    check(openings.played(f"import resource; resource.{LIMITS[probe]}"), [probe])


@pytest.mark.root
def test_programs_with_capabilities_that_count_are_seen(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("")
    # The attribute's second version: CAP_NET_RAW, permitted and effective.
    os.setxattr(program, "security.capability", bytes.fromhex("0100000200200000") + bytes(12))
    mount = openings.shell(f'mount --bind {tmp_path} /usr/local/sbin && exec "$@"')
    check(ROOT + mount, ["priv.capability_files"])


@pytest.mark.parametrize("probe", SOCKETS)
def test_kinds_of_sockets_that_can_be_made_are_seen(probe: str) -> None:
    """The kernel's own where it has them; else a filter says that they were made."""
    family = SOCKETS[probe]
    command = f"import socket; socket.socket({family}, socket.SOCK_RAW, 1)"
    tried = subprocess.run([*USER_ROOT, sys.executable, "-c", command], capture_output=True)
    missing = b"Address family not supported" in tried.stderr
    check(openings.answering({}, [family]) if missing else USER_ROOT, [probe])


def test_the_harnesss_own_namespaces_are_recognised() -> None:
    own = {path.name: os.readlink(path) for path in Path("/proc/self/ns").iterdir()}
    check(PLAIN, OWN_NAMESPACES, namespaces=own)


def test_sudo_without_a_password_is_seen(tmp_path: Path) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\n")
    sudo.chmod(0o755)
    prefix = ["env", f"PATH={tmp_path}:{openings.PATH}"]
    check(prefix, ["priv.sudo"])


@contextmanager
def listening(name: str) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("\0" + name)
        one.listen()
        yield


def test_abstract_sockets_of_the_host_and_of_neighbours_are_seen() -> None:
    token = secrets.token_hex(16)
    with listening(token):
        check(
            PLAIN,
            ["ns.abstract_sockets", "ns.host_abstract_socket", "ns.neighbour_socket"],
            canary_token=token,
            namespaces={"any": "any"},
            neighbour=Neighbour(token, 1, ()),
        )


def test_processes_of_the_host_and_of_neighbours_are_seen() -> None:
    token = secrets.token_hex(16)
    with subprocess.Popen(["cat", "-", token], stdin=subprocess.PIPE) as process:
        check(
            PLAIN,
            ["ns.host_process", "ns.neighbour_process"],
            canary_process=token,
            neighbour=Neighbour(token, 1, ()),
        )
        process.communicate()


def test_shared_memory_of_the_host_is_seen() -> None:
    libc = ctypes.CDLL(None)
    key = secrets.randbelow(1 << 30) + 1
    segment = libc.shmget(key, 4096, 0o1666)
    try:
        check(PLAIN, ["ns.host_shared_memory"], canary_key=key)
    finally:
        libc.shmctl(segment, 0, None)
