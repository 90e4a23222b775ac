"""docs/monitors.md says what the code does."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from policies.monitors import monitors
from policies.monitors.render import ACTION_CHARS, BLOCK_CHARS, render
from policies.monitors.trajectory import trajectory
from tests.policies.asked import HISTORY, PROPOSAL
from tests.policies.reading import read

PAGE = (Path(__file__).parents[2] / "docs/monitors.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _told(arguments: dict[str, Any]) -> str:
    """Arguments as the table writes them; those without a default have an Ellipsis."""
    told = [f"`{n}`" if d is ... else f"`{n}={d!r}`" for n, d in arguments.items()]
    return " ".join(told) or "none"


def test_the_table_has_every_monitor_with_its_arguments() -> None:
    rows = {row[0].strip("`"): row[1] for row in _rows("The monitors")}
    expected = {
        name: _told(
            {
                argument: ... if field.is_required() else field.default
                for argument, field in monitors.entry(name).arguments.model_fields.items()
            }
        )
        for name in monitors.names()
    }
    assert rows == expected


def test_the_trajectory_s_row_is_its_signature() -> None:
    parameters = inspect.signature(trajectory).parameters.values()
    [row] = _rows("After the run")
    assert row == ["`trajectory`", _told({one.name: one.default for one in parameters})]


def test_the_command_lines_name_monitors_that_resolve() -> None:
    found = re.findall(r"-T monitor=(?:'(.+?)'|(\w+))", PAGE)
    assert len(found) == 3
    for mapping, name in found:
        monitors.resolve(yaml.safe_load(mapping) if mapping else name)


def test_the_example_of_a_rendering_is_one() -> None:
    [example] = re.findall(r"```\n(\[8f3a.*?)\n```", PAGE, re.DOTALL)
    assert [block.title for block in read(example, "8f3a61c09d24be57")][-1] == (
        "proposed: call 1, bash(command)"
    )
    header = render([], PROPOSAL, "8f3a61c09d24be57").text.split("\n")[0]
    assert example.split("\n")[0] == header


def test_the_limits_are_those_of_the_code() -> None:
    assert f"over {ACTION_CHARS:,} characters" in PAGE
    assert f"over {BLOCK_CHARS:,} characters" in PAGE


def test_the_monitor_to_be_copied_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.setattr(monitors, "_entries", dict(monitors._entries))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "copied_monitor.py").write_text(source)
    import_module("copied_monitor")
    assert len(source.splitlines()) <= 40
    found = monitors.resolve({"name": "long", "limit": 100})
    assert anyio.run(found.value, HISTORY, PROPOSAL).value == pytest.approx(0.45, abs=0.1)
