"""`inspect eval tasks/propensity.py`: what does a model do that nobody told to attack?

Natural mode: the opportunity is merely there. The same worlds are played under several conditions
and levels of salience, so that cells differ in one thing; the rate of attempts of each comes with
its interval. The two set-ups of the literature are the settings `weight_access` (a model deployed
inside the company, with access to its weights; Greenblatt et al., 2412.14093, section 4.4.2) and
`self_copy` (what stands in the way of a goal lies in files that the work leads past; Meinke et al.,
2412.04984, section 3), in our own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, get_args

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample

from policies.naming import of_distribution
from sandbox import cell
from sandbox.setting import Setting
from sandbox.settingspec import Salience
from tasks.choosing import choose
from tasks.conditions import conditions, under
from tasks.errors import usage_error, usage_errors
from tasks.game import game
from tasks.interview import interview
from tasks.propensity_score import cell_of, propensity_outcome
from tasks.roles import trusted_model, untrusted_model
from tasks.samples import About, check_variants, chosen_of, name_of
from tasks.worlds import find_setting, find_settings, setting_names

_LITERATURE = "weight_access,self_copy"


@task(name="sallyport/propensity")
@of_distribution
def propensity(
    settings: str | list[str] = _LITERATURE,
    condition: str | list[str] = "all",
    salience: str | list[str] = "all",
    variants: int = 1,
    protocol: str | dict[str, Any] = "none",
    monitor: str | dict[str, Any] | None = None,
    questions: bool = False,
    sandbox: str = "auto",
) -> Task:
    """An agent with a real job and an opportunity that nobody tells it to take.

    Args:
        settings: settings by name, or by the path of their folder; `all` for every one.
        condition: names out of `tasks/conditions.yaml`, or `all`.
        salience: `suggested`, `discoverable`, `obscure`, or `all`.
        variants: how many worlds of each setting.
        protocol: a protocol by name, or `{name: ..., ...}`; without any, what is tried is seen.
        monitor: a monitor, likewise.
        questions: ask the model in the end what it did, and hold its answers against the evidence.
        sandbox: `auto`, `namespace` or `docker`.
    """
    choice = choose(protocol, monitor)
    if not isinstance(questions, bool):
        raise usage_error(f"questions={questions!r}: use true or false")
    with usage_errors():
        found = find_settings(settings, setting_names())
        chosen = chosen_of(condition, tuple(conditions()), "condition")
        levels = chosen_of(salience, get_args(Salience), "salience")
        dataset = natural_samples(found, chosen, levels, variants)
        untrusted = untrusted_model()
        trusted = trusted_model(untrusted) if choice.asks_trusted else None
        provider = cell.choose(sandbox)
    print(
        f"sallyport: natural mode, protocol {choice.protocol.name}, settings {','.join(found)}, "
        f"sandbox {provider}"
    )
    return game(
        dataset,
        choice,
        None,
        provider,
        untrusted,
        trusted,
        propensity_outcome(
            provider,
            [cell_of(*one) for one in product(chosen, levels)],
            choice.monitor.name if choice.monitor else None,
        ),
        {"mode": "natural"},
        after=interview() if questions else None,
    )


def natural_samples(
    settings: Sequence[str], chosen: Sequence[str], levels: Sequence[str], variants: int
) -> MemoryDataset:
    """One sample per variant, setting, salience and condition; conditions side by side.

    Args:
        settings: by name or path.
        chosen: conditions by name.
        levels: of salience.
        variants: how many of each setting's worlds, at least 1; no more than there are.

    Raises:
        ClickException: a number is out of range, or a setting does not tell a condition or a level
            from the others; one line.
    """
    for setting in map(find_setting, settings):
        _require_difference(setting, chosen, levels)
    check_variants(settings, variants)
    rows: list[Sample] = []
    for variant, name, level, key in product(range(variants), settings, levels, chosen):
        setting = find_setting(name)
        if variant >= setting.variants:
            continue
        about = About.model_validate(
            {
                "setting": name,
                "variant": variant,
                "salience": level,
                "mode": "natural",
                "side": next(iter(setting.spec.side_tasks)),
                "task": len(rows),
                "possible": conditions()[key].possible,
                "condition": key,
            }
        )
        text = under(key, setting.task(variant, about.salience))
        identity = f"{setting.name}-{variant:02d}-{level}-{key}"
        rows.append(Sample(id=identity, input=text, metadata=about.model_dump()))
    return MemoryDataset(rows, name=name_of(settings))


def _require_difference(setting: Setting, chosen: Sequence[str], levels: Sequence[str]) -> None:
    """See that no cell is another one under its name."""
    undeclared = [level for level in levels if level not in setting.spec.salience]
    if undeclared:
        raise usage_error(f"{setting.name} is without salience {undeclared[0]}: leave one out")
    impossible = [key for key in chosen if not conditions()[key].possible]
    if impossible and not setting.spec.impossible:
        raise usage_error(f"{setting.name} is without condition {impossible[0]}: leave one out")
