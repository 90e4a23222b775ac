"""What cells cost on this machine: both providers in one run, and many namespace cells at once.

Run from the repository: `python benchmarks/cells.py`. The table goes into docs/providers.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from contextlib import AsyncExitStack

import anyio
import psutil
from inspect_ai.util import SandboxEnvironment

from sandbox import state
from sandbox.cell import Provider, why_no_docker
from sandbox.certificate.cells import fresh_cell
from sandbox.snapshot import fork, snapshot

STEPS = ("start", "exec", "snapshot", "fork", "stop")
FILL = "head -c 64M /dev/urandom > weights; mkdir d; for i in $(seq 1000); do echo $i > d/$i; done"
EXECS = 10  # commands in each cell

Times = dict[str, list[float]]


async def one_cell(provider: Provider, times: Times) -> None:
    """Start, use, fork and stop one cell; seconds of each step go into `times`."""

    def lap(step: str, began: float) -> float:
        now = time.perf_counter()
        times[step].append(now - began)
        return now

    async with AsyncExitStack() as stack:
        began = time.perf_counter()
        agent, _ = await stack.enter_async_context(fresh_cell(provider))
        began = lap("start", began)
        for _ in range(EXECS):
            await agent.exec(["true"])
            began = lap("exec", began)
        await agent.exec(["bash", "-c", FILL])
        began = time.perf_counter()
        taken = await snapshot(agent)
        began = lap("snapshot", began)
        child = AsyncExitStack()
        await child.enter_async_context(fork(taken))
        lap("fork", began)
        await child.aclose()
        del taken
        began = time.perf_counter()
    lap("stop", began)


def p95(values: list[float]) -> float:
    """The value that 95 % are not above."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def show(times: dict[Provider, Times]) -> None:
    """Print a table in Markdown."""
    providers = list(times)
    ratio = len(providers) == 2
    head = [f"{p} p50 | {p} p95" for p in providers] + ["ratio of p50"] * ratio
    print("| milliseconds | " + " | ".join(head) + " |")
    print("|---" * (1 + 2 * len(providers) + ratio) + "|")
    for step in STEPS:
        medians = [statistics.median(times[p][step]) for p in providers]
        cells = [
            f"{median * 1e3:.1f} | {p95(times[p][step]) * 1e3:.1f}"
            for p, median in zip(providers, medians, strict=True)
        ]
        if ratio:
            cells.append(f"{medians[1] / medians[0]:.0f}")
        print(f"| {step} | " + " | ".join(cells) + " |")


def private_memory() -> int:
    """Bytes that this process and those that it started have for themselves."""
    own = psutil.Process()
    return sum(p.memory_full_info().uss for p in (own, *own.children(recursive=True)))


async def many(count: int, at_once: int) -> None:
    """Have `count` cells alive together, run a command in each, and end them."""
    limit = anyio.CapacityLimiter(at_once)
    cells: list[SandboxEnvironment] = []
    answers: set[str] = set()
    memory = private_memory()
    async with AsyncExitStack() as stack:

        async def start() -> None:
            async with limit:
                cells.append((await stack.enter_async_context(fresh_cell("namespace")))[0])

        async def ask(number: int) -> None:
            async with limit:
                agent = cells[number]
                await agent.exec(["sh", "-c", f"echo {number} > /tmp/number"])
                answers.add((await agent.exec(["cat", "/tmp/number"])).stdout)

        began = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(start)
        started = time.perf_counter()
        async with anyio.create_task_group() as group:
            for number in range(count):
                group.start_soon(ask, number)
        asked = time.perf_counter()
        each = (private_memory() - memory) / count
        files = len(os.listdir("/proc/self/fd"))
        stopping = time.perf_counter()
    ended = time.perf_counter()
    assert answers == {f"{number}\n" for number in range(count)}, "each has files of its own"
    print(
        f"{count} namespace cells alive at once, {at_once} started at a time: "
        f"start {(started - began) / count * 1e3:.0f} ms each, "
        f"two commands in each {(asked - started) / count * 1e3:.0f} ms, "
        f"stop {(ended - stopping) / count * 1e3:.0f} ms; "
        f"{each / (1 << 20):.1f} MiB and {files / count:.1f} open files each"
    )


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="cells of each provider")
    parser.add_argument("--cells", type=int, default=200, help="namespace cells alive at once")
    chosen = parser.parse_args()
    os.environ["SALLYPORT_HARNESS"] = state.harness_id()
    providers: list[Provider] = ["namespace"]
    no_docker = why_no_docker()
    if no_docker is None:
        providers.append("docker")
    else:
        print(f"without Docker: {no_docker}")
    times: dict[Provider, Times] = {provider: defaultdict(list) for provider in providers}
    for _ in range(chosen.rounds):  # in turn, so that load from elsewhere falls on both
        for provider in providers:
            await one_cell(provider, times[provider])
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    print(f"{chosen.rounds} cells of each, {os.cpu_count()} CPUs, load {load}\n")
    show(times)
    print()
    await many(chosen.cells, 2 * (os.cpu_count() or 1))


if __name__ == "__main__":
    anyio.run(main)
