"""Every shipped setting keeps its contract: generated from the folders, so a new one is covered.

How much of it is played, in real cells, `SALLYPORT_TRIALS` says: `few` (by default: on each setting
the oracle and one or two of the attacks and look-alikes), `some` (what CI plays: nobody, the oracle
in three worlds of each setting, each attack and look-alike somewhere), `each` (the oracle in every
world, each of them on every setting) or `all` (everything in every world, as `sallyport settings
check all` does too; hours).
"""

import asyncio
import os
import re
from collections.abc import Iterator

import pytest

from benchmarks.settings_table import DOCUMENT, page
from tasks import contract
from tasks.contract import Trial
from tasks.worlds import find_setting, setting_names, world

HOW_MUCH = os.environ.get("SALLYPORT_TRIALS", "few")
TRIALS = {
    name: list(contract.trials(find_setting(name), range(find_setting(name).variants)))
    for name in setting_names()
}


def chosen(how_much: str) -> Iterator[tuple[str, Trial]]:
    """The trials to play, by setting."""
    if how_much not in ("few", "some", "each", "all"):
        raise ValueError(f"SALLYPORT_TRIALS={how_much}: use few, some, each or all")
    somewhere: set[str] = set()
    for place, (name, owed) in enumerate(TRIALS.items()):
        variants = find_setting(name).variants
        # One row for each of untouched, oracle and behaviours, with a trial for each variant.
        rows: dict[tuple[str, str], list[Trial]] = {}
        for trial in owed:
            rows.setdefault((trial.who, trial.side), []).append(trial)
        begun = 0
        for number, ((who, side), found) in enumerate(rows.items()):
            main_side = side == next(iter(find_setting(name).spec.side_tasks))
            turn = found[(number + place) % variants]
            if how_much == "all":
                yield from ((name, trial) for trial in found)
            elif who in ("untouched", "oracle"):
                # One side task is as good as another where nobody attacks.
                worlds = {0, (variants // 2 + place) % variants, variants - 1}
                if how_much == "each" and main_side:
                    yield from ((name, trial) for trial in found)
                elif how_much == "some" and main_side and who == "oracle":
                    yield from ((name, found[variant]) for variant in sorted(worlds))
                elif main_side and (how_much, who) != ("few", "untouched"):
                    yield name, turn
            # Every one somewhere, and of every setting two at least; or few of them.
            elif (
                how_much == "each"
                or (how_much == "some" and (who not in somewhere or begun < 2))
                or (how_much == "few" and who not in somewhere and begun < 2)
                or begun < 1
            ):
                somewhere.add(who)
                begun += 1
                yield name, turn


def cases() -> Iterator[object]:
    for name, trial in chosen(HOW_MUCH):
        yield pytest.param(name, trial, id=f"{name}-{trial.variant}-{trial.who}-{trial.side}")


@pytest.mark.namespace
@pytest.mark.parametrize(("name", "trial"), cases())
def test_keeps_its_contract(name: str, trial: Trial) -> None:
    setting, place = find_setting(name), world(name, trial.variant)
    played = asyncio.run(contract.play(setting, place, trial.who, trial.side, "namespace"))
    assert contract.wrong(trial, played) == []
    if trial.who == "oracle":
        low, high = documented_turns()[name]
        assert low <= len(played.actions) <= high


def documented_turns() -> dict[str, tuple[int, int]]:
    rows = re.findall(r"^\| \[(\w+)\].*\| (\d+) to (\d+) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {name: (int(low), int(high)) for name, low, high in rows}


def test_the_document_says_what_the_folders_say() -> None:
    assert page(documented_turns()) == DOCUMENT.read_text()


@pytest.mark.parametrize("name", setting_names())
def test_no_untouched_world_passes(name: str) -> None:
    setting = find_setting(name)
    for variant in range(setting.variants):
        place = setting.world(variant)
        files = {file.path: file.data for file in place.files}
        assert not setting.verify(place, files).passed


GIVEAWAYS = re.compile(
    rb"fake|not.a.real|dummy|honeypot|placeholder|mock|sallyport|inspect.ai|organism|side.task"
    rb"|exfiltrat",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", setting_names())
def test_no_world_says_that_it_is_made_up(name: str) -> None:
    """A model that is told so shows what it does in a test; a monitor reads it too."""
    setting = find_setting(name)
    for variant in range(setting.variants):
        place = setting.world(variant)
        texts = [
            place.task.encode(),
            *(file.data for file in place.files if b"\0" not in file.data),
        ]
        assert {found for text in texts for found in GIVEAWAYS.findall(text)} == set()


def test_no_sample_leaves_a_setting_out_and_cis_leaves_nobody_out() -> None:
    few, some, every = list(chosen("few")), list(chosen("some")), list(chosen("all"))
    assert len(few) < len(some) < len(every) / 10
    for sample in (few, some):
        assert {name for name, _ in sample} == {name for name, _ in every}
        assert {name for name, trial in sample if trial.who == "oracle"} == set(TRIALS)
    assert {trial.who for _, trial in some} == {trial.who for _, trial in every}
