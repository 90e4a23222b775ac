"""Fresh cells outside any evaluation, for `sallyport certify`."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import PurePosixPath
from subprocess import PIPE
from typing import Any, Literal, overload

import anyio
from inspect_ai.util import (
    ExecResult,
    SandboxConnection,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxUnavailableError,
)

from sandbox import images, state
from sandbox.box.layer import Layer
from sandbox.cell import HARNESS, CellError, Provider
from sandbox.namespace import NamespaceSandbox

_UP_SECONDS = 60.0
_NAME = "certify"


@asynccontextmanager
async def fresh_cell(
    provider: Provider,
) -> AsyncIterator[tuple[SandboxEnvironment, SandboxEnvironment]]:
    """A cell that nobody has worked in: the agent's sandbox and the gateway's.

    Args:
        provider: As `sandbox.cell.choose` gave it.

    Raises:
        CellError: It did not start.
    """
    if provider == "namespace":
        async with namespace_cell() as cell:
            yield cell
    else:
        async with docker_cell() as cell:
            yield cell


@asynccontextmanager
async def fresh_cells(
    provider: Provider, count: int
) -> AsyncIterator[list[tuple[SandboxEnvironment, SandboxEnvironment]]]:
    """Several of `fresh_cell`, started and ended side by side.

    Raises:
        CellError: One of them did not start.
    """
    cells: list[tuple[SandboxEnvironment, SandboxEnvironment]] = []
    problems: list[CellError] = []
    started: list[AbstractAsyncContextManager[Any]] = []

    async def start() -> None:
        one = fresh_cell(provider)
        try:
            cells.append(await one.__aenter__())
        except CellError as error:
            problems.append(error)
        else:
            started.append(one)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(start)
        if problems:
            raise problems[0]
        yield cells
    finally:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for one in started:
                    group.start_soon(one.__aexit__, None, None, None)


@asynccontextmanager
async def namespace_cell(
    layers: tuple[Layer, ...] = (),
) -> AsyncIterator[tuple[SandboxEnvironment, SandboxEnvironment]]:
    """A cell on this machine; `layers` are what its writable folders hold at first.

    Raises:
        CellError: It did not start.
    """
    try:
        environments = await NamespaceSandbox.start(layers)
    except SandboxUnavailableError as error:
        raise CellError(str(error)) from error
    try:
        yield environments["default"], environments["gateway"]
    finally:
        with anyio.CancelScope(shield=True):
            await NamespaceSandbox.sample_cleanup(_NAME, None, environments, False)


@asynccontextmanager
async def docker_cell(
    fill: Callable[[str], Awaitable[None]] | None = None,
) -> AsyncIterator[tuple[SandboxEnvironment, SandboxEnvironment]]:
    """A cell of the engine's.

    Args:
        fill: Called with the name of the agent's container when its volumes are there and nothing
            runs yet.

    Raises:
        CellError: It did not start.
    """
    # Named as Inspect names its projects: the name can be seen from inside.
    project = f"inspect-{_NAME}-{secrets.token_hex(6)}"
    try:
        agent = _Service(project, "default")
        with anyio.move_on_after(_UP_SECONDS) as patience:
            if fill is not None:
                await _compose(project, "create")
                await fill((await agent.connection()).container or "")
            done = await _compose(project, "up", "--detach", "--wait")
        if patience.cancelled_caught:
            raise CellError(f"the cell did not start within {_UP_SECONDS:.0f} s")
        if not done.success:
            reason = done.stderr.strip().splitlines() or ["no reason given"]
            raise CellError(f"the cell did not start: {reason[-1]}")
        yield agent, _Service(project, "gateway")
    finally:
        with anyio.CancelScope(shield=True):
            await _compose(project, "down", "--volumes", "--timeout", "1")


class _Service(SandboxEnvironment):
    """One container of a compose project."""

    def __init__(self, project: str, service: str) -> None:
        super().__init__()
        self._project = project
        self._service = service

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
        """See Inspect's `SandboxEnvironment.exec`."""
        options = [f"--workdir={cwd}"] if cwd else []
        options += [f"--env={name}={value}" for name, value in (env or {}).items()]
        options += [f"--user={user}"] if user else []
        with anyio.fail_after(timeout):
            return await _compose(
                self._project, "exec", "-T", *options, self._service, *cmd, stdin=input
            )

    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """The container's name and the command that enters it."""
        done = await _compose(self._project, "ps", "--all", "--quiet", self._service)
        container = done.stdout.strip()
        if not container:
            raise ConnectionError(f"no container of {self._service}: {done.stderr.strip()}")
        command = f"docker exec -it {container} bash -l"
        return SandboxConnection(type="docker", command=command, container=container)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file, making its folder."""
        folder = str(PurePosixPath(file).parent)
        write = ["sh", "-c", 'mkdir -p "$1" && cat > "$2"', "sh", folder, file]
        done = await self.exec(write, input=contents)
        if not done.success:
            raise PermissionError(f"{file}: {done.stderr.strip()}")

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Read a file."""
        command = _command(self._project, "exec", "-T", self._service, "cat", file)
        done = await anyio.run_process(command, check=False, env=_environment())
        if done.returncode:
            raise FileNotFoundError(f"{file}: {done.stderr.decode().strip()}")
        return done.stdout.decode() if text else done.stdout

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Nothing: the project ends with `fresh_cell`."""


def _command(project: str, *arguments: str) -> list[str]:
    file = str(images.docker_folder() / "compose.yaml")
    return ["docker", "compose", "-f", file, "-p", project, *arguments]


def _environment() -> dict[str, str]:
    # Named, or nobody could tell whose the containers are. And what is asked for here is not to be
    # told what is new in the engine's own client.
    return os.environ | {"DOCKER_CLI_HINTS": "false", HARNESS: state.harness_id()}


async def _compose(
    project: str, *arguments: str, stdin: str | bytes | None = None
) -> ExecResult[str]:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = await anyio.run_process(
        _command(project, *arguments),
        input=data if data is not None else b"",
        stdout=PIPE,
        stderr=PIPE,
        check=False,
        env=_environment(),
    )
    stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return ExecResult(done.returncode == 0, done.returncode, stdout, stderr)
