"""Every container says whose it is, and cleaning up takes dead harnesses' alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import anyio
import docker
import pytest
from docker.models.containers import Container

from sandbox import cell, state
from sandbox.certificate.cells import fresh_cell

pytestmark = pytest.mark.docker

IDENTITY = "from sandbox import state; print(state.harness_id())"


@pytest.fixture(autouse=True)
def _nobody_said_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cell.HARNESS, raising=False)


def of_a_dead_harness() -> str:
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", IDENTITY]
    return subprocess.check_output(command, env=os.environ | path, text=True).strip()


@contextmanager
def containers(identity: str, number: int = 1) -> Iterator[list[Container]]:
    with closing(docker.from_env()) as client:
        made: list[Container] = []
        try:
            for _ in range(number):
                labels = {cell.HARNESS_LABEL: identity}
                made.append(client.containers.create("sallyport-agent:1", "true", labels=labels))
            yield made
        finally:
            for one in left(made):
                one.remove(force=True)


def left(made: list[Container]) -> list[Container]:
    with closing(docker.from_env()) as client:
        there = {one.id for one in client.containers.list(all=True, ignore_removed=True)}
        return [one for one in made if one.id in there]


def test_the_engine_names_the_harness_of_a_cell() -> None:
    async def main() -> None:
        async with fresh_cell("docker") as boxes:
            with closing(docker.from_env()) as client:
                for box in boxes:
                    name = (await box.connection()).container or ""
                    labels = client.containers.get(name).labels
                    assert labels[cell.HARNESS_LABEL] == state.harness_id()

    anyio.run(main)


def test_inspects_cells_are_named_too() -> None:
    spec = cell.sandbox_spec("docker")
    assert isinstance(spec, tuple)
    command = ["docker", "compose", "-f", spec[1], "config"]
    read = subprocess.check_output(command, text=True)
    assert read.count(f"{cell.HARNESS_LABEL}: {state.harness_id()}") == 2


@pytest.mark.parametrize("identity", ["unknown", "", "1-1-elsewhere"])
def test_containers_of_whom_nobody_can_tell_stay(identity: str) -> None:
    with containers(identity) as made:
        cell.clean()
        assert left(made) == made


def test_two_who_clean_up_at_once_do_not_stumble_over_each_other() -> None:
    errors: list[Exception] = []

    def clean() -> None:
        try:
            cell.clean()
        except Exception as error:
            errors.append(error)

    with containers(of_a_dead_harness(), 12) as made:
        threads = [Thread(target=clean) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert left(made) == []
