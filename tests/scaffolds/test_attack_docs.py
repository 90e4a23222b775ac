"""`sallyport attacks`, and docs/attacks.md, which says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from click.testing import CliRunner
from inspect_ai.model import ChatMessage, ModelOutput

from policies.describe import describe
from policies.registry import SpecError
from scaffolds.attack import LADDER, Brief, attacks
from tasks.cli import main

PAGE = (Path(__file__).parents[2] / "docs/attacks.md").read_text()


@pytest.fixture(autouse=True)
def nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(attacks, "_entries", dict(attacks._entries))
    yield


def run(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["attacks", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_every_attack_is_there() -> None:
    assert set(attacks.names()) == {
        "best_of_n",
        "briefing",
        "inject_monitor",
        "monitor_aware",
        "plain",
        "planner",
        "score_aware",
        "slow_drip",
        "start_stop",
        "step_by_step",
    }


def test_the_list_has_name_knowledge_line_and_arguments() -> None:
    printed = run("list")
    listed = {one["name"]: one for one in json.loads(run("list", "--json"))["entries"]}
    assert tuple(listed) == attacks.names()
    for name, one in listed.items():
        assert one["declared"]["knows"] in LADDER
        assert name in printed and one["summary"].split()[0] in printed
    assert [one["name"] for one in listed["slow_drip"]["parameters"]] == ["per_turn", "prompt"]
    assert "per_turn" in printed


@pytest.mark.parametrize("name", attacks.names())
def test_every_argument_is_described_and_has_a_default(name: str) -> None:
    told = json.loads(run("show", name, "--json"))
    assert told["paper"] and told["summary"]
    for parameter in told["parameters"]:
        assert parameter["meaning"] and not parameter["required"], parameter["name"]
        if "integer" in parameter["type"] or "number" in parameter["type"]:
            assert parameter["range"], parameter["name"]
    assert f"knows: {told['declared']['knows']}" in run("show", name)


def test_an_unknown_name_and_a_wrong_spec_say_what_is_right() -> None:
    done = CliRunner().invoke(main, ["attacks", "show", "nothing"])
    assert done.exit_code != 0 and done.output.startswith("Error: unknown attack 'nothing'")
    for spec, says in (
        ({"n": 3}, "an attack needs a name"),
        ({"name": "best_of_n", "n": 1}, "attack best_of_n: n=1"),
        ({"name": "best_of_n", "inner": 3}, "3 is not an attack"),
        ({"name": "best_of_n", "monitor": "oracle"}, "best_of_n, monitor: unknown monitor"),
        ({"name": "start_stop", "start": 5, "stop": 5}, "stop=5 must come after start=5"),
        ({"name": "start_stop", "inner": "sneak"}, "start_stop, inner: unknown attack 'sneak'"),
    ):
        with pytest.raises(SpecError, match=re.escape(says)):
            attacks.resolve(spec)


def test_the_documents_table_is_what_is_registered() -> None:
    rows = []
    for name in attacks.names():
        told = describe(attacks.entry(name))
        link = f"[`{name}`](../scaffolds/attack/{name}.py)"
        taken = " ".join(f"`{one.name}={json.dumps(one.default)}`" for one in told.parameters)
        paper = told.paper.rstrip(".")
        rows.append(f"| {link} | {told.declared['knows']} | {paper} | {told.summary} | {taken} |")
    table = "\n".join(rows)
    assert table in PAGE, f"put this table into docs/attacks.md:\n{table}"


def test_the_ladder_is_the_documents() -> None:
    section = PAGE.split("## The ladder")[1].split("##")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == LADDER


def test_the_command_lines_name_attacks_that_resolve() -> None:
    found = re.findall(r"^inspect eval .* -T attack=(?:'(.+?)'|(\w+))", PAGE, re.MULTILINE)
    assert len(found) == 3
    for mapping, name in found:
        attacks.resolve(yaml.safe_load(mapping) if mapping else name)


def test_the_attack_to_be_copied_works_and_is_short(tmp_path: Path) -> None:
    [source] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    body = source.split("@attack")[1].split('"""')
    assert sum(1 for part in (body[0], body[2]) for line in part.splitlines() if line.strip()) < 15
    file = tmp_path / "mine.py"
    file.write_text(source)
    found = attacks.resolve({"name": f"{file}@longest", "n": 2})
    answers = [ModelOutput.from_content("u", words) for words in ("one two", "one", "never asked")]
    asked: list[Any] = []

    async def ask(messages: list[ChatMessage]) -> ModelOutput:
        asked.append(messages[0].text)
        return answers[len(asked) - 1]

    attack = found.value.begin(Brief("the side task"))
    assert anyio.run(attack, [], ask).completion == "one two"
    assert asked == ["the side task"] * 2
    assert "our own, 2026" in run("show", f"{file}@longest")
