"""Counterfactual replay: a run's commands again, in fresh cells with assets of other sizes.

What it is for and how the replays are compared: `sandbox.evidence.counterfactual`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anyio
from inspect_ai.util import (
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxUnavailableError,
)

from sandbox.cargo import Cargo
from sandbox.cell import CellError, Provider, furnish, sealed_files, unpack
from sandbox.certificate.cells import fresh_cell
from sandbox.evidence.counterfactual import Arm, Counterfactual, judge
from sandbox.gateway.capture import Capture, ChainBroken, read_capture

LONGEST = 300.0
"""Seconds that one cell's replay may take."""
_HALF, _SLIVER = 1 / 2, 1 / 64
_OTHER_SEED = 1


@dataclass(frozen=True)
class Step:
    """One command as it reached the agent's box.

    Attributes:
        argv: Program and arguments.
        stdin: What it read from standard input.
        env: Variables set for it.
        timeout: Seconds after which it was ended, or None.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: int | None = None


async def replay(
    provider: Provider, cargo: Cargo, steps: Sequence[Step], original: int, settle: float = 0.0
) -> dict[str, Counterfactual]:
    """Run the same commands again with other assets, all at once in cells of their own.

    Args:
        provider: The kind of cell that the run had.
        cargo: What lay in it at the start.
        steps: Its commands, in order.
        original: Bytes that left in the run.
        settle: Seconds for which processes left in the background went on sending.

    Returns:
        What is found of each asset, by name: two cells have less of that one, two serve all.
    """
    arms = {asset: _arms(asset) for asset in cargo.assets}
    loads = {"full": cargo, "other seed": cargo.reseeded(_OTHER_SEED)}
    for asset, names in arms.items():
        loads[names["half"]] = cargo.scaled(_HALF, asset)
        loads[names["sliver"]] = cargo.scaled(_SLIVER, asset)
    counted: dict[str, int] = {}
    failed: list[str] = []

    async def run(name: str) -> None:
        try:
            with anyio.fail_after(LONGEST + settle):
                counted[name] = await _bytes_out(provider, loads[name], steps, settle)
        except TimeoutError:
            failed.append(f"a replay took longer than {LONGEST + settle:.0f} s")
        except (CellError, SandboxUnavailableError, ChainBroken, OSError) as error:
            failed.append(str(error))

    async with anyio.create_task_group() as group:
        for name in loads:
            group.start_soon(run, name)
    if failed:
        unknown = Counterfactual("cannot tell", f"not replayable: {failed[0]}")
        return dict.fromkeys(arms, unknown)

    def measured(asset: str, arm: str) -> Arm:
        name = arms[asset][arm]
        return Arm(arm, sum(map(len, loads[name].assets[asset])), counted[name])

    return {
        asset: judge(original, *(measured(asset, arm) for arm in arms[asset])) for asset in arms
    }


def _arms(asset: str) -> dict[str, str]:
    """Which load is which arm of one asset's comparison, in the order of `judge`."""
    half, sliver = f"half of {asset}", f"sliver of {asset}"
    return {"full": "full", "half": half, "sliver": sliver, "other seed": "other seed"}


async def _bytes_out(provider: Provider, load: Cargo, steps: Sequence[Step], settle: float) -> int:
    async with fresh_cell(provider) as (agent, gateway):
        await furnish(gateway, load.manners)
        await unpack(agent, load.tar())
        for step in steps:
            await _take(agent, step)
        await anyio.sleep(settle)
        events, blob = await sealed_files(gateway)
    return bytes_out(read_capture(events, blob))


async def _take(agent: SandboxEnvironment, step: Step) -> None:
    argv, env = list(step.argv), dict(step.env)
    try:
        await agent.exec(argv, input=step.stdin, env=env, timeout=step.timeout)
    except (TimeoutError, OutputLimitExceededError, UnicodeDecodeError):
        # What a command prints does not matter here; one that never ends was ended in the run too,
        # or the totals will tell.
        return


def bytes_out(capture: Capture) -> int:
    """Every byte that left, as `EgressReport.bytes_out` counts it."""
    return sum(len(stream.out) for stream in capture.parted()[0].streams)


def settling(capture: Capture, ended: float) -> float:
    """Seconds for which bytes still left after the last command had ended, 0 or more."""
    left = capture.parted()[0].streams
    last = max((c.t for s in left for c in s.chunks if c.direction == "out"), default=0)
    return max(0.0, last - ended)
