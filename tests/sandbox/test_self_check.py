"""Inspect's own conformance suite for sandboxes, in a sample of each provider."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import sandbox

# Inspect ships these checks for authors of providers, and has no public name for them.
from inspect_ai.util._sandbox import self_check

from sandbox.cell import Provider, choose, sandbox_spec

_USERS = "one user, by design: nobody in the box may become another, nor write to /etc"
EXCEPTIONS: dict[Provider, dict[str, str]] = {
    "namespace": {"test_exec_as_user": _USERS},
    "docker": {"test_exec_as_user": _USERS},
}
CHECKS = sorted(self_check.__all__)


@solver
def checks(outcome: dict[str, BaseException | None]) -> Solver:
    async def run(name: str) -> None:
        try:
            await getattr(self_check, name)(sandbox("default"))
        except Exception as error:  # reported by the test with the check's name
            outcome[name] = error
        else:
            outcome[name] = None

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        slow = [name for name in CHECKS if "timeout" in name]  # they sleep: all at once
        async with anyio.create_task_group() as group:
            for name in slow:
                group.start_soon(run, name)
        for name in CHECKS:
            if name not in slow:
                await run(name)
        return state

    return solve


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("namespace", marks=pytest.mark.namespace),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Provider, dict[str, BaseException | None]]:
    provider = choose(request.param)
    outcome: dict[str, BaseException | None] = {}
    logs: Path = tmp_path_factory.mktemp("logs")
    [log] = eval(
        Task([Sample("check")], solver=checks(outcome), sandbox=sandbox_spec(provider)),
        model="none/none",
        display="none",
        log_dir=str(logs),
    )
    assert log.status == "success", log.error
    return provider, outcome


@pytest.mark.parametrize("name", CHECKS)
def test_inspects_own_check(
    outcomes: tuple[Provider, dict[str, BaseException | None]], name: str
) -> None:
    provider, outcome = outcomes
    error = outcome[name]
    if name in EXCEPTIONS[provider]:
        assert error is not None, "no exception any more: remove it"
        pytest.xfail(EXCEPTIONS[provider][name])
    if error is not None:
        raise error
