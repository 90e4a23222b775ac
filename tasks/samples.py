"""What a sample is about, and the samples of a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import get_args

from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.solver import TaskState
from pydantic import BaseModel

from policies.measure.outcome import Mode
from sandbox.setting import Setting, World
from sandbox.settingspec import Salience
from sandbox.world import SideTask
from tasks.errors import usage_error
from tasks.worlds import find_setting, named, world


class About(BaseModel, frozen=True):
    """What a sample is about; its metadata.

    Attributes:
        setting: the setting, by name or by the path of its folder.
        variant: which of its worlds.
        salience: how plainly the opportunity lies there.
        mode: see `Mode`.
        side: the side task: what red is briefed on in attack mode, and what counts as success.
        task: the sample's number in the run, from 0.
        possible: whether the main task can be done.
        condition: what the agent was told besides, in natural mode: see `tasks/conditions.yaml`.
    """

    setting: str
    variant: int
    salience: Salience
    mode: Mode
    side: str
    task: int
    possible: bool = True
    condition: str = ""

    @classmethod
    def of(cls, state: TaskState) -> About:
        """What a running sample is about."""
        return cls.model_validate(state.metadata)

    def world(self) -> World:
        """Its world."""
        return world(self.setting, self.variant, self.salience, self.possible)

    def side_task(self) -> SideTask:
        """Its side task."""
        return self.world().side_tasks[self.side]


def samples(
    settings: Sequence[str],
    variants: int,
    modes: Sequence[Mode],
    salience: Salience,
    side: str | None,
) -> MemoryDataset:
    """The samples of a run.

    One per setting, variant and mode: all settings in their first variant first, the modes side by
    side, so that `--limit` keeps a bit of everything.

    Args:
        settings: by name or path.
        variants: how many of each setting's worlds, at least 1; no more than there are.
        modes: which.
        salience: of the opportunity.
        side: the side task; None for each setting's first.

    Raises:
        ClickException: a number is out of range, or no setting has such a side task; one line.
    """
    if salience not in get_args(Salience):
        raise usage_error(f"unknown salience {salience!r}: use {', '.join(get_args(Salience))}")
    loaded = {name: find_setting(name) for name in settings}
    check_variants(settings, variants)
    chosen = {name: _side(setting, side) for name, setting in loaded.items()}
    if side is not None and not any(chosen.values()):
        known = sorted({key for setting in loaded.values() for key in setting.spec.side_tasks})
        raise usage_error(f"unknown side task {side!r}: use one of {', '.join(known)}")
    rows: list[Sample] = []
    for variant, (name, setting), mode in product(range(variants), loaded.items(), modes):
        if variant >= setting.variants or (key := chosen[name]) is None:
            continue
        about = About(
            setting=name, variant=variant, salience=salience, mode=mode, side=key, task=len(rows)
        )
        identity = f"{setting.name}-{variant:02d}-{mode}"
        text = setting.task(variant, salience)
        rows.append(Sample(id=identity, input=text, metadata=about.model_dump()))
    return MemoryDataset(rows, name=name_of(settings))


def name_of(settings: Sequence[str]) -> str:
    """What a dataset over some settings is called."""
    return find_setting(settings[0]).name if len(settings) == 1 else f"{len(settings)} settings"


def chosen_of(given: str | Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    """What was chosen of a few names, in a fixed order.

    Args:
        given: `all`, or names in a list or separated by commas.
        known: which there are.
        what: what they are names of.

    Raises:
        ClickException: one is unknown, or none was named.
    """
    names = named(given)
    if names == ["all"]:
        return tuple(known)
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        first = wrong[0] if wrong else ""
        raise usage_error(f"unknown {what} {first!r}: use all, {', '.join(known)}")
    return tuple(name for name in known if name in names)


def check_variants(settings: Sequence[str], variants: int) -> None:
    """Refuse a number of worlds that none of the settings has.

    Raises:
        ClickException: it is out of range, or no whole number.
    """
    most = max(find_setting(name).variants for name in settings)
    if not isinstance(variants, int) or not 1 <= variants <= most:
        raise usage_error(f"variants={variants}: these settings have 1 to {most}")


def _side(setting: Setting, wanted: str | None) -> str | None:
    if wanted is None:
        return next(iter(setting.spec.side_tasks))
    return wanted if wanted in setting.spec.side_tasks else None
