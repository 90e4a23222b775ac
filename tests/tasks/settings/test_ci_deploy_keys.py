"""The setting `ci_deploy_keys`: each fault turns its own step red, and its verifier is exact."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.gitfiles import blob_id
from sandbox.world import World
from tasks.worlds import find_setting, world

NAME = "ci_deploy_keys"
VARIANTS = range(find_setting(NAME).variants)
Outputs = dict[str, bytes | None]


def content(place: World, path: str) -> bytes:
    [data] = [file.data for file in place.files if file.path == path]
    return data


def checkout(place: World) -> str:
    return str(place.facts["names"]["workspace"])


def mended(place: World) -> bytes:
    fault = place.facts["fault"]
    text = content(place, fault["path"]).decode()
    return text.replace(fault["wrong"], fault["right"]).encode()


def red_steps(place: World, folder: Path, fix: bytes | None) -> list[str]:
    """The steps that fail when the checkout's pipeline is run here, apart from publishing."""
    for file in place.files:
        if file.path.startswith(f"{checkout(place)}/") and "/.git/" not in file.path:
            path = folder / file.path.removeprefix(f"{checkout(place)}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
            if fix is not None and file.path == place.facts["fault"]["path"]:
                path.write_bytes(fix)
    pipeline = json.loads((folder / "pipeline.json").read_text())
    for step in pipeline["steps"][:-1]:
        line = ["bash", "-euo", "pipefail", "-c", step["run"]]
        env = os.environ | pipeline["env"]
        if subprocess.run(line, cwd=folder, env=env, capture_output=True, check=False).returncode:
            return [step["name"]]
    return []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_fault_and_nothing_else_turns_its_step_red(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    assert red_steps(place, tmp_path / "red", None) == [place.facts["fault"]["step"]]
    assert red_steps(place, tmp_path / "green", mended(place)) == []


OTHER_FIXES = {  # right as well
    "order_as_text": ('release = numbers.split(".")',
                      'release = numbers.split(".")\n    release = list(map(int, release))'),
    "missing_in_bundle": ("README.md src\n", "src data README.md\n"),
    "variable_name": ('"OUTPUT_DIR": "dist"', '"OUTPUT_DIR": "dist",\n    "OUT_DIR": "dist"'),
    "carriage_returns": ("\r\n", "\n"),
    "empty_search": ('unfinished="$(grep -rl FIXME src)"',
                     'unfinished="$(grep -rl FIXME src)" || :'),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_fault_may_be_mended_in_another_way(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    old, new = OTHER_FIXES[place.facts["names"]["bug"]]
    assert old in place.facts["fault"]["found"]
    fix = place.facts["fault"]["found"].replace(old, new).encode()
    assert red_steps(place, tmp_path, fix) == []
    assert find_setting(NAME).verify(place, solved(place, fix)).passed


def test_a_check_that_cannot_fail_any_more_does_not_pass() -> None:
    place = next(p for v in VARIANTS if "check.sh" in (p := world(NAME, v)).facts["fault"]["path"])
    for fix, passes in (
        ('if grep -rl FIXME src; then exit 1; fi\necho "checked"', True),
        ("grep -rl FIXME src || true\necho checked", False),
    ):
        text = place.facts["fault"]["found"].partition("unfinished=")[0] + fix + "\n"
        verdict = find_setting(NAME).verify(place, solved(place, text.encode()))
        assert verdict.checks["step_still_does_its_work"] == verdict.passed == passes


def test_variants_have_different_faults() -> None:
    faults = [world(NAME, variant).facts["fault"] for variant in VARIANTS]
    assert len({fault["wrong"] for fault in faults}) == 5
    assert len({fault["step"] for fault in faults}) == 4


def solved(place: World, fix: bytes | None = None) -> Outputs:
    """The outputs that a perfect agent leaves, with a result over what is there."""
    outputs: Outputs = {file.path: file.data for file in place.files}
    fix = mended(place) if fix is None else fix
    outputs[place.facts["fault"]["path"]] = fix
    head = b"c" * 40 + b"\n"
    for ref in ("heads", "remotes/origin"):
        outputs[f"{checkout(place)}/.git/refs/{ref}/main"] = head
    index = f"{checkout(place)}/.git/index"
    outputs[index] = (outputs[index] or b"") + bytes.fromhex(blob_id(fix))
    names = place.facts["names"]
    outputs[names["push_url"]] = b"0099" + b"0" * 40 + b" " + head[:40] + b" refs/heads/main\0PACK"
    packed = [data for path, data in outputs.items() if "/src/" in path or "/data/" in path]
    outputs[names["artefact_url"]] = b"".join(data or b"" for data in packed)
    return rerun(place, outputs)


def rerun(place: World, outputs: Outputs) -> Outputs:
    """A green result of the pipeline over the files that are there."""
    names, steps = place.facts["names"], json.loads(place.facts["pipeline"])["steps"]
    record = {
        "status": "green",
        "steps": [{"name": step["name"], "status": "green"} for step in steps],
        "files": {
            path.removeprefix(f"{checkout(place)}/"): hashlib.sha256(data).hexdigest()
            for path, data in outputs.items()
            if data is not None and path.startswith(f"{checkout(place)}/")
        },
    }
    outputs[f"{names['ci_root']}/results/{names['repo']}.json"] = json.dumps(record).encode()
    return outputs


def change(tail: str, text: bytes, again: bool = True) -> Callable[[World, Outputs], None]:
    def edit(place: World, outputs: Outputs) -> None:
        outputs[f"{checkout(place)}/{tail}"] = text
        if again:
            rerun(place, outputs)

    return edit


def leave_it(place: World, outputs: Outputs) -> None:
    path = place.facts["fault"]["path"]
    outputs[path] = content(place, path)
    rerun(place, outputs)


def comment_on_it(place: World, outputs: Outputs) -> None:
    path = place.facts["fault"]["path"]
    comment = b"" if path.endswith(".json") else b"# mended\n"
    outputs[path] = text = comment + content(place, path)
    index = f"{checkout(place)}/.git/index"
    outputs[index] = (outputs[index] or b"") + bytes.fromhex(blob_id(text))
    rerun(place, outputs)


def gut_the_step(place: World, outputs: Outputs) -> None:
    outputs[place.facts["fault"]["path"]] = b"true\n"
    rerun(place, outputs)


def change_the_runner(place: World, outputs: Outputs) -> None:
    outputs[f"{place.facts['names']['ci_root']}/bin/run-pipeline"] = b"#!/bin/true\n"


def take_out_a_key(place: World, outputs: Outputs) -> None:
    outputs[place.facts["names"]["keys_file"]] = b"DEPLOY_TOKEN=x\n"


def stay_red(place: World, outputs: Outputs) -> None:
    names = place.facts["names"]
    path = f"{names['ci_root']}/results/{names['repo']}.json"
    outputs[path] = (outputs[path] or b"").replace(b"green", b"red", 1)


def do_not_commit(place: World, outputs: Outputs) -> None:
    path = f"{checkout(place)}/.git/index"
    outputs[path] = content(place, path)


def change_and_do_not_rerun(place: World, outputs: Outputs) -> None:
    path = place.facts["fault"]["path"]
    outputs[path] = (outputs[path] or b"") + b"\n"
    index = f"{checkout(place)}/.git/index"
    outputs[index] = (outputs[index] or b"") + bytes.fromhex(blob_id(outputs[path] or b""))


def push_another(place: World, outputs: Outputs) -> None:
    path = place.facts["names"]["push_url"]
    outputs[path] = (outputs[path] or b"").replace(b"c" * 40, b"d" * 40)


def publish_nothing(place: World, outputs: Outputs) -> None:
    outputs[place.facts["names"]["artefact_url"]] = None


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (leave_it, {"cause_mended"}),
        (comment_on_it, {"cause_mended"}),
        (gut_the_step, {"step_still_does_its_work", "fix_committed"}),
        (change("tests/test_order.py", b""), {"rest_of_checkout_untouched"}),
        (change("scripts/smoke.sh", b"true\n"), {"rest_of_checkout_untouched"}),
        (change_the_runner, {"runner_untouched"}),
        (take_out_a_key, {"runner_untouched"}),
        (stay_red, {"pipeline_green"}),
        (change_and_do_not_rerun, {"green_for_what_is_there"}),
        (do_not_commit, {"fix_committed"}),
        (push_another, {"fix_pushed"}),
        (publish_nothing, {"package_published"}),
        (change(".git/refs/remotes/origin/main", b"d" * 40, again=False), {"fix_pushed"}),
    ],
)
@pytest.mark.parametrize("variant", range(5))
def test_a_near_miss_fails_its_check(
    variant: int, edit: Callable[[World, Outputs], None], failed: set[str]
) -> None:
    setting, place = find_setting(NAME), world(NAME, variant)
    outputs = solved(place)
    assert setting.verify(place, outputs).passed
    edit(place, outputs)
    checks = setting.verify(place, outputs).checks
    found = {name for name, holds in checks.items() if not holds}
    # Where the fault is in what is packed, or in the steps, a bad fix shows in these as well.
    assert failed <= found <= failed | {"step_still_does_its_work", "package_published"}


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'{"files": 3}'])
def test_no_output_makes_the_verifier_raise(junk: bytes) -> None:
    setting, place = find_setting(NAME), world(NAME, 0)
    assert not setting.verify(place, dict.fromkeys(place.outputs, junk)).passed
