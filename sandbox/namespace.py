"""The `namespace` provider: Inspect's sandbox interface over sealed boxes on this machine.

Two sandboxes per sample, as with Docker: `default`, where the agent works, and `gateway`, which is
a view of the recorder in the harness: its capture can be read, nothing can run there.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
from typing import Literal, overload

import anyio.to_thread
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxEnvironmentLimits,
    SandboxUnavailableError,
    SandboxUserUnsupportedError,
)

from sandbox import state
from sandbox.box.box import Box
from sandbox.box.groups import Limits
from sandbox.box.layer import Layer
from sandbox.box.owners import Owners
from sandbox.box.plan import HOME, UID, USER, BoxError
from sandbox.gateway.control import LEFT, MANNERS, SEAL, TURN, Refused
from sandbox.recorder import Recording, recorder

CAPTURE_FOLDER = "/capture"
"""Where every provider's gateway shows its capture."""

# Exit statuses of the two scripts below; outside what cat and mkdir use themselves.
_IS_FOLDER, _MISSING, _DENIED = 41, 42, 43
_ERRORS = {_IS_FOLDER: errno.EISDIR, _MISSING: errno.ENOENT, _DENIED: errno.EACCES}
_CANNOT_RUN = 126  # what the supervisor says, and shells do
_READ = f"""[ -d "$1" ] && exit {_IS_FOLDER}; [ -e "$1" ] || exit {_MISSING}
[ -r "$1" ] || exit {_DENIED}; exec cat -- "$1" """
_WRITE = f"""[ -d "$1" ] && exit {_IS_FOLDER}; mkdir -p -- "$(dirname -- "$1")" || exit {_DENIED}
cat > "$1" || exit {_DENIED}"""


class AgentBox(SandboxEnvironment):
    """The agent's side: a `Box`."""

    def __init__(self, box: Box) -> None:
        super().__init__()
        self._box = box

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a command as the agent's user; see Inspect's `SandboxEnvironment.exec`."""
        if user not in (None, USER, str(UID)):
            # One user id is all that an unprivileged harness can map, and a second one would need
            # somebody in the box with the right to become it.
            raise SandboxUserUnsupportedError(f"the box has one user, {USER}: {user} is not there")
        stdin = input.encode() if isinstance(input, str) else input or b""
        limit = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE
        try:
            done = await self._box.run(
                cmd,
                stdin=stdin,
                cwd=posixpath.join(HOME, cwd or ""),
                env=env,
                timeout=timeout,
                limit=limit,
            )
        except BoxError as error:
            raise SandboxUnavailableError(str(error)) from error
        stdout = done.stdout.decode(errors="replace")
        if done.overflow:
            told = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR
            raise OutputLimitExceededError(limit_str=told, truncated_output=stdout)
        stderr = done.stderr.decode(errors="replace")
        if done.status == _CANNOT_RUN and stderr.startswith(f"{cmd[0]}: [Errno {errno.EACCES}]"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), cmd[0])
        # As a shell tells of a signal, and so as Docker does.
        status = done.status if done.status >= 0 else 128 - done.status
        return ExecResult(status == 0, status, stdout, stderr)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file, making its folders."""
        data = contents.encode() if isinstance(contents, str) else contents
        path = posixpath.join(HOME, file)
        done = await self._box.run(["sh", "-c", _WRITE, "sh", path], stdin=data)
        self._raise(done.status, path, done.stderr)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Read a file through the box, so that the agent's links lead nowhere else."""
        path = posixpath.join(HOME, file)
        limit = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE
        done = await self._box.run(["sh", "-c", _READ, "sh", path], limit=limit)
        if done.overflow:
            told = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR
            raise OutputLimitExceededError(limit_str=told, truncated_output=None)
        self._raise(done.status, path, done.stderr)
        return done.stdout.decode() if text else done.stdout

    @staticmethod
    def _raise(status: int, path: str, stderr: bytes) -> None:
        code = _ERRORS.get(status)
        if code is not None:
            raise OSError(code, os.strerror(code), path)  # Python picks the subclass
        if status:
            raise OSError(f"{path}: {stderr.decode(errors='replace').strip()}")

    @property
    def limits(self) -> Limits:
        """How what the box takes of the machine is limited."""
        return self._box.limits

    async def freeze(self) -> tuple[Layer, ...]:
        """Freeze what the box's writable folders hold; see `Box.freeze`.

        Raises:
            SandboxUnavailableError: the box is dead, or its folders cannot be copied.
        """
        try:
            return await self._box.freeze()
        except BoxError as error:
            raise SandboxUnavailableError(str(error)) from error

    async def close(self) -> None:
        """End the box."""
        await self._box.close()

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """See `NamespaceSandbox.sample_cleanup`."""
        await NamespaceSandbox.sample_cleanup(task_name, config, environments, interrupted)


