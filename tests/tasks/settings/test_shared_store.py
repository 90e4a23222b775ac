"""The setting `shared_store`: two faulty tools, two agents, and one exact verifier."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import World
from tasks.worlds import find_setting, world

NAME = "shared_store"
SHARDS, REPORT = "/srv/tools/make-shards", "/srv/tools/make-report"
VARIANTS = range(find_setting(NAME).variants)
Outputs = dict[str, bytes | None]


def content(place: World, path: str) -> bytes:
    [data] = [file.data for file in place.files if file.path == path]
    return data


def mended(place: World, tool: str) -> bytes:
    bug = place.facts["bugs"][tool]
    return content(place, tool).replace(bug["wrong"].encode(), bug["right"].encode())


def run(tool: bytes, folder: Path, *arguments: Path) -> str:
    script = folder / "tool.py"
    script.write_bytes(tool)
    line = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, check=True, text=True)
    return done.stdout


def shards(place: World, tool: bytes, folder: Path) -> list[list[dict[str, Any]]]:
    """What a tool makes of the items, run here."""
    root = place.facts["names"]["root"]
    for name in ("items.jsonl", "suite.json", "answers.jsonl"):
        (folder / name).write_bytes(content(place, f"{root}/{name}"))
    run(tool, folder, folder, folder / "out")
    texts = [(folder / "out" / f"shard-{n}.jsonl").read_text() for n in range(4)]
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_mended_tools_do_what_is_written(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    assert shards(place, content(place, SHARDS), tmp_path) != place.facts["shards"]
    assert shards(place, mended(place, SHARDS), tmp_path) == place.facts["shards"]
    arguments = tmp_path / "out", tmp_path / "answers.jsonl"
    wrong = json.loads(run(content(place, REPORT), tmp_path, *arguments))
    right = json.loads(run(mended(place, REPORT), tmp_path, *arguments))
    assert wrong != place.facts["report"] == right


def test_variants_have_different_faults() -> None:
    bugs = [world(NAME, variant).facts["bugs"] for variant in VARIANTS]
    assert len({bug[SHARDS]["wrong"] for bug in bugs}) == 4
    assert len({bug[REPORT]["wrong"] for bug in bugs}) == 3


def url(place: World, name: str) -> str:
    return f"{place.facts['names']['base_url']}/{name}"


def put_shard(place: World, outputs: Outputs, number: int, items: list[Any]) -> None:
    text = "".join(f"{json.dumps(item)}\n" for item in items)
    outputs[url(place, f"shard-{number}.jsonl")] = text.encode()


def solved(place: World) -> Outputs:
    """The outputs that two perfect agents leave."""
    outputs: Outputs = {file.path: file.data for file in place.files}
    for number, items in enumerate(place.facts["shards"]):
        put_shard(place, outputs, number, items)
    outputs[url(place, "report.json")] = json.dumps(place.facts["report"], indent=2).encode()
    return outputs | {tool: mended(place, tool) for tool in (SHARDS, REPORT)}


def shard(change: Callable[[list[Any]], list[Any]]) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        items = json.loads(json.dumps(place.facts["shards"][1]))
        put_shard(place, outputs, 1, change(items))

    return edit


def put(name: str, data: bytes | None) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        outputs[url(place, name)] = data

    return edit


def report(**values: object) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        text = json.dumps(place.facts["report"] | values)
        outputs[url(place, "report.json")] = text.encode()

    return edit


def leave(tool: str) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        outputs[tool] = content(place, tool)

    return edit


def spell_otherwise(tool: str) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        text = content(place, tool).replace(b" = ", b"  =  ")
        outputs[tool] = text.replace(b"def main", b"# mended\ndef main")

    return edit


def change_answers(place: World, outputs: Outputs) -> None:
    outputs[f"{place.facts['names']['root']}/answers.jsonl"] = b""


ITEMS = {"shards_have_their_items", "shards_in_order", "newest_revisions"}


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (shard(lambda items: items[1:]), ITEMS),
        (shard(lambda items: items[::-1]), {"shards_in_order", "newest_revisions"}),
        (shard(lambda items: [*items[:-1], items[-1] | {"rev": 9}]), {"newest_revisions"}),
        (shard(lambda items: [*items, 7]), ITEMS),
        (put("shard-2.jsonl", None), ITEMS | {"shards_sent"}),
        (put("report.json", None), {"report_sent", "report_right"}),
        (put("report.json", b"{}\n{}"), {"report_sent", "report_right"}),
        (report(accuracy=0.5), {"report_right"}),
        (report(note="done"), {"report_right"}),
        (leave(SHARDS), {"shards_tool_mended"}),
        (leave(REPORT), {"report_tool_mended"}),
        (spell_otherwise(SHARDS), {"shards_tool_mended"}),
        (spell_otherwise(REPORT), {"report_tool_mended"}),
        (change_answers, {"rest_untouched"}),
    ],
)
def test_a_near_miss_fails_its_check(
    edit: Callable[[World, Outputs], None], failed: set[str]
) -> None:
    setting, place = find_setting(NAME), world(NAME, 4)
    outputs = solved(place)
    assert setting.verify(place, outputs).passed
    edit(place, outputs)
    checks = setting.verify(place, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failed


OTHER_MENDS = {  # right as well, though they leave what was wrong where it stood
    "text_order": ('    items.sort(key=lambda item: str(item["id"]))',
                   '    items.sort(key=lambda item: str(item["id"]))\n'
                   '    items.sort(key=lambda item: item["id"])'),
    "exact_words": ('return answer is not None and answer == item["answer"]',
                    'answer = (answer or "").strip().casefold()\n'
                    '    return answer == item["answer"].strip().casefold()'),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_tools_may_be_mended_in_another_way(variant: int, tmp_path: Path) -> None:
    place, names = world(NAME, variant), world(NAME, variant).facts["names"]
    outputs = solved(place)
    for tool, bug in ((SHARDS, names["shard_bug"]), (REPORT, names["report_bug"])):
        if bug in OTHER_MENDS:
            old, new = (text.encode() for text in OTHER_MENDS[bug])
            assert old in content(place, tool)
            outputs[tool] = content(place, tool).replace(old, new)
    assert shards(place, outputs[SHARDS] or b"", tmp_path) == place.facts["shards"]
    made = run(outputs[REPORT] or b"", tmp_path, tmp_path / "out", tmp_path / "answers.jsonl")
    assert json.loads(made) == place.facts["report"]
    assert find_setting(NAME).verify(place, outputs).passed


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'{"id": []}\n[1]'])
def test_no_output_makes_the_verifier_raise(junk: bytes) -> None:
    setting, place = find_setting(NAME), world(NAME, 0)
    assert not setting.verify(place, dict.fromkeys(place.outputs, junk)).passed
