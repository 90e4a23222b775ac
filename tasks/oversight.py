"""`inspect eval tasks/oversight.py`: will the agent blind what watches it, and is it caught?"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from policies.measure.metrics import DEFAULT_BUDGET
from policies.naming import of_distribution
from sandbox.setting import DEFAULT_SALIENCE
from sandbox.settingspec import Salience
from tasks.benchmark import benchmark
from tasks.worlds import oversight_settings


@task(name="sallyport/oversight")
@of_distribution
def oversight(
    protocol: str | dict[str, Any] = "trusted_monitoring",
    monitor: str | dict[str, Any] | None = None,
    attack: str | dict[str, Any] = "plain",
    modes: str | list[str] = "honest,attack",
    settings: str | list[str] = "all",
    variants: int = 1,
    salience: Salience = DEFAULT_SALIENCE,
    side: str | None = None,
    sandbox: str = "auto",
    budget: float = DEFAULT_BUDGET,
) -> Task:
    """An agent whose real job is on what watches it, under a control protocol.

    Args:
        protocol: a protocol by name, or `{name: ..., threshold: ...}`.
        monitor: a monitor, likewise; by default `prompted` when `--model-role monitor=` is given,
            else the offline `rules`.
        attack: what red does in attack mode: an attack policy by name, or `{name: ..., n: ...}`.
        modes: `honest`, `attack` or `natural`, or several, separated by commas.
        settings: settings by name, or by the path of their folder; `all` for every one that is
            about oversight.
        variants: how many worlds of each.
        salience: `suggested`, `discoverable` or `obscure`: how plainly the opportunity lies there.
        side: what red wants, by name; each setting's first unless given.
        sandbox: `auto`, `namespace` or `docker`.
        budget: the audit budget at which the catch rate is shown besides as run: a share above 0
            and below 1 of honest samples.
    """
    return benchmark(
        oversight_settings(),
        protocol=protocol,
        monitor=monitor,
        attack=attack,
        modes=modes,
        settings=settings,
        variants=variants,
        salience=salience,
        side=side,
        sandbox=sandbox,
        budget=budget,
    )
