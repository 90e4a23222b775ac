"""System calls, and attempts made in a child so that their effect ends with it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import resource
from collections.abc import Callable, Mapping

from sandbox.certificate.inside.setup import OK, Outcome, Probe, Setup, failed, not_applicable, ok

Work = Callable[[], Outcome]

CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP = 0x80, 0x20000, 0x2000000
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER = 0x4000000, 0x8000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Numbers on x86_64 and aarch64; None where there is no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_SIGSYS = 31
# How a kernel, or the filter before it, says no to the caller rather than to the arguments.
_REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOSYS}


def number(name: str) -> int | None:
    """The call's number on this machine; None when there is none, or no table for it."""
    column = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
    return None if column is None else _NUMBERS[name][column]


def syscall(number: int, *arguments: int | bytes | None) -> tuple[int, int]:
    """A raw system call: its result (-1 when it failed) and its errno (0 when it did not)."""
    ctypes.set_errno(0)
    typed = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *typed))
    return result, ctypes.get_errno() if result < 0 else 0


def name_of(code: int) -> str:
    """An errno's name."""
    return errno.errorcode.get(code, str(code))


def in_child(work: Callable[[], Outcome]) -> Outcome:
    """Do the work in a child process; a child that the filter kills was refused."""
    return in_children({"": work})[""]


def in_children(works: Mapping[str, Work]) -> dict[str, Outcome]:
    """Do each piece of work in a child process, in the last one's while that is unchanged.

    What was refused has changed nothing. A child in which something was not ends, and so does one
    that the filter kills; the next goes on from there.
    """
    outcomes: dict[str, Outcome] = {}
    left = list(works)
    while left:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _work([works[name] for name in left], write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            said = [json.loads(line) for line in pipe]
        _, status = os.waitpid(pid, 0)
        outcomes |= {name: (one[0], one[1]) for name, one in zip(left, said, strict=False)}
        del left[: len(said)]
        if os.WIFSIGNALED(status) and left:
            number = os.WTERMSIG(status)
            killed = ok("killed by the filter") if number == _SIGSYS else failed(f"signal {number}")
            outcomes[left.pop(0)] = killed
        elif not said:  # it ended without a word, and would again
            outcomes[left.pop(0)] = failed("the probe's process ended")
    return outcomes


def _work(works: list[Work], write: int) -> None:
    """The child: say what comes of each, up to the first that changed something; then end."""
    for work in works:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            outcome = work()
        except BaseException as error:  # reported by the parent: this process ends here
            outcome = failed(f"the probe broke: {error!r}")
        os.write(write, json.dumps(outcome).encode() + b"\n")
        if outcome[0] != OK:
            break
    os._exit(0)


CALLS: dict[Probe, Work] = {}
"""The probes that `refused` made, and the call that each makes; it changes nothing when refused."""


def refused(name: str, *arguments: int | bytes | None) -> Probe:
    """A probe: the call is refused to whoever makes it.

    Args:
        name: The call's name.
        arguments: Such that the call does no harm where it is allowed; any answer but a refusal
            (even one that finds fault with the arguments) means that it is.
    """

    def work() -> Outcome:
        call = number(name)
        if call is None:
            return not_applicable(f"no {name} on {platform.machine()}")
        return attempt(call, *arguments)

    def probe(setup: Setup) -> Outcome:
        return in_child(work)

    CALLS[probe] = work
    return probe


def attempt(call: int, *arguments: int | bytes | None) -> Outcome:
    """Whether a call is refused; see `refused`."""
    result, code = syscall(call, *arguments)
    if result >= 0:
        return failed(f"it was carried out and returned {result}")
    if code in _REFUSALS:
        return ok(name_of(code))
    return failed(f"it was let through, to fail with {name_of(code)}")


def status() -> dict[str, str]:
    """`/proc/self/status` as a mapping."""
    with open("/proc/self/status") as file:
        pairs = (line.partition(":") for line in file)
        return {name: value.strip() for name, _, value in pairs}


def open_refused(path: str, flags: int = os.O_RDONLY) -> str | None:
    """Open a path and close it again: None when that worked, else why it did not."""
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK))
    except OSError as error:
        return name_of(error.errno or 0)
    return None
