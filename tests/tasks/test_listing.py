"""What the lists name can be typed as it stands there, on a narrow terminal too."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tasks.cli import main


@pytest.mark.parametrize("what", ["settings", "organisms", "protocols", "monitors", "attacks"])
def test_no_name_is_cut_in_80_columns(what: str) -> None:
    runner = CliRunner(env={"COLUMNS": "80"})
    listed = runner.invoke(main, [what, "list"])
    found = json.loads(runner.invoke(main, [what, "list", "--json"]).output)
    rows = found if isinstance(found, list) else found["entries"]
    firsts = [line.split(" ", 1)[0] for line in listed.output.splitlines()]
    assert {row["name"] for row in rows} <= set(firsts)
    assert "…" not in listed.output
    assert max(map(len, listed.output.splitlines())) <= 80
