"""The group `syscalls`: calls that act on the whole machine, or widen what an attack can reach.

Arguments are chosen so that a call that is allowed fails on them, or changes nothing.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import pty
import signal
import struct

from sandbox.certificate.inside.kernel import (
    CLONE_NEWUSER,
    attempt,
    in_child,
    name_of,
    number,
    refused,
    syscall,
)
from sandbox.certificate.inside.namespaces import among_equals
from sandbox.certificate.inside.setup import Outcome, Setup, Table, failed, not_applicable, ok

_ADJ_TICK = 0x4000
_KEEP = {
    # A tick of no microseconds is not valid, but the kernel asks for the capability first.
    "timex": ctypes.create_string_buffer(struct.pack("I", _ADJ_TICK), 256),
    "handle": ctypes.create_string_buffer(struct.pack("Ii8x", 8, 1), 24),
    "log": ctypes.create_string_buffer(16),
    "target": ctypes.create_string_buffer(16),
}
"""Memory that calls below point into; it must live as long as this module."""
_TIMEX, _HANDLE, _LOG, _TARGET = (ctypes.addressof(buffer) for buffer in _KEEP.values())
_THREAD_KEYRING, _SESSION_KEYRING = -1, -3
_AT_FDCWD = -100
_TOO_MANY_SEGMENTS = 17  # kexec takes 16
_SYSLOG_READ_ALL = 3
_TIOCSTI, _TIOCSCTTY = 0x5412, 0x540E
_X32 = 0x40000000
_I386_UNSHARE = 310


def _read_init(setup: Setup) -> Outcome:
    call = number("process_vm_readv")
    if call is None:
        return not_applicable("no number for process_vm_readv on this machine")
    address = _address_of_init()
    local = ctypes.create_string_buffer(struct.pack("QQ", _TARGET, 8), 16)
    remote = ctypes.create_string_buffer(struct.pack("QQ", address, 8), 16)
    pointers = ctypes.addressof(local), ctypes.addressof(remote)
    outcome = attempt(call, 1, pointers[0], 1, pointers[1], 1, 0)
    return among_equals(outcome, "reading process 1's memory")


def _address_of_init() -> int:
    """An address that process 1 has mapped, if that can be seen; else any."""
    try:
        with open("/proc/1/maps") as file:
            return int(file.read(64).partition("-")[0] or "0", 16)
    except OSError:  # not for us to see, as it should be
        return 4096


def _take_descriptor(setup: Setup) -> Outcome:
    find, take = number("pidfd_open"), number("pidfd_getfd")
    if find is None or take is None:
        return not_applicable("no numbers for these calls on this machine")
    pidfd, code = syscall(find, 1, 0)
    if pidfd < 0:
        return ok(name_of(code))
    try:
        outcome = in_child(lambda: attempt(take, pidfd, 0, 0))
    finally:
        os.close(pidfd)
    return among_equals(outcome, "taking process 1's descriptors")


def _type_ahead(setup: Setup) -> Outcome:
    """Typing into a terminal is a way out when the terminal is the host's."""

    def work() -> Outcome:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it comes when the terminal goes
        os.setsid()
        ours, terminal = pty.openpty()
        fcntl.ioctl(terminal, _TIOCSCTTY, 0)
        try:
            fcntl.ioctl(terminal, _TIOCSTI, b"x")
        except OSError as error:
            return ok(name_of(error.errno or 0))
        finally:
            os.close(ours)
        return failed("allowed")

    outcome = in_child(work)
    if outcome[0] == failed("")[0] and not os.isatty(0) and not _has_terminal():
        return not_applicable("allowed, but there is no terminal of the host's to type into")
    return outcome


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:  # no controlling terminal
        return False
    return True


def _other_abi(setup: Setup) -> Outcome:
    """The 32-bit numbers of the same calls are no second door."""
    if platform.machine() != "x86_64":
        return not_applicable(f"no 32-bit calls probed on {platform.machine()}")
    # push rbx; mov eax, 310; mov ebx, flags; int 0x80; pop rbx; ret
    code = b"\x53\xb8" + struct.pack("<I", _I386_UNSHARE)
    code += b"\xbb" + struct.pack("<I", CLONE_NEWUSER) + b"\xcd\x80\x5b\xc3"

    def work() -> Outcome:
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        start = ctypes.addressof(ctypes.c_char.from_buffer(page))
        result = ctypes.CFUNCTYPE(ctypes.c_int)(start)()
        if result >= 0:
            return failed("unshare by its 32-bit number was carried out")
        if name_of(-result) in ("EPERM", "EACCES", "ENOSYS"):
            return ok(name_of(-result))
        return failed(f"let through, to fail with {name_of(-result)}")

    return in_child(work)


def _x32(setup: Setup) -> Outcome:
    call = number("unshare")
    if call is None or platform.machine() != "x86_64":
        return not_applicable(f"no x32 calls on {platform.machine()}")
    return in_child(lambda: attempt(call | _X32, CLONE_NEWUSER))


PROBES: Table = {
    "syscalls.bpf": refused("bpf", 0, 0, 0),
    "syscalls.perf_event_open": refused("perf_event_open", 0, 0, -1, -1, 0),
    "syscalls.userfaultfd": refused("userfaultfd", 1),
    "syscalls.keyctl": refused("keyctl", 0, _SESSION_KEYRING, 0),
    "syscalls.add_key": refused("add_key", b"user", b"x", b"x", 1, _THREAD_KEYRING),
    "syscalls.request_key": refused("request_key", b"user", b"no-such-key", None, 0),
    "syscalls.io_uring_setup": refused("io_uring_setup", 1, 0),
    "syscalls.kexec_load": refused("kexec_load", 0, _TOO_MANY_SEGMENTS, 0, 0),
    "syscalls.kexec_file_load": refused("kexec_file_load", -1, -1, 0, 0, -1),
    "syscalls.init_module": refused("init_module", 0, 0, 0),
    "syscalls.finit_module": refused("finit_module", -1, b"", 0),
    "syscalls.delete_module": refused("delete_module", 0, 0),
    "syscalls.open_by_handle_at": refused("open_by_handle_at", _AT_FDCWD, _HANDLE, 0),
    "syscalls.fanotify_init": refused("fanotify_init", 0, 0),
    "syscalls.syslog": refused("syslog", _SYSLOG_READ_ALL, _LOG, 9),
    "syscalls.swapon": refused("swapon", 0, 0),
    "syscalls.swapoff": refused("swapoff", 0),
    "syscalls.settimeofday": refused("settimeofday", 0, 0),
    "syscalls.adjtimex": refused("adjtimex", _TIMEX),
    "syscalls.clock_adjtime": refused("clock_adjtime", 0, _TIMEX),
    "syscalls.reboot": refused("reboot", 0, 0, 0, 0),
    "syscalls.acct": refused("acct", 1),
    "syscalls.iopl": refused("iopl", 3),
    "syscalls.ioperm": refused("ioperm", 0x80, 1, 1),
    "syscalls.x32_unshare": _x32,
    "syscalls.i386_unshare": _other_abi,
    "syscalls.read_init": _read_init,
    "syscalls.take_descriptors": _take_descriptor,
    "syscalls.type_ahead": _type_ahead,
}
