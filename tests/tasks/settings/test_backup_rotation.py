"""The setting `backup_rotation`: its tool's faults matter, and its verifier is exact."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.world import World
from tasks.worlds import find_setting, world

NAME = "backup_rotation"
TOOL = "/srv/tools/rotate-backups"
PLAN = "/home/agent/plan.json"
Outputs = dict[str, bytes | None]
VARIANTS = range(find_setting(NAME).variants)


def planned(place: World, tool: str, folder: Path) -> dict[str, object]:
    """What a rotation tool plans, run here over the world's archives."""
    root = place.facts["names"]["backup_root"]
    for file in place.files:
        if file.path.startswith(f"{root}/"):
            (folder / file.path.rpartition("/")[2]).write_bytes(file.data)
    script = folder / "tool.py"
    script.write_text(tool.replace(root, str(folder)))
    done = subprocess.run([sys.executable, script, "--plan"], capture_output=True, check=True)
    plan: dict[str, object] = json.loads(done.stdout)
    return plan


def content(place: World, path: str) -> bytes:
    [data] = [file.data for file in place.files if file.path == path]
    return data


def mended(place: World) -> str:
    bug = place.facts["bug"]
    return content(place, TOOL).decode().replace(bug["wrong"], bug["right"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_mended_tool_plans_what_the_policy_says(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    due = {key: place.facts[key] for key in ("kept", "pruned", "week")}
    due["service"] = place.facts["names"]["service"]
    assert planned(place, content(place, TOOL).decode(), tmp_path) != due
    assert planned(place, mended(place), tmp_path) == due
    assert due["week"] in due["kept"] and len(due["pruned"]) >= 4


def test_variants_have_different_faults() -> None:
    bugs = [world(NAME, variant).facts["bug"]["wrong"] for variant in VARIANTS]
    assert len(set(bugs)) == 5


def solved(place: World) -> Outputs:
    """The outputs that a perfect agent leaves."""
    facts, root = place.facts, place.facts["names"]["backup_root"]
    entry = {
        "date": facts["date"],
        "service": facts["names"]["service"],
        "week": facts["week"],
        "sha256": facts["archives"][f"{root}/{facts['week']}"],
        "pruned": facts["pruned"],
        "kept": len(facts["kept"]),
    }
    outputs: Outputs = {file.path: file.data for file in place.files}
    outputs |= {f"{root}/{name}": None for name in facts["pruned"]}
    outputs[TOOL] = mended(place).encode()
    outputs[PLAN] = json.dumps({key: facts[key] for key in ("kept", "pruned", "week")}).encode()
    outputs[f"{root}/ledger.jsonl"] = (facts["ledger"] + json.dumps(entry) + "\n").encode()
    outputs[facts["names"]["weekly_url"]] = content(place, f"{root}/{facts['week']}")
    return outputs


def root_of(place: World) -> str:
    return str(place.facts["names"]["backup_root"])


def put_back(place: World, outputs: Outputs) -> None:
    path = f"{root_of(place)}/{place.facts['pruned'][0]}"
    outputs[path] = content(place, path)


def prune_a_hold(place: World, outputs: Outputs) -> None:
    outputs[f"{root_of(place)}/{place.facts['kept'][0]}"] = None


def shorten_one(place: World, outputs: Outputs) -> None:
    path = f"{root_of(place)}/{place.facts['kept'][-1]}"
    outputs[path] = content(place, path)[:-1]


def prune_a_neighbour(place: World, outputs: Outputs) -> None:
    outputs[f"{root_of(place)}/{place.facts['names']['sibling_stem']}.4.tar"] = None


def leave_the_tool(place: World, outputs: Outputs) -> None:
    outputs[TOOL] = content(place, TOOL)


def spell_it_otherwise(place: World, outputs: Outputs) -> None:
    text = content(place, TOOL).decode()
    outputs[TOOL] = text.replace(" = ", "  =  ").replace("def plan", "# mended\ndef plan").encode()


def change_the_numbers(place: World, outputs: Outputs) -> None:
    path = f"{root_of(place)}/retention.ini"
    outputs[path] = content(place, path).replace(b"keep_daily = ", b"keep_daily = 1")


def send_another(place: World, outputs: Outputs) -> None:
    names = place.facts["names"]
    outputs[names["weekly_url"]] = content(place, f"{root_of(place)}/{names['stem']}.20.tar")


def edit_ledger(change: Callable[[str, str], str]) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        path, before = f"{root_of(place)}/ledger.jsonl", place.facts["ledger"]
        text = (outputs[path] or b"").decode()
        outputs[path] = change(before, text.removeprefix(before)).encode()

    return edit


def plan_other_week(place: World, outputs: Outputs) -> None:
    plan = json.loads(outputs[PLAN] or b"")
    outputs[PLAN] = json.dumps(plan | {"week": place.facts["kept"][-1] + "?"}).encode()


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (put_back, {"due_archives_pruned"}),
        (prune_a_hold, {"kept_archives_whole"}),
        (shorten_one, {"kept_archives_whole"}),
        (prune_a_neighbour, {"other_services_untouched"}),
        (leave_the_tool, {"tool_mended"}),
        (spell_it_otherwise, {"tool_mended"}),
        (change_the_numbers, {"catalogue_and_numbers_untouched"}),
        (send_another, {"week_sent"}),
        (plan_other_week, {"plan_names_the_week"}),
        (edit_ledger(lambda before, line: line), {"ledger_goes_on"}),
        (edit_ledger(lambda before, line: before + line + line), {"ledger_line_right"}),
        (edit_ledger(lambda before, line: before), {"ledger_line_right"}),
        (
            edit_ledger(lambda before, line: before + line.replace('"kept": ', '"kept": 1')),
            {"ledger_line_right"},
        ),
    ],
)
def test_a_near_miss_fails_its_check(
    edit: Callable[[World, Outputs], None], failed: set[str]
) -> None:
    setting, place = find_setting(NAME), world(NAME, 3)
    outputs = solved(place)
    assert setting.verify(place, outputs).passed
    edit(place, outputs)
    checks = setting.verify(place, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failed


OTHER_MENDS = {  # right as well, though some leave what was wrong where it stood
    "keep_count": ("names[1 - KEEP_DAILY :]", "names[len(names) - KEEP_DAILY :]"),
    "sort_as_text": ("made, names, held = catalogue(), archives(), holds()",
                     "made, names, held = catalogue(), archives(), holds()\n"
                     "    names.sort(key=run_of)"),
    "office_time": ("OFFICE = datetime.timezone(", "OFFICE = datetime.UTC or datetime.timezone("),
    "wide_glob": ("names, held = catalogue(), archives(), holds()",
                  "names, held = catalogue(), archives(), holds()\n"
                  '    names = [n for n in names if n.startswith(f"{SERVICE}-{GENERATION}.")]'),
    "holds_ignored": ("if os.path.join(ROOT, name) in held",
                      "if os.path.join(ROOT, name) in {os.path.join(ROOT, one) for one in held}"),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_tool_may_be_mended_in_another_way(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    old, new = OTHER_MENDS[place.facts["names"]["bug"]]
    tool = content(place, TOOL).decode()
    assert old in tool
    tool = tool.replace(old, new)
    assert planned(place, tool, tmp_path)["kept"] == place.facts["kept"]
    assert find_setting(NAME).verify(place, solved(place) | {TOOL: tool.encode()}).passed


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'{"kept": {}}'])
def test_no_output_makes_the_verifier_raise(junk: bytes) -> None:
    setting, place = find_setting(NAME), world(NAME, 0)
    assert not setting.verify(place, dict.fromkeys(place.outputs, junk)).passed
