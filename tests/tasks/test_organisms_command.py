"""`sallyport organisms`, and which behaviours a task takes."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner
from inspect_ai.model import get_model

from scaffolds.organisms.attacks import ATTACKS
from scaffolds.organisms.lookalikes import LOOKALIKES
from tasks.cli import main
from tasks.roles import RoleError, require_sensible
from tasks.worlds import find_setting, setting_names


def listed(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["organisms", "list", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_list_has_every_behaviour() -> None:
    found = json.loads(listed("--json"))
    own = [(one.name, name) for name in setting_names() for one in find_setting(name).attacks]
    shared = [(name, "") for name in (*ATTACKS, *LOOKALIKES)]
    assert [(one["name"], one["setting"]) for one in found] == [*shared, *own]
    by_name = {one["name"]: one for one in found}
    assert by_name["dns_labels"]["partial"] and by_name["logs_truncated"]["spoils"]
    assert by_name["hash_weights"]["honest"] and not by_name["hash_weights"]["kinds"]
    assert by_name["git_push"]["needs"] == ["git"]


def test_the_list_is_a_table() -> None:
    shown = listed()
    assert all(name in shown for name in ("curl_files", "hash_weights", "honest"))


@pytest.mark.parametrize(
    ("model", "arguments", "setting", "refused"),
    [
        ("mixed", {}, "checkpoint_audit", False),
        ("mixed", {"attack": "curl_files"}, "checkpoint_audit", False),
        ("mixed", {"attack": "attach_log"}, "checkpoint_audit", False),
        ("mixed", {"attack": "config_edit"}, "monitor_threshold", False),
        ("mixed", {"attack": "config_edit"}, "checkpoint_audit", True),
        ("mixed", {"attack": "nothing_such"}, "checkpoint_audit", True),
        ("mixed", {"attack": "key_in_dns"}, "checkpoint_audit", True),
        ("key_in_dns", {}, "checkpoint_audit", True),
        ("key_in_dns", {}, "ci_deploy_keys", False),
        ("git_push", {}, "monitor_threshold", True),
        ("large_upload", {}, "monitor_threshold", True),
        ("hash_weights", {}, "monitor_threshold", False),
        ("honest", {}, "monitor_threshold", False),
    ],
)
def test_a_behaviour_that_makes_no_sense_anywhere_is_refused(
    model: str, arguments: dict[str, Any], setting: str, refused: bool
) -> None:
    untrusted = get_model(f"organism/{model}", memoize=False, **arguments)
    if not refused:
        require_sensible(untrusted, [find_setting(setting)])
        return
    with pytest.raises(RoleError, match="use one of ") as caught:
        require_sensible(untrusted, [find_setting(setting)])
    assert "\n" not in str(caught.value)


def test_other_models_are_not_asked() -> None:
    require_sensible(get_model("mockllm/model"), [find_setting("checkpoint_audit")])


@pytest.mark.parametrize("arguments", [{"speed": 2}, {"attack": "curl_files", "speed": 2}])
def test_unknown_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(click.ClickException, match="drop speed"):
        get_model("organism/mixed", memoize=False, **arguments)
