"""Which process of a box has a socket: looked up from outside, so that the agent cannot lie.

The kernel's tables give a connection's inode, the descriptors of the box's processes say who has
it. Both are read through the box's process 1: its network namespace, and the box's own /proc,
which nobody in the box can change. That costs a millisecond or a few, in the thread that records,
so it has a budget: a box with thousands of connections has most of them recorded without an owner.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.gateway.owner import Owner
from sandbox.gateway.reading import Address

_SHARE = 0.02  # of the time may go into looking
_SAVED = 0.1  # seconds that can be saved up
_LONGEST = 0.03  # seconds of one look
_SHOWN = 200  # bytes of a command line
_INODE = 9  # column of /proc/net/tcp and its like
_NOWHERE = "(?:0{8}|0{32}):0000"


class Owners:
    """The owners of one box's sockets; see `sandbox.gateway.owner.WhoHas`."""

    def __init__(self, init: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Looks through the box's process 1.

        Args:
            init: Its number on the host.
            clock: Seconds.
        """
        self._net = Path(f"/proc/{init}/net")
        self._processes = Path(f"/proc/{init}/root/proc")
        self._clock = clock
        self._budget = _SAVED
        self._last = clock()

    def __call__(self, proto: str, src: Address, dst: Address) -> Owner | None:
        """Who has the socket; None if nobody has it any more, or there is no time to look."""
        began = self._clock()
        self._budget = min(_SAVED, self._budget + (began - self._last) * _SHARE)
        self._last = began
        if self._budget <= 0:
            return None
        try:
            inode = self._inode(proto, src, dst)
            return None if inode is None else self._holder(inode, began + _LONGEST)
        except OSError:  # the box is ending, or this machine does not let us look
            return None
        finally:
            self._budget -= self._clock() - began

    def _inode(self, proto: str, src: Address, dst: Address) -> str | None:
        # A datagram's socket may be bound to no address, and connected to none.
        loose = proto == "udp"
        local = "|".join([*_forms(src[0]), *(["0{8}", "0{32}"] if loose else [])])
        remote = f"(?:{'|'.join(_forms(dst[0]))}):{dst[1]:04X}{f'|{_NOWHERE}' if loose else ''}"
        line = re.compile(rf"^ *\d+: (?:{local}):{src[1]:04X} (?:{remote}) .*$", re.M)
        for table in (proto, f"{proto}6"):
            found = line.search((self._net / table).read_text())
            if found is not None:
                inode = found[0].split()[_INODE]
                return inode if inode != "0" else None  # nobody has it any more
        return None

    def _holder(self, inode: str, deadline: float) -> Owner | None:
        target = f"socket:[{inode}]"
        for pid in sorted(int(name) for name in os.listdir(self._processes) if name.isdigit()):
            if self._clock() > deadline:
                return None
            process = self._processes / str(pid)
            if _has(process / "fd", target):
                line = (process / "cmdline").read_bytes()[:_SHOWN].replace(b"\0", b" ").strip()
                return Owner(pid, line.decode("utf-8", "backslashreplace"))
        return None


def _has(descriptors: Path, target: str) -> bool:
    try:
        return any(os.readlink(one.path) == target for one in os.scandir(descriptors))
    except OSError:  # the process has ended or closed it, or it is one that nobody may look into
        return False


def _forms(address: str) -> list[str]:
    """An address as the kernel's tables write it: also as an IPv6 socket would have it."""
    ip = ipaddress.ip_address(address)
    form = "".join(ip.packed[at : at + 4][::-1].hex() for at in range(0, len(ip.packed), 4))
    mapped = [f"{'0' * 16}FFFF0000{form}".upper()] if ip.version == 4 else []
    return [form.upper(), *mapped]
