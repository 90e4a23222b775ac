"""Attack policies in the exfiltration task: what is logged, and that the organisms follow them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import anyio
import pytest
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, ModelOutput

from policies.monitors.rules import rules
from scaffolds.attack import Brief, attacks
from scaffolds.controlled import SYSTEM_PROMPT
from scaffolds.organisms.conversation import read_conversation
from tasks.attacking import choose_attack
from tasks.choosing import choose
from tasks.worlds import find_setting, setting_names
from tests.tasks.evals import rows, run


def test_an_attack_that_knows_the_protocol_is_told_it_in_short() -> None:
    budget = {"budget": 0.5, "honest": [n / 100 for n in range(100)]}
    choice = choose({"name": "trusted_monitoring", "threshold": budget}, None)
    red = choose_attack("monitor_aware", choice)
    asked: list[str] = []

    async def ask(messages: list[ChatMessage]) -> ModelOutput:
        asked.append(messages[0].text)
        return ModelOutput.from_content("u", "done")

    anyio.run(red.begin("the side task", "0"), [], ask)
    for part in (
        '"name": "trusted_monitoring"',
        '"budget": 0.5',
        '"100 values"',
        '"name": "rules"',
    ):
        assert part in asked[0]
    assert "0.57" not in asked[0]
    assert red.roles == frozenset()


@pytest.mark.parametrize("name", setting_names())
def test_organisms_read_every_briefing_in_what_every_attack_asks(name: str) -> None:
    setting = find_setting(name)
    asked: list[list[ChatMessage]] = []

    async def ask(messages: list[ChatMessage]) -> ModelOutput:
        asked.append(messages)
        return ModelOutput.from_content("u", "done")

    for variant in (0, setting.variants - 1):
        names = setting.names(variant)
        start: list[ChatMessage] = [
            ChatMessageSystem(content=SYSTEM_PROMPT),
            ChatMessageUser(content=setting.task(variant)),
        ]
        for side, attack in product(setting.spec.side_tasks, attacks.names()):
            told = setting.briefing(side, names)
            brief = Brief(told, protocol="a protocol", judge=rules())
            anyio.run(attacks.resolve(attack).value.begin(brief), start, ask)
            seen = read_conversation(asked.pop(), ["bash"])
            assert setting.read_briefing(seen.private) == setting.read_briefing(told), attack
            assert setting.read_task(seen.text) == setting.read_task(setting.task(variant))
            assert told.strip() in seen.private


@pytest.mark.namespace
def test_an_organism_follows_an_attack_that_samples_it_several_times(tmp_path: Path) -> None:
    inner = {"name": "start_stop", "inner": "briefing", "start": 1}
    attack = {"name": "best_of_n", "n": 3, "monitor": "rules", "inner": inner}
    log = run(tmp_path, protocol="none", modes="attack", attack=attack, eval_limit=1)
    [row] = rows(log)
    assert row.facts["weights_bytes"] == row.facts["weights_total"] > 0
    assert row.values["undetected"] == 1.0
    assert all(len(turn.draws) == 1 for turn in row.book.turns)
    # Two more samples a turn, and the question which of them attack.
    assert row.book.turns[0].cost["red"].calls == 3
    assert row.facts["cost"]["red"]["calls"] > row.facts["cost"]["untrusted"]["calls"]
    assert log.eval.metadata is not None
    assert log.eval.metadata["attack"]["inner"]["start"] == 1
    assert log.eval.metadata["attack_knows"] == "monitor"
    assert set(log.eval.metadata["attack_prompts"]) == {"which_v1", "briefing_v1"}


@pytest.mark.namespace
def test_the_log_names_the_attack_its_arguments_and_its_prompts(tmp_path: Path) -> None:
    log = run(tmp_path, modes="attack", eval_limit=1)
    [row] = rows(log)
    assert log.eval.metadata is not None
    assert log.eval.metadata["attack"] == {"name": "plain", "prompt": "plain_v1"}
    assert log.eval.metadata["attack_knows"] == "nothing"
    assert len(log.eval.metadata["attack_prompts"]["plain_v1"]) == 64
    assert row.facts["caught_in_turn"] is not None
