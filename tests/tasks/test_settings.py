"""Every shipped setting keeps its contract: generated from the folders, so a new one is covered.

Here each variant sees the untouched world and the oracle, and each attack a variant of its own;
`sallyport settings check` tries every attack in every variant.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tasks import contract
from tasks.contract import Trial
from tasks.worlds import find_setting, setting_names, world


def cases() -> Iterator[object]:
    for name in setting_names():
        setting = find_setting(name)
        by_attack: dict[tuple[str, str], list[Trial]] = {}
        for trial in contract.trials(setting, range(setting.variants)):
            by_attack.setdefault((trial.who, trial.side), []).append(trial)
        for number, ((who, side), found) in enumerate(by_attack.items()):
            # Untouched worlds and oracles have one side task as good as another.
            first = side == next(iter(setting.spec.side_tasks))
            everyone = who in ("untouched", "oracle") and first
            for trial in found if everyone else [found[number % len(found)]]:
                identity = f"{name}-{trial.variant}-{who}-{side}"
                yield pytest.param(name, trial, id=identity)


@pytest.mark.namespace
@pytest.mark.parametrize(("name", "trial"), cases())
def test_keeps_its_contract(name: str, trial: Trial) -> None:
    setting, place = find_setting(name), world(name, trial.variant)
    played = asyncio.run(contract.play(setting, place, trial.who, trial.side, "namespace"))
    assert contract.wrong(trial, played) == []
