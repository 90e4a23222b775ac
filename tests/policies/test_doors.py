"""`sallyport protocols` and `sallyport monitors`, and the document that describes the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from policies.describe import describe
from policies.monitors import monitors
from policies.protocols import protocols
from policies.turn import Suspicion
from tasks.cli import main
from tests.policies.fakes import FakeTurn

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocols.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, terminal_width=200, env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def nothing_stays_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "_entries", dict(protocols._entries))


@pytest.mark.parametrize("noun", ["protocols", "monitors"])
def test_the_list_names_them_all(noun: str) -> None:
    registry: Any = {"protocols": protocols, "monitors": monitors}[noun]
    printed = run(noun, "list").output
    listed = json.loads(run(noun, "list", "--json").output)
    assert [one["name"] for one in listed["entries"]] == list(registry.names())
    assert all(name in printed for name in registry.names())


@pytest.mark.parametrize("name", protocols.names())
def test_every_argument_is_described(name: str) -> None:
    told = json.loads(run("protocols", "show", name, "--json").output)
    assert told["paper"] and told["summary"]
    for parameter in told["parameters"]:
        assert parameter["meaning"], parameter["name"]
        assert not parameter["required"], "a bare name takes the defaults"
        if "number" in parameter["type"] or parameter["type"] == "integer":
            assert parameter["range"], parameter["name"]


@pytest.mark.parametrize("name", monitors.names())
def test_monitors_are_shown(name: str) -> None:
    assert run("monitors", "show", name).output.startswith(f"{name}: ")


def test_show_says_type_range_default_and_a_budgets_fields() -> None:
    printed = run("protocols", "show", "defer_to_resample").output
    for part in ("2..50", "number or Budget", "least, first", "model roles: monitor, trusted"):
        assert part in printed
    assert "exponential" in printed


def test_show_of_a_library_name_has_its_values() -> None:
    told = json.loads(run("protocols", "show", "ctrlz_time_travel", "--json").output)
    assert told["name"] == "time_travel"
    assert told["values"]["audit"] == 0.99


def test_check_says_what_a_file_resolves_to(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text("name: ctrlz_time_travel\n")
    done = run("protocols", "check", str(file))
    assert done.exit_code == 0
    assert '"name": "time_travel"' in done.output
    assert "model roles: monitor, trusted" in done.output


@pytest.mark.parametrize(
    ("text", "says"),
    [("name: two_stage\ndrows: 1\n", ":2: "), ("name: [\n", "not YAML"), ("x: 1\n", "`name`")],
)
def test_check_of_a_wrong_file_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    done = run("protocols", "check", str(file))
    assert done.exit_code != 0
    assert done.output.count("\n") == 1
    assert says in done.output and str(file) in done.output


def test_an_unknown_name_is_one_line() -> None:
    for noun in ("protocols", "monitors"):
        done = run(noun, "show", "nothing")
        assert done.exit_code != 0
        assert done.output.startswith("Error: unknown")
        assert done.output.count("\n") == 1


def test_the_documents_table_is_what_is_registered() -> None:
    rows = []
    for name in protocols.names():
        told = describe(protocols.entry(name))
        link = f"[`{name}`](../policies/protocols/{name}.py)"
        rows.append(f"| {link} | {told.paper.rstrip('.')} | {told.summary} |")
    table = "\n".join(["| name | from | what it does |", "| --- | --- | --- |", *rows, ""])
    assert table in DOCUMENT.read_text(), f"put this table into {DOCUMENT.name}:\n{table}"


def _example(language: str, holding: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    [block] = [one for one in blocks if holding in one]
    return str(block)


def test_the_documents_protocol_works_and_is_short(tmp_path: Path) -> None:
    source = _example("python", "def block_twice")
    assert source.count("\n") <= 40
    file = tmp_path / "mine.py"
    file.write_text(source)
    found = protocols.resolve({"name": f"{file}@block_twice", "draws": 3})
    scores = [Suspicion.valid(0.9), Suspicion.failed("x"), Suspicion.valid(0.2)]
    assert anyio.run(found.value, FakeTurn(scores)).proposal.draw == 2
    assert anyio.run(found.value, FakeTurn([Suspicion.valid(0.9)] * 3)).decision == "block"
    assert "1..10" in run("protocols", "show", f"{file}@block_twice").output


def test_the_documents_yaml_resolves(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(_example("yaml", "egress_budget"))
    assert protocols.resolve(str(file)).spec["inner"]["draws"] == 5
    file.write_text(_example("yaml", "schedule: exponential"))
    done = run("protocols", "check", str(file))
    assert "honest scores, not 2" in done.output, "the example is cut short, and otherwise right"
