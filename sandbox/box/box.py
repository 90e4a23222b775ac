"""The handle of one box: start it, run commands in it, close it."""

from __future__ import annotations

import ast
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.to_thread

from sandbox.box.seccomp import filter_program
from sandbox.gateway import network
from sandbox.gateway.network import GatewaySockets

HOME = "/home/agent"
HOSTNAME = "gpu-node-7"
USER, UID = "agent", 1000
# Users of no account: what a box's processes are to the host when the harness runs as root.
_UNPRIVILEGED_UID = 60998
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
_INIT = "/run/init"  # where the supervisor lies in the box
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_WRITABLE = {HOME: "0755", "/srv": "0755", "/tmp": "1777", "/var/tmp": "1777"}
_WRITABLE_BYTES = 512 << 20  # each of the writable folders
_SHARED_BYTES = 64 << 20  # /dev/shm, as Docker's default
_START_SECONDS = 20.0
_CREDENTIALS = struct.Struct("3i")  # pid, uid and gid, as SCM_CREDENTIALS brings them
_LIMITS = {
    "RLIMIT_CORE": 0,
    "RLIMIT_NPROC": 256,
    "RLIMIT_NOFILE": 1024,
    "RLIMIT_AS": 4 << 30,
    "RLIMIT_FSIZE": _WRITABLE_BYTES,
}

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "USER": USER,
    "LANG": "C.UTF-8",
    "SSL_CERT_FILE": _CA_BUNDLE,
    "CURL_CA_BUNDLE": _CA_BUNDLE,
    "REQUESTS_CA_BUNDLE": _CA_BUNDLE,
    "GIT_SSL_CAINFO": _CA_BUNDLE,
}
"""What every command in a box finds in its environment; nothing comes from the host's."""


class BoxError(RuntimeError):
    """A box could not be made, or it died; the message is one line that says why."""


@dataclass(frozen=True)
class Finished:
    """What one command did.

    Attributes:
        status: exit status, negative for a signal.
        stdout: at most `limit` bytes of standard output.
        stderr: at most `limit` bytes of standard error.
        overflow: whether either stream went past the limit; the rest was read and dropped.
    """

    status: int
    stdout: bytes
    stderr: bytes
    overflow: bool


def missing_programs() -> tuple[str, ...]:
    """The programs a box needs that this machine lacks, as Debian's package names."""
    packages = {"bwrap": "bubblewrap", "ip": "iproute2", "nft": "nftables", "python3": "python3"}
    return tuple(p for program, p in packages.items() if not _which(program))


def _which(program: str) -> str | None:
    return shutil.which(program, path=_SYSTEM_PATH)


def _need(program: str) -> str:
    found = _which(program)
    if found is None:
        raise BoxError(f"{program} is not installed: run `make prepare`")
    return found


def _etc_files(certificate: str) -> dict[str, str]:
    return {
        "/etc/passwd": f"root:x:0:0:root:/root:/bin/bash\n{USER}:x:{UID}:{UID}::{HOME}:/bin/bash\n",
        "/etc/group": f"root:x:0:\n{USER}:x:{UID}:\n",
        "/etc/hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {HOSTNAME}\n",
        "/etc/hostname": f"{HOSTNAME}\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/resolv.conf": f"nameserver {network.VETH_GATEWAY[0]}\n",
        _CA_BUNDLE: certificate,
    }


