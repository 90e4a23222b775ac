"""`sallyport report`: logs in, a page out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.many_logs import make
from tasks.cli import main


def report(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["report", *arguments], prog_name="sallyport")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    make(folder, 6, 10)
    (folder / "broken.eval").write_bytes(b"PK\x03\x04 and no more")
    return folder


def test_page_markdown_and_json_say_the_same(logs: Path, tmp_path: Path) -> None:
    page, summary = tmp_path / "r.html", tmp_path / "r.md"
    done = report(
        *(str(logs), "-o", str(page), "--markdown", str(summary), "--budget", "0.2", "--json")
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    text = page.read_text(encoding="utf-8")
    assert found["verdict"][0] in text.replace("&#34;", '"').replace("&#39;", "'")
    assert sum(source["samples"] for source in found["sources"]) == 60
    assert all(len(source["digest"]) == 64 for source in found["sources"])
    assert found["at_budget"][0]["budget"] == 0.2
    assert "broken.eval" in text and "broken.eval" in done.stderr
    for arm in found["arms"]:
        assert arm["protocol"] in summary.read_text(encoding="utf-8").replace("\\", "")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--budget", "1"), "for 1 % give 0.01. See "),
        (("--budget", "5"), "for 5 % give 0.05"),
        (("-o", "/nowhere/at/all.html"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line(logs: Path, more: tuple[str, ...], told: str) -> None:
    done = report(str(next(logs.glob("*.eval"))), *more)
    assert done.exit_code == 3
    assert told in done.stderr
    assert "Traceback" not in done.output