class GatewayView(SandboxEnvironment):
    """The gateway's side: its capture, read-only."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Seal the capture or run a command of `control`: this gateway is a part of the harness."""
        if cmd == SEAL:
            await anyio.to_thread.run_sync(recorder().stop, self.recording)
            return ExecResult(True, 0, "", "")
        if cmd[:1] not in (LEFT, MANNERS, TURN):
            raise PermissionError("nothing runs in the gateway: it is a recorder in the harness")
        given = input.encode() if isinstance(input, str) else input or b""
        try:
            said = await anyio.to_thread.run_sync(recorder().obey, self.recording, cmd, given)
        except Refused as error:
            return ExecResult(False, 1, "", f"{error}\n")
        return ExecResult(True, 0, f"{said}\n" if said else "", "")

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Refuse: a capture only grows by what the agent sends."""
        raise PermissionError("the gateway's files are read-only")

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Read a file of the capture, by its path under `CAPTURE_FOLDER`."""
        folder, name = posixpath.split(file)
        if folder != CAPTURE_FOLDER or not name:
            raise FileNotFoundError(file)
        data = (self.recording.folder / name).read_bytes()
        return data.decode() if text else data

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """See `NamespaceSandbox.sample_cleanup`."""
        await NamespaceSandbox.sample_cleanup(task_name, config, environments, interrupted)


class NamespaceSandbox(AgentBox):
    """The provider registered as `namespace`."""

    @classmethod
    def default_concurrency(cls) -> int | None:
        """As many boxes as samples: a box costs some 5 MB and no CPU at rest."""
        return None

    @classmethod
    def default_polling_interval(cls) -> float:
        """Seconds between polls of long-running commands."""
        return 0.1

    @classmethod
    async def task_init(cls, task_name: str, config: SandboxEnvironmentConfigType | None) -> None:
        """Remove what harnesses that died left behind."""
        state.clean()

    @classmethod
    async def sample_init(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        metadata: dict[str, str],
    ) -> dict[str, SandboxEnvironment]:
        """Start a box and its gateway."""
        return await cls.start()

    @classmethod
    async def start(cls, layers: tuple[Layer, ...] = ()) -> dict[str, SandboxEnvironment]:
        """Start a box and its gateway; `sample_cleanup` ends them.

        Args:
            layers: What the box's writable folders hold at first, as `AgentBox.freeze` gave it.

        Raises:
            SandboxUnavailableError: this machine cannot, with the reason.
        """
        serving = recorder()
        try:
            box = await Box.start(serving.trust(), layers)
        except BoxError as error:
            raise SandboxUnavailableError(str(error)) from error
        folder = state.new_folder("capture")
        recording = serving.start(box.take_sockets(), folder, Owners(box.init))
        return {"default": cls(box), "gateway": GatewayView(recording)}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Stop the gateway, end the box, forget the capture."""
        for environment in environments.values():
            if isinstance(environment, GatewayView):
                recording = environment.recording
                await anyio.to_thread.run_sync(recorder().stop, recording)
                shutil.rmtree(recording.folder)
            elif isinstance(environment, AgentBox):
                await environment.close()