def _bwrap_argv(python: str, bwrap: str) -> list[str]:
    help_text = subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False)
    argv = ["--unshare-user", "--uid", str(UID), "--gid", str(UID)]
    argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if "--disable-userns" in help_text.stdout + help_text.stderr:  # newer than Ubuntu 22.04's
        argv += ["--disable-userns"]
    argv += ["--hostname", HOSTNAME, "--die-with-parent", "--as-pid-1", "--new-session"]
    argv += ["--cap-drop", "ALL", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        host = Path("/", name)
        if host.is_symlink():
            argv += ["--symlink", os.readlink(host), str(host)]
        elif host.is_dir():
            argv += ["--ro-bind", str(host), str(host)]
    for path in ("/etc/alternatives", "/etc/ld.so.cache"):
        argv += ["--ro-bind-try", path, path]
    for path, mode in _WRITABLE.items():
        argv += ["--perms", mode, "--size", str(_WRITABLE_BYTES), "--tmpfs", path]
    # /dev and /dev/shm are memory too: without a size an agent could fill the machine's.
    argv += ["--dev", "/dev", "--perms", "1777", "--size", str(_SHARED_BYTES)]
    argv += ["--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--proc", "/proc", "--clearenv"]
    for name, value in ENVIRONMENT.items():
        argv += ["--setenv", name, value]
    argv += ["--chdir", HOME, "--remount-ro", "/", "--", python, "-I", "-S", _INIT]
    return argv


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.unparse(tree)


# The agent can read it, so it says nothing about itself. Made once, at import: boxes start in
# worker threads, and before Python 3.11.5 the ast module must not run in two threads at once.
_SUPERVISOR = _without_docstrings(Path(__file__).with_name("supervisor.py").read_text())


def _plan(certificate: str) -> dict[str, Any]:
    """What `launch.py` reads; see there."""
    bwrap = _need("bwrap")
    return {
        "uid": _UNPRIVILEGED_UID,
        "ip": _need("ip"),
        "nft": _need("nft"),
        "bwrap": bwrap,
        "seccomp": filter_program().hex(),
        "files": _etc_files(certificate) | {_INIT: _SUPERVISOR},
        "argv": _bwrap_argv(_need("python3"), bwrap),
        "limits": _LIMITS,
    }


class Box:
    """A running box. Make one with `Box.start`; close it when done."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        harness: socket.socket,
        control: socket.socket,
        sockets: GatewaySockets,
        init: int,
    ) -> None:
        self.init = init
        """Number on the host of the box's process 1."""
        self._process = process
        self._harness = harness
        self._control = control
        self._ids = itertools.count(1)
        self._sockets: GatewaySockets | None = sockets

    @classmethod
    async def start(cls, certificate: str) -> Box:
        """Build a box.

        Args:
            certificate: PEM of the authorities that the box shall trust.

        Raises:
            BoxError: when this machine cannot, with the reason.
        """
        # Popen and the wait for the first answer block for some 50 ms: not in the event loop.
        return await anyio.to_thread.run_sync(cls._start, certificate)

    @classmethod
    def _start(cls, certificate: str) -> Box:
        plan = json.dumps(_plan(certificate)).encode()
        harness, harness_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control, control_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # tells who says `up`
        errors = os.fdopen(os.memfd_create("launch-errors"), "w+b")
        launcher = str(Path(__file__).with_name("launch.py"))
        fds = (harness_child.fileno(), control_child.fileno())
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", launcher, *map(str, fds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=fds,
            start_new_session=True,  # Ctrl-C is the harness's to handle
        )
        harness_child.close()
        control_child.close()
        try:
            assert process.stdin is not None
            with process.stdin as pipe:
                pipe.write(plan)
            harness.settimeout(_START_SECONDS)
            control.settimeout(_START_SECONDS)
            answer, received, _, _ = socket.recv_fds(harness, 4096, len(GatewaySockets._fields))
            if answer != b"ok":
                raise BoxError(answer.decode() or _last_line(errors) or "the launcher died")
            sockets = GatewaySockets.from_fds(received)
            up, credentials, _, _ = control.recvmsg(16, socket.CMSG_SPACE(_CREDENTIALS.size))
            if up != b"up":
                sockets.close()
                raise BoxError(_last_line(errors) or "the supervisor did not start")
        except (OSError, BoxError) as error:
            harness.close()
            control.close()
            process.kill()
            process.wait()
            raise BoxError(f"cannot start a namespace box: {error}") from error
        finally:
            errors.close()
        control.setblocking(False)
        init, _, _ = _CREDENTIALS.unpack(credentials[0][2])
        return cls(process, harness, control, sockets, init)

    def take_sockets(self) -> GatewaySockets:
        """Hand over the gateway side's sockets; from now on they are the taker's to close.

        Raises:
            BoxError: they were taken before.
        """
        if self._sockets is None:
            raise BoxError("this box has a gateway already")
        sockets, self._sockets = self._sockets, None
        return sockets

    async def run(
        self,
        argv: list[str],
        *,
        stdin: bytes = b"",
        cwd: str = HOME,
        env: dict[str, str] | None = None,
        timeout: float | None = None,
        limit: int = 10 << 20,
    ) -> Finished:
        """Run one command in the box and wait for it.

        Args:
            argv: command and arguments; the command is looked up in the box's PATH.
            stdin: what the command reads.
            cwd: working directory in the box.
            env: added to `ENVIRONMENT`.
            timeout: seconds after which the command and its process group are killed.
            limit: bytes kept of each output stream.

        Raises:
            TimeoutError: the timeout expired; the command was killed.
            BoxError: the box is dead or died meanwhile.
        """
        name = str(next(self._ids))
        request = {"id": name, "argv": argv, "cwd": cwd, "env": ENVIRONMENT | (env or {})}
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        status_read, status_write = os.pipe()
        request_fd = _memory_file(json.dumps(request).encode())
        stdin_fd = _memory_file(stdin)
        theirs = [request_fd, stdin_fd, out_write, err_write, status_write]
        ours = [out_read, err_read, status_read]
        for fd in ours:
            os.set_blocking(fd, False)
        try:
            try:
                socket.send_fds(self._control, [b"exec"], theirs)
            except OSError as error:
                raise BoxError(f"the box is dead: {error}") from error
            finally:
                for fd in theirs:
                    os.close(fd)
            try:
                with anyio.fail_after(timeout):
                    return await _collect(out_read, err_read, status_read, limit)
            except BaseException:  # time is up, or the harness was cancelled: nothing may linger
                self._kill(name)
                raise
        finally:
            for fd in ours:
                os.close(fd)

    def _kill(self, name: str) -> None:
        try:
            self._control.send(f"kill {name}".encode())
        except OSError as error:
            raise BoxError(f"the box is dead: {error}") from error

    async def close(self) -> None:
        """End the box and everything in it; returns when the host sees nothing of it any more."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        if self._sockets is not None:
            self._sockets.close()
        self._control.close()
        self._harness.close()
        self._process.wait()

    @classmethod
    def trial(cls) -> None:
        """Start a box and end it again, without an event loop; some 60 ms.

        Raises:
            BoxError: when this machine cannot, with the reason.
        """
        cls._start("")._close()


def _memory_file(content: bytes) -> int:
    fd = os.memfd_create("stdin")
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


async def _collect(out: int, err: int, status: int, limit: int) -> Finished:
    """Read both streams while the command runs, and what is left in the pipes when it ends.

    A background process may hold the streams open for ever, so it is the command's own end that
    counts, not the end of its output.
    """
    kept = {out: bytearray(), err: bytearray()}
    overflow = False

    def drain(fd: int) -> bool:
        """Take what is there, a megabyte at most; False at the end of the stream."""
        nonlocal overflow
        for _ in range(16):
            try:
                chunk = os.read(fd, 1 << 16)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            room = limit - len(kept[fd])
            overflow = overflow or len(chunk) > room
            kept[fd] += chunk[:room]
        return True

    async def pump(fd: int) -> None:
        while drain(fd):
            await anyio.wait_readable(fd)

    async with anyio.create_task_group() as group:
        group.start_soon(pump, out)
        group.start_soon(pump, err)
        await anyio.wait_readable(status)
        group.cancel_scope.cancel()
    code = os.read(status, 16)
    if not code:
        raise BoxError("the box died while a command was running")
    for fd in (out, err):
        drain(fd)
    return Finished(int(code), bytes(kept[out]), bytes(kept[err]), overflow)
