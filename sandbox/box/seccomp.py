"""The box's system-call filter, assembled here because no permissively licensed binding exists.

A deny list on top of bubblewrap's namespaces: calls that make namespaces, mounts, kernel modules,
keys, rings or probes; socket families other than UNIX, IPv4, IPv6 and route netlink (AF_VSOCK is
not confined by a network namespace); raw sockets; and typing into a terminal. Everything else
passes, so that ordinary tools (python, git, curl, openssl) run unchanged.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass

# Classic BPF opcodes (linux/bpf_common.h) and seccomp return values (linux/seccomp.h).
_LOAD, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = _ERRNO | 1, _ERRNO | 38, _ERRNO | 97
# Offsets in struct seccomp_data: the call's number, the architecture, arguments 0..2 (low words).
_NUMBER, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32

# CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_CLONE_NAMESPACES = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_RAW, _NETLINK_ROUTE = 3, 0

# Same number on every architecture that came after the numbering was unified.
_DENIED_COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
_DENIED_X86_64 = {
    "ptrace": 101,
    "syslog": 103,
    "personality": 135,
    "ustat": 136,
    "sysfs": 139,
    "vhangup": 153,
    "modify_ldt": 154,
    "pivot_root": 155,
    "adjtimex": 159,
    "chroot": 161,
    "acct": 163,
    "settimeofday": 164,
    "mount": 165,
    "umount2": 166,
    "swapon": 167,
    "swapoff": 168,
    "reboot": 169,
    "iopl": 172,
    "ioperm": 173,
    "init_module": 175,
    "delete_module": 176,
    "quotactl": 179,
    "lookup_dcookie": 212,
    "clock_settime": 227,
    "mbind": 237,
    "set_mempolicy": 238,
    "get_mempolicy": 239,
    "kexec_load": 246,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "migrate_pages": 256,
    "unshare": 272,
    "move_pages": 279,
    "perf_event_open": 298,
    "fanotify_init": 300,
    "name_to_handle_at": 303,
    "open_by_handle_at": 304,
    "clock_adjtime": 305,
    "setns": 308,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "kcmp": 312,
    "finit_module": 313,
    "kexec_file_load": 320,
    "bpf": 321,
    "userfaultfd": 323,
}
_DENIED_AARCH64 = {
    "lookup_dcookie": 18,
    "umount2": 39,
    "mount": 40,
    "pivot_root": 41,
    "chroot": 51,
    "vhangup": 58,
    "quotactl": 60,
    "acct": 89,
    "personality": 92,
    "unshare": 97,
    "kexec_load": 104,
    "init_module": 105,
    "delete_module": 106,
    "clock_settime": 112,
    "syslog": 116,
    "ptrace": 117,
    "reboot": 142,
    "settimeofday": 170,
    "adjtimex": 171,
    "add_key": 217,
    "request_key": 218,
    "keyctl": 219,
    "swapon": 224,
    "swapoff": 225,
    "mbind": 235,
    "get_mempolicy": 236,
    "set_mempolicy": 237,
    "migrate_pages": 238,
    "move_pages": 239,
    "perf_event_open": 241,
    "fanotify_init": 262,
    "name_to_handle_at": 264,
    "open_by_handle_at": 265,
    "clock_adjtime": 266,
    "setns": 268,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "kcmp": 272,
    "finit_module": 273,
    "bpf": 280,
    "userfaultfd": 282,
    "kexec_file_load": 294,
}


@dataclass(frozen=True)
class _Arch:
    """One architecture's audit number and the numbers of the calls that are examined."""

    audit: int
    denied: dict[str, int]
    clone: int
    ioctl: int
    socket: int
    has_x32: bool


_CLONE3 = 435
_ARCHES = {
    "x86_64": _Arch(0xC000003E, _DENIED_X86_64 | _DENIED_COMMON, 56, 16, 41, True),
    "aarch64": _Arch(0xC00000B7, _DENIED_AARCH64 | _DENIED_COMMON, 220, 29, 198, False),
}


class _Assembler:
    """Instructions with named jump targets; `None` falls through to the next instruction."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, str | None, str | None]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def emit(self, op: int, k: int, yes: str | None = None, no: str | None = None) -> None:
        self._code.append((op, k, yes, no))

    def bytes(self) -> bytes:
        program = bytearray()
        for position, (op, k, yes, no) in enumerate(self._code):
            jumps = []
            for target in (yes, no):
                distance = 0 if target is None else self._labels[target] - position - 1
                if not 0 <= distance <= 255:
                    raise ValueError(f"seccomp: jump to {target} spans {distance} instructions")
                jumps.append(distance)
            program += struct.pack("<HBBI", op, *jumps, k)
        return bytes(program)


def filter_program(machine: str | None = None) -> bytes:
    """Assemble the filter.

    Args:
        machine: `x86_64` or `aarch64`; this machine's when None.

    Returns:
        An array of `struct sock_filter` (8 bytes each), as `bwrap --seccomp` reads it.

    Raises:
        ValueError: for an architecture without a table.
    """
    machine = machine or platform.machine()
    if machine not in _ARCHES:
        raise ValueError(f"no system-call filter for {machine}: use x86_64 or aarch64, or Docker")
    arch = _ARCHES[machine]
    asm = _Assembler()
    asm.emit(_LOAD, _ARCH)
    asm.emit(_JEQ, arch.audit, None, "kill")
    asm.emit(_LOAD, _NUMBER)
    if arch.has_x32:  # the x32 numbers are a second door to the same calls
        asm.emit(_JGE, 0x40000000, "eperm")
    asm.emit(_JEQ, _CLONE3, "enosys")  # its flags lie in memory; libc then falls back to clone
    for number in sorted(arch.denied.values()):
        asm.emit(_JEQ, number, "eperm")
    asm.emit(_JEQ, arch.clone, "clone")
    asm.emit(_JEQ, arch.ioctl, "ioctl")
    asm.emit(_JEQ, arch.socket, "socket", "allow")

    asm.label("clone")
    asm.emit(_LOAD, _ARG0)
    asm.emit(_JSET, _CLONE_NAMESPACES, "eperm", "allow")

    asm.label("ioctl")
    asm.emit(_LOAD, _ARG1)
    asm.emit(_JEQ, _TIOCSTI, "eperm")
    asm.emit(_JEQ, _TIOCLINUX, "eperm", "allow")

    asm.label("socket")
    asm.emit(_LOAD, _ARG0)
    asm.emit(_JEQ, _AF_UNIX, "allow")
    asm.emit(_JEQ, _AF_INET, "internet")
    asm.emit(_JEQ, _AF_INET6, "internet")
    asm.emit(_JEQ, _AF_NETLINK, "netlink", "eafnosupport")
    asm.label("internet")
    asm.emit(_LOAD, _ARG1)
    asm.emit(_AND, 0xF)  # the type without SOCK_NONBLOCK and SOCK_CLOEXEC
    asm.emit(_JEQ, _SOCK_RAW, "eperm", "allow")
    asm.label("netlink")
    asm.emit(_LOAD, _ARG2)
    asm.emit(_JEQ, _NETLINK_ROUTE, "allow", "eperm")

    for label, action in (
        ("allow", _ALLOW),
        ("eperm", _EPERM),
        ("enosys", _ENOSYS),
        ("eafnosupport", _EAFNOSUPPORT),
        ("kill", _KILL),
    ):
        asm.label(label)
        asm.emit(_RET, action)
    return asm.bytes()
