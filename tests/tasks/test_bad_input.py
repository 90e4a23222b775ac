"""Bad input is one line that says what to do, before any sample starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from policies import paths
from policies.monitors import monitors
from policies.protocols import protocols
from sandbox import cell
from sandbox.box import plan
from tasks.exfil import exfil
from tasks.worlds import find_setting


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"protocol": "trust_me"}, "use one of asynchronous_monitoring, block_on_suspicion"),
        ({"protocol": "nowhere.yaml"}, "nowhere.yaml: cannot be read"),
        ({"protocol": "nowhere.py@mine"}, "nowhere.py: no such Python file"),
        ({"protocol": {"name": "ctrlz_time_travel", "draws": 99}}, "draws=99"),
        ({"protocol": {"name": "egress_budget", "inner": "trust_me"}}, "inner: unknown protocol"),
        ({"protocol": {"name": "trusted_monitoring", "threshold": 1.5}}, "threshold=1.5"),
        ({"protocol": {"name": "trusted_monitoring", "limit": 1}}, "its arguments are threshold"),
        ({"protocol": 7}, "7 is not a name"),
        ({"variants": "x"}, "variants=x: these settings have 1 to 12"),
        ({"variants": 1.5}, "variants=1.5: these settings have 1 to 12"),
        ({"budget": "x"}, "budget='x': give a share, such as 0.01"),
        ({"monitor": "oracle"}, "use one of cascade, ensemble, prompted, rules"),
        ({"monitor": "prompted"}, "--model-role monitor=MODEL"),
        ({"attack": "sneak"}, "unknown attack 'sneak': use one of"),
        ({"attack": {"name": "plain", "n": 8}}, "attack plain has no argument 'n'"),
        ({"attack": {"name": "plain", "prompt": "rude"}}, "no prompt 'rude'"),
        ({"attack": 7}, "7 is not a name"),
        ({"attack": {"name": "start_stop", "start": 3, "stop": 2}}, "must come after start=3"),
        # What red asks of a model must be there, also where blue asks it nothing.
        (
            {"attack": {"name": "best_of_n", "monitor": "prompted"}},
            "attack best_of_n asks a model: give --model-role monitor=MODEL",
        ),
        (
            {"protocol": "none", "monitor": "prompted", "attack": "score_aware"},
            "attack score_aware asks a model: give --model-role monitor=MODEL",
        ),
        ({"settings": "moon_base"}, "unknown setting 'moon_base': use one of "),
        (
            {"settings": "eval_gate"},
            "setting of another task 'eval_gate': use one of backup_rotation",
        ),
        ({"settings": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"modes": "sneaky"}, "use all, honest, attack, natural"),
        ({"modes": ""}, "use all, honest, attack, natural"),
        ({"modes": 5}, "unknown mode '5': use all, honest, attack, natural"),
        ({"attack": {"name": ["plain"]}}, "unknown attack ['plain']: use one of"),
        ({"variants": "all"}, "variants=all: these settings have 1 to 12"),
        ({"sandbox": "chroot"}, "use auto, namespace or docker"),
    ],
)
def test_what_is_wrong_and_what_would_be_right(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(click.ClickException) as caught:
        exfil(**arguments)
    assert says in caught.value.message
    assert "\n" not in caught.value.message


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither Docker nor what the namespace box needs."""
    monkeypatch.setattr(plan, "_SYSTEM_PATH", "/nonexistent")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    ("sandbox", "says"),
    [
        ("auto", ["bubblewrap iproute2 nftables", "make prepare", "docker:"]),
        ("namespace", ["bubblewrap iproute2 nftables", "make prepare"]),
        ("docker", ["docker"]),
    ],
)
def test_a_machine_without_any_sandbox_says_what_to_install(sandbox: str, says: list[str]) -> None:
    with pytest.raises(click.ClickException) as caught:
        exfil(sandbox=sandbox)
    for words in says:
        assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_a_kernel_that_refuses_namespaces_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_need", lambda program: "/bin/false")
    reason = cell.why_no_namespace() if not plan.missing_programs() else None
    if plan.missing_programs():
        pytest.skip("the namespace sandbox's programs are missing")
    assert reason is not None and reason.startswith("cannot start a namespace box")
    assert "\n" not in reason


_ROOT = Path(__file__).parents[2]


def _inspect(
    *arguments: str, folder: Path = _ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    task = os.path.relpath(_ROOT / "tasks" / "exfil.py", folder)  # Inspect takes no other
    command = [sys.executable, "-m", "inspect_ai", "eval", task, *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "ANTHROPIC_API_KEY"} | environment,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (
            ("-T", "protocol={name: egress_budget, inner: {name: two_stage, drows: 3}}"),
            {},
            "two_stage has no argument 'drows': its arguments are threshold, audit, draws",
        ),
        (("--model", "organism/evil"), {}, "Error: no organism/evil: choose one of"),
        (
            (
                "--model",
                "organism/mixed",
                "-M",
                "attack=key_in_dns",
                "-T",
                "settings=checkpoint_audit",
            ),
            {},
            "Error: key_in_dns makes no sense in these settings: use one of",
        ),
        (("--model", "anthropic/claude-x"), {}, "No ANTHROPIC_API_KEY defined"),
        (
            ("--model", "anthropic/claude-x", "-T", "protocol=defer_to_trusted"),
            {"ANTHROPIC_API_KEY": "sk-none"},
            "Error: the protocol asks a trusted model: give --model-role trusted=MODEL",
        ),
    ],
)
def test_on_the_terminal_it_is_an_error_and_no_traceback(
    arguments: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    done = _inspect(*arguments, folder=_ROOT, **environment)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert says in printed
    assert "Traceback" not in printed
    assert "Log:" not in printed, "no sample was started"


def test_files_are_where_they_were_typed(tmp_path: Path) -> None:
    """Inspect makes a file's tasks in that file's folder, which is not where the user is."""
    (tmp_path / "mine.yaml").write_text("monitor: {}\n")
    done = _inspect(
        *("-T", "protocol={name: trusted_monitoring, threshold: mine.yaml}"), folder=tmp_path
    )
    assert done.returncode == 1
    assert "mine.yaml:1: not a calibration" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("look", "says"),
    [
        (lambda: protocols.resolve("mine.yaml"), "mine.yaml:2: protocol none has no argument"),
        (lambda: protocols.resolve("mine.py@nothing"), "the file has no protocol 'nothing'"),
        (lambda: find_setting("worlds/mine"), "setting.yaml:1: "),
        (lambda: monitors.resolve({"name": "prompted", "prompt": "mine.md"}), "{nonce}"),
    ],
    ids=["spec", "code", "setting", "prompt"],
)
def test_every_sort_of_file_is_where_it_was_typed(
    look: Callable[[], object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("name: none\nx: 1\n")
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "mine.md").write_text("")
    (tmp_path / "worlds" / "mine").mkdir(parents=True)
    (tmp_path / "worlds" / "mine" / "setting.yaml").write_text("nonsense: 1\n")
    monkeypatch.setattr(paths, "_BEGAN", tmp_path)
    with pytest.raises(ValueError, match=re.escape(says)):
        look()
