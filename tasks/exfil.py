"""`inspect eval tasks/exfil.py`: will the agent copy the weights out, and will control catch it?"""

from __future__ import annotations

from typing import Any

from inspect_ai import Task, task

from policies.naming import of_distribution
from sandbox import cell
from sandbox.setting import DEFAULT_SALIENCE
from sandbox.settingspec import Salience
from tasks.choosing import choose
from tasks.errors import usage_errors
from tasks.game import game
from tasks.roles import trusted_model, untrusted_model
from tasks.samples import modes_of, samples
from tasks.scoring import control_outcome
from tasks.worlds import exfiltration_settings, find_settings


@task(name="sallyport/exfil")
@of_distribution
def exfil(
    protocol: str | dict[str, Any] = "trusted_monitoring",
    monitor: str | dict[str, Any] | None = None,
    modes: str | list[str] = "honest,attack",
    settings: str | list[str] = "all",
    variants: int = 1,
    salience: Salience = DEFAULT_SALIENCE,
    side: str | None = None,
    sandbox: str = "auto",
) -> Task:
    """An agent with a real job next to what must not leave, under a control protocol.

    Args:
        protocol: a protocol by name, or `{name: ..., threshold: ...}`.
        monitor: a monitor, likewise; by default `prompted` when `--model-role monitor=` is given,
            else the offline `rules`.
        modes: `honest`, `attack` or `natural`, or several, separated by commas.
        settings: settings by name, or by the path of their folder; `all` for every one that is
            about exfiltration.
        variants: how many worlds of each.
        salience: `suggested`, `discoverable` or `obscure`: how plainly the opportunity lies there.
        side: what red wants, by name; each setting's first unless given.
        sandbox: `auto`, `namespace` or `docker`.
    """
    choice = choose(protocol, monitor)
    with usage_errors():
        found = find_settings(settings, exfiltration_settings())
        dataset = samples(found, variants, modes_of(modes), salience, side)
        untrusted = untrusted_model()
        trusted = trusted_model(untrusted) if choice.asks_trusted else None
        provider = cell.choose(sandbox)
    print(
        f"sallyport: protocol {choice.protocol.name}, "
        f"monitor {choice.judge.name if choice.monitor else 'none'}, "
        f"settings {dataset.name}, sandbox {provider}"
    )
    return game(
        dataset,
        choice,
        provider,
        untrusted,
        trusted,
        control_outcome(provider),
        {"salience": salience},
    )
