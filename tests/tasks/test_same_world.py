"""A variant is one world: the same files, bytes, modes and dates on both providers."""

import asyncio
import hashlib

import pytest
from inspect_ai.util import SandboxEnvironment

from sandbox import cell
from sandbox.certificate.cells import fresh_cell
from sandbox.world import World
from tasks.worlds import find_setting, setting_names

_CLEAR = "find /home/agent /srv /tmp -mindepth 1 -delete"
_LIST = (
    "find /home/agent /srv /tmp -mindepth 1 -printf '%p %y %m %u %T@ %s\\n' | "
    "grep -v ' d .* [0-9]*$' | sort; find /home/agent /srv /tmp -type d -printf '%p %m\\n' | sort; "
    "find /home/agent /srv /tmp -type f -exec sha256sum {} + | sort -k 2"
)


def worlds(variant: int) -> list[World]:
    return [find_setting(name).world(variant) for name in setting_names()]


async def listed(agent: SandboxEnvironment, place: World) -> str:
    await agent.exec(["bash", "-c", _CLEAR])
    await cell.unpack(agent, place.tar())
    found = await agent.exec(["bash", "-c", _LIST])
    assert found.success, found.stderr
    return found.stdout


async def all_listed(provider: cell.Provider) -> dict[str, str]:
    async with fresh_cell(provider) as (agent, _):
        return {place.setting: await listed(agent, place) for place in worlds(1)}


@pytest.mark.namespace
@pytest.mark.docker
def test_both_providers_hold_the_same_world_byte_for_byte() -> None:
    namespace, docker = (asyncio.run(all_listed(one)) for one in ("namespace", "docker"))
    assert namespace == docker
    for place in worlds(1):
        for file in place.files:
            digest = hashlib.sha256(file.data).hexdigest()
            assert f"{digest}  {file.path}" in namespace[place.setting].splitlines()


def test_the_same_seed_makes_the_same_archive() -> None:
    first = [hashlib.sha256(place.tar()).hexdigest() for place in worlds(0)]
    assert first == [hashlib.sha256(place.tar()).hexdigest() for place in worlds(0)]
