"""The handle of one box: start it, run commands in it, close it."""

from __future__ import annotations

import itertools
import json
import os
import resource
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.to_thread

from sandbox.box import folders
from sandbox.box.groups import Group, Limits
from sandbox.box.layer import Layer
from sandbox.box.plan import ENVIRONMENT, HOME, BoxError, launch_plan
from sandbox.gateway.network import GatewaySockets

_START_SECONDS = 60.0  # far more than it takes: a machine that makes or ends many boxes is slow
_CREDENTIALS = struct.Struct("3i")  # pid, uid and gid, as SCM_CREDENTIALS brings them
_FREEZE_SECONDS = 60.0  # for some 2 GiB to be copied in memory


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


class Box:
    """A running box. Make one with `Box.start`; close it when done."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        harness: socket.socket,
        control: socket.socket,
        sockets: GatewaySockets,
        init: int,
        layers: tuple[Layer, ...],
    ) -> None:
        self.init = init
        """Number on the host of the box's process 1."""
        self._process = process
        self._harness = harness
        self._control = control
        self._ids = itertools.count(1)
        self._sockets: GatewaySockets | None = sockets
        self._layers = layers
        self._freezing = anyio.Lock()
        self._group: Group | None = None
        self.limits = Limits(False, "")

    @classmethod
    async def start(cls, certificate: str, layers: tuple[Layer, ...] = ()) -> Box:
        """Build a box.

        Args:
            certificate: PEM of the authorities that the box shall trust.
            layers: What its writable folders hold at first, as `freeze` gave it.

        Raises:
            BoxError: when this machine cannot, with the reason.
        """
        # Popen and the wait for the first answer block for some 50 ms: not in the event loop.
        return await anyio.to_thread.run_sync(cls._start, certificate, layers)

    @classmethod
    def _start(cls, certificate: str, layers: tuple[Layer, ...] = ()) -> Box:
        _raise_open_files()
        mounts: list[int] = []
        try:
            group = Group.make()
            joins = group.descriptors()
            limits = Limits(True, group.description())
        except OSError as error:
            group, joins = None, []
            limits = Limits(False, f"each process alone, no control group ({error})")
        try:
            for layer in layers:
                mounts.append(layer.mount())
            plan = launch_plan(certificate, mounts, joins)
            box = cls._launch(plan, [*mounts, *joins], layers)
        except BoxError:
            if group is not None:
                group.remove()
            raise
        finally:
            for fd in (*mounts, *joins):
                os.close(fd)
        box._group, box.limits = group, limits
        return box

    @classmethod
    def _launch(cls, plan: dict[str, Any], passed: list[int], layers: tuple[Layer, ...]) -> Box:
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
            pass_fds=(*fds, *passed),
            start_new_session=True,  # Ctrl-C is the harness's to handle
        )
        harness_child.close()
        control_child.close()
        try:
            assert process.stdin is not None
            with process.stdin as pipe:
                pipe.write(json.dumps(plan).encode())
            harness.settimeout(_START_SECONDS)
            control.settimeout(_START_SECONDS)
            answer, received, _, _ = socket.recv_fds(harness, 4096, len(GatewaySockets._fields))
            if not answer.startswith(b"ok"):
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
        stands_on = layers if answer == b"ok stacked" else ()
        return cls(process, harness, control, sockets, init, stands_on)

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

    async def freeze(self) -> tuple[Layer, ...]:
        """Copy what the box's writable folders hold, for other boxes to start with.

        Everything in the box is stopped meanwhile, so that the copy is of one moment, and then
        continued. What the box stands on itself is not copied again. A command that begins while
        this runs may or may not be in the copy.

        Returns:
            What `start` takes, the newest layer first.

        Raises:
            BoxError: the box is dead, or its folders cannot be copied.
        """
        async with self._freezing:
            with anyio.CancelScope(shield=True):
                await self._tell(b"hold")
                try:
                    layer = await anyio.to_thread.run_sync(self._freeze)
                finally:
                    await self._tell(b"release")
        return (layer, *self._layers)

    async def _tell(self, word: bytes) -> None:
        """Say something to the supervisor that it answers."""
        try:
            self._control.send(word)
            await anyio.wait_readable(self._control)
            answer = self._control.recv(16)
        except OSError as error:
            raise BoxError(f"the box is dead: {error}") from error
        if answer != word:
            raise BoxError("the box is dead: its supervisor does not answer")

    def _freeze(self) -> Layer:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._harness, [folders.FREEZE], [theirs.fileno()])
            self._harness.settimeout(_FREEZE_SECONDS)
            answer = self._harness.recv(4096)
            if answer != b"ok":
                raise BoxError(answer.decode() or "the box is dead: its keeper does not answer")
        except (OSError, BoxError) as error:
            ours.close()
            raise BoxError(f"the box cannot be frozen: {error}") from error
        return Layer(ours)

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
        if self._group is not None:
            self._group.remove()

    @classmethod
    def trial(cls) -> None:
        """Start a box and end it again, without an event loop; some 60 ms.

        Raises:
            BoxError: when this machine cannot, with the reason.
        """
        cls._start("")._close()


def _raise_open_files() -> None:
    """As many descriptors as are allowed: a box takes some ten, and the usual limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
