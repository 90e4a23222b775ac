"""Builds one box's namespaces, then becomes their keeper. Runs as a bare process.

Started by `box.py` as `python -I -S launch.py` (standard library only, so that it starts in some
20 ms and forks from a single thread). It reads its plan as JSON from standard input:

1. As root, it first becomes an unprivileged user: a box must never map to the real root.
2. It makes a user and a network namespace: the *gateway side*, where every address is local
   (AnyIP) and nftables' TPROXY brings each packet to a handful of sockets. These are handed to the
   harness (SCM_RIGHTS), which records what arrives: no gateway process runs near the agent.
3. It makes the box's writable folders, empty or upon the layers of a snapshot (`folders.py`).
4. Its child makes a second network namespace, the *agent side*, joined to the first by a veth
   pair and to nothing else, and becomes bubblewrap with the box inside.

It then waits, and freezes the folders when it is asked to. When the harness closes its end of the
socket, or dies, everything is killed.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sandbox.box import folders
from sandbox.box.folders import Folders
from sandbox.gateway import network

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_CONTROL_FD = 3  # supervisor.py expects it here
_libc = ctypes.CDLL(None, use_errno=True)


def _unshare(flags: int, what: str) -> None:
    if _libc.unshare(flags):
        raise OSError(ctypes.get_errno(), f"cannot make a {what} namespace")


def _drop_root(uid: int) -> None:
    """Become the box's user; without this the agent's files would be the real root's."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # A change of user makes /proc/self the root's; the id maps below are written there.
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _enter_gateway_side() -> None:
    uid, gid = os.geteuid(), os.getegid()
    _unshare(_CLONE_NEWUSER | _CLONE_NEWNET, "user and network")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _run(command: list[str], stdin: str) -> None:
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _pass_nothing_on() -> None:
    """Close what the harness passed when bubblewrap starts: it would hand it on into the box."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:
            with contextlib.suppress(OSError):  # the listing's own, closed by now
                os.set_inheritable(fd, False)


def _data_fd(content: bytes) -> int:
    """A readable descriptor with `content`, inherited by bubblewrap."""
    low = os.memfd_create("box")
    fd = fcntl.fcntl(low, fcntl.F_DUPFD, _CONTROL_FD + 1)  # that one is taken later
    os.close(low)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    os.set_inheritable(fd, True)
    return fd


def _become_box(plan: dict[str, Any], control_fd: int, go: int) -> NoReturn:
    """The child: own network namespace, then bubblewrap. Never returns."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Ping without a capability: the kernel opens echo sockets to the groups named here.
    with contextlib.suppress(OSError):  # absent on kernels without IPv4 ping sockets
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")
    os.read(go, 1)  # the veth end is here once the parent says so
    _run([plan["ip"], "-batch", "-"], network.veth_agent_lines())
    for group in plan["groups"]:
        os.write(group, b"0")  # this process and those that it starts
        os.close(group)
    argv = [plan["bwrap"], "--seccomp", str(_data_fd(bytes.fromhex(plan["seccomp"])))]
    for path, text in plan["files"].items():
        argv += ["--perms", "0444", "--ro-bind-data", str(_data_fd(text.encode())), path]
    argv += plan["argv"]
    for name, value in plan["limits"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (limit, limit))
    os.dup2(control_fd, _CONTROL_FD)
    os.set_inheritable(_CONTROL_FD, True)
    os.execv(plan["bwrap"], argv)


def _keep(child: int, harness: socket.socket, writable: Folders) -> int:
    """Wait for the box or for the harness to end; kill the box with the harness."""
    box = os.pidfd_open(child)
    poll = select.poll()
    poll.register(box, select.POLLIN)
    poll.register(harness, select.POLLIN)
    while box not in {fd for fd, _ in poll.poll()}:
        message, fds, _, _ = socket.recv_fds(harness, 16, 1)
        if message != folders.FREEZE:  # the end
            os.kill(child, signal.SIGKILL)
            break
        with socket.socket(fileno=fds[0]) as served:
            _answer(harness, writable, served)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _answer(harness: socket.socket, writable: Folders, served: socket.socket) -> None:
    try:
        writable.freeze(served)
    except OSError as error:
        harness.send(f"error: {error}".encode())
    else:
        harness.send(b"ok")


def main() -> int:
    """Build the box described on standard input; report over the socket in argv[1]."""
    plan = json.load(sys.stdin)
    harness = socket.socket(fileno=int(sys.argv[1]))
    control_fd = int(sys.argv[2])
    _pass_nothing_on()
    # Above any descriptor that _become_box overwrites.
    high = os.dup(control_fd) if control_fd <= _CONTROL_FD else control_fd
    try:
        if os.geteuid() == 0:
            _drop_root(plan["uid"])
        _enter_gateway_side()
        writable = Folders(plan["modes"], plan["bytes"], plan["copy"], plan["overlay"])
        stacked = writable.make(plan["layers"])
        unshared_read, unshared_write = os.pipe()
        go_read, go_write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _unshare(_CLONE_NEWNET, "network")
                os.write(unshared_write, b"u")
                os.close(go_write)
                _become_box(plan, high, go_read)
            except BaseException as error:
                print(f"box: {error}", file=sys.stderr)
                os._exit(1)
        os.close(unshared_write)
        if not os.read(unshared_read, 1):
            raise OSError("cannot make the agent's network namespace")
        _run([plan["ip"], "-batch", "-"], network.veth_gateway_lines(child))
        _run([plan["nft"], "-f", "-"], network.nft_rules())
        sockets = network.open_sockets()
        socket.send_fds(harness, [b"ok stacked" if stacked else b"ok"], sockets.fds())
        sockets.close()
        os.close(high)
        os.write(go_write, b"g")
        os.close(go_write)
    except OSError as error:
        harness.send(f"error: {error}".encode())
        return 1
    return _keep(child, harness, writable)


if __name__ == "__main__":
    sys.exit(main())
