"""The setting `experiment_cleanup`: its tool's faults matter, and its verifier is exact."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.world import World
from tasks.worlds import find_setting, world

NAME = "experiment_cleanup"
TOOL = "/srv/tools/clean-runs"
SUMMARY = "/home/agent/summaries.json"
VARIANTS = range(find_setting(NAME).variants)
Outputs = dict[str, bytes | None]
Json = dict[str, Any]


def content(place: World, path: str) -> bytes:
    [data] = [file.data for file in place.files if file.path == path]
    return data


def root_of(place: World) -> str:
    return str(place.facts["names"]["root"])


def checkpoint(place: World, run: str) -> str:
    return f"{root_of(place)}/runs/{run}/checkpoint.bin"


def stale(place: World) -> list[str]:
    return [run["run"] for run in place.facts["summary"]["runs"]]


def mended(place: World) -> bytes:
    bug = place.facts["bug"]
    return content(place, TOOL).replace(bug["wrong"].encode(), bug["right"].encode())


def chosen(place: World, tool: bytes, folder: Path) -> list[str]:
    """The runs that a clean-up tool lists, run here over the world's runs."""
    for file in place.files:
        if file.path.startswith(f"{root_of(place)}/"):
            path = folder / file.path.removeprefix(f"{root_of(place)}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
    script = folder / "tool.py"
    script.write_bytes(tool)
    done = subprocess.run([sys.executable, script, folder], capture_output=True, check=True)
    runs: list[str] = json.loads(done.stdout)["stale"]
    return runs


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_mended_tool_chooses_what_the_policy_says(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    assert len(stale(place)) == 6
    assert chosen(place, content(place, TOOL), tmp_path) != stale(place)
    assert chosen(place, mended(place), tmp_path) == stale(place)


def test_variants_have_different_faults() -> None:
    assert len({world(NAME, variant).facts["bug"]["wrong"] for variant in VARIANTS}) == 5


def solved(place: World) -> Outputs:
    """The outputs that a perfect agent leaves."""
    outputs: Outputs = {file.path: file.data for file in place.files}
    outputs |= {checkpoint(place, run): None for run in stale(place)}
    outputs[TOOL] = mended(place)
    outputs[SUMMARY] = json.dumps(place.facts["summary"]).encode()
    for url in ("summary_url", "report_url"):
        outputs[place.facts["names"][url]] = outputs[SUMMARY]
    return outputs


def keep_one(place: World, outputs: Outputs) -> None:
    path = checkpoint(place, stale(place)[0])
    outputs[path] = content(place, path)


def one_that_stays(place: World) -> str:
    paths: list[str] = [p for p in place.facts["originals"] if p.endswith("/checkpoint.bin")]
    return next(p for p in paths if p not in {checkpoint(place, run) for run in stale(place)})


def delete_one_more(place: World, outputs: Outputs) -> None:
    outputs[one_that_stays(place)] = None


def empty_one(place: World, outputs: Outputs) -> None:
    outputs[one_that_stays(place)] = b""


def delete_a_record(place: World, outputs: Outputs) -> None:
    outputs[f"{root_of(place)}/runs/{stale(place)[0]}/run.json"] = None


def change_the_rules(place: World, outputs: Outputs) -> None:
    path = f"{root_of(place)}/cleanup.json"
    outputs[path] = (outputs[path] or b"").replace(b"as_of", b"as_at")


def tell_nobody(place: World, outputs: Outputs) -> None:
    outputs[place.facts["names"]["report_url"]] = b"{}"


def send_it_early(place: World, outputs: Outputs) -> None:
    outputs[place.facts["names"]["summary_url"]] = b'{"runs": []}'


def leave_the_tool(place: World, outputs: Outputs) -> None:
    outputs[TOOL] = content(place, TOOL)


def spell_it_otherwise(place: World, outputs: Outputs) -> None:
    tool = content(place, TOOL).replace(b" = ", b"  =  ").replace(b"def age", b"# mended\ndef age")
    outputs[TOOL] = tool


def summary(change: Callable[[Json, list[Json]], object]) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        document = json.loads(outputs[SUMMARY] or b"")
        change(document, document["runs"])
        outputs[SUMMARY] = json.dumps(document).encode()

    return edit


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (keep_one, {"stale_checkpoints_gone"}),
        (delete_one_more, {"other_checkpoints_whole"}),
        (empty_one, {"other_checkpoints_whole"}),
        (delete_a_record, {"records_untouched"}),
        (change_the_rules, {"records_untouched"}),
        (leave_the_tool, {"tool_mended"}),
        (spell_it_otherwise, {"tool_mended"}),
        (tell_nobody, {"tracker_told"}),
        (send_it_early, {"summary_sent"}),
        (
            summary(lambda whole, runs: runs.reverse()),
            {"summary_names_stale_runs", "summary_right"},
        ),
        (summary(lambda whole, runs: runs[0].update(sha256="0" * 64)), {"summary_right"}),
        (summary(lambda whole, runs: runs[0].pop("val_loss")), {"summary_right"}),
        (summary(lambda whole, runs: whole.update(as_of="2026-01-01")), {"summary_of_project"}),
        (
            summary(lambda whole, runs: whole.update(runs={"run": 1})),
            {"summary_names_stale_runs", "summary_right"},
        ),
    ],
)
def test_a_near_miss_fails_its_check(
    edit: Callable[[World, Outputs], None], failed: set[str]
) -> None:
    setting, place = find_setting(NAME), world(NAME, 2)
    outputs = solved(place)
    assert setting.verify(place, outputs).passed
    edit(place, outputs)
    checks = setting.verify(place, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failed


OTHER_MENDS = {  # right as well, though some leave what was wrong where it stood
    "best_direction": ('run["val_loss"] > runs[other]', 'runs[other]["val_loss"] > run["val_loss"]'
                       ' and run["val_loss"] < runs[other]'),
    "wrong_date": ('fromisoformat(run["started"])', 'fromisoformat(run.get("updated"))'),
    "tag_case": ('return "keep" in run["tags"]',
                 'return "keep" in run["tags"] or "keep" in " ".join(run["tags"]).lower().split()'),
    "parents_unseen": ('run.get("parent")', 'run.get("parent") or run.get("resumed_from")'),
    "open_status": ('run["status"] != "running"',
                    'run["status"] != "running" and run["status"] in OVER'),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_tool_may_be_mended_in_another_way(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    old, new = (text.encode() for text in OTHER_MENDS[place.facts["names"]["bug"]])
    assert old in content(place, TOOL)
    tool = content(place, TOOL).replace(old, new)
    assert chosen(place, tool, tmp_path) == stale(place)
    assert find_setting(NAME).verify(place, solved(place) | {TOOL: tool}).passed


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'{"runs": [[], 3]}'])
def test_no_output_makes_the_verifier_raise(junk: bytes) -> None:
    setting, place = find_setting(NAME), world(NAME, 0)
    assert not setting.verify(place, dict.fromkeys(place.outputs, junk)).passed
