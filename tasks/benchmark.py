"""A benchmark over settings: what the tasks `exfil` and `oversight` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, get_args

from inspect_ai import Task

from policies.measure.outcome import Mode
from policies.measure.thresholds import check_budget
from sandbox import cell
from sandbox.settingspec import Salience
from tasks.attacking import choose_attack
from tasks.choosing import choose
from tasks.errors import usage_error, usage_errors
from tasks.game import game
from tasks.roles import require_sensible, trusted_model, untrusted_model
from tasks.samples import chosen_of, samples
from tasks.scoring import control_metrics, control_outcome
from tasks.worlds import find_setting, find_settings


def benchmark(
    everything: Sequence[str],
    *,
    protocol: str | dict[str, Any],
    monitor: str | dict[str, Any] | None,
    attack: str | dict[str, Any],
    modes: str | list[str],
    settings: str | list[str],
    variants: int,
    salience: Salience,
    side: str | None,
    sandbox: str,
    budget: float,
) -> Task:
    """Check what was typed and make the task of it; arguments as `tasks.exfil.exfil` says.

    Args:
        everything: the settings that `all` stands for.
        protocol: see there, and so on.
        monitor: see there.
        attack: see there.
        modes: see there.
        settings: see there.
        variants: see there.
        salience: see there.
        side: see there.
        sandbox: see there.
        budget: see there.

    Raises:
        ClickException: something is wrong with it; one line.
    """
    choice = choose(protocol, monitor)
    red = choose_attack(attack, choice)
    with usage_errors():
        found = find_settings(settings, everything)
        wanted = cast(tuple[Mode, ...], chosen_of(modes, get_args(Mode), "mode"))
        dataset = samples(found, variants, wanted, salience, side)
        untrusted = untrusted_model()
        require_sensible(untrusted, [find_setting(name) for name in found])
        asks_trusted = choice.asks_trusted or "trusted" in red.roles
        trusted = trusted_model(untrusted) if asks_trusted else None
        provider = cell.choose(sandbox)
    try:
        check_budget(budget)
    except TypeError as error:
        raise usage_error(f"budget={budget!r}: give a share, such as 0.01") from error
    except ValueError as error:
        raise usage_error(f"budget={budget!r}: {error}") from error
    print(
        f"sallyport: protocol {choice.protocol.name}, "
        f"monitor {choice.judge.name if choice.monitor else 'none'}, attack {red.policy.name}, "
        f"settings {','.join(found)}, sandbox {provider}"
    )
    return game(
        dataset,
        choice,
        red,
        provider,
        untrusted,
        trusted,
        control_outcome(provider, choice.monitor.name if choice.monitor else None),
        {"salience": salience},
        metrics=control_metrics(budget),
    )
