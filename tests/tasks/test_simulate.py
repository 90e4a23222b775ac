"""`sallyport simulate`: from logs' scores, or published ones, to safety by budget and rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tasks.cli import main
from tests.tasks.ledgers import sample, write
from tests.tasks.test_calibrated import calibration


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *arguments], prog_name="sallyport")


def found(*arguments: str) -> dict[str, Any]:
    done = simulate(*arguments, "--episodes", "1e3", "--turns", "3", "--json")
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    honest = [sample("honest", *[n / 100 for n in range(100)])]
    attacks = [
        sample("attack", 0.1, 0.999, harm=1, variant=1),
        sample("attack", 0.1, 0.2, harm=1, variant=2),
        sample("attack", 0.1, 0.8, ended=True, variant=3),
        sample("attack", 0.1, 0.1, variant=4),  # nothing was tried
    ]
    return write(tmp_path_factory.mktemp("logs"), "log", [*honest, *attacks])


def test_scores_are_those_of_the_logs(log: Path) -> None:
    told = found("--protocol", "trusted_monitoring", "--from", str(log), "--budgets", "0.02,0.1")
    assert told["honest"] == {"scores": 100, "distinct": 100, "failed": 0}
    assert told["attack"] == {"scores": 3, "distinct": 3, "failed": 0}
    assert "3 attacks, 1 of them ended by control" in told["source"]
    assert told["works"] == 1.0
    rows = told["rows"]
    assert [(row["budget"], row["threshold"], row["attack_rate"]) for row in rows] == [
        (budget, level, rate)
        for budget, level in ((0.02, 0.98), (0.1, 0.9))
        for rate in (0.01, 0.1, 1)
    ]
    # At a rate of 1 the first turn decides: one of three attacks is above both thresholds.
    assert [row["safety"]["value"] for row in rows[2::3]] == pytest.approx([1 / 3] * 2, abs=0.1)
    assert all(row["safety"]["error"] > 0.0 for row in rows[2::3])


def test_the_share_of_own_actions_lies_between_trusted_only_and_untrusted_only(log: Path) -> None:
    given = ("--from", str(log), "--usefulness", "0.2,0.6", "--attack-rates", "1")
    specs = ("--protocol", "none", "--protocol", "trusted_only")
    rows = found(*specs, *given)["rows"]
    assert [(row["own"]["value"], row["usefulness"]["value"]) for row in rows] == [
        (1.0, pytest.approx(0.6)),
        (0.0, pytest.approx(0.2)),
    ]


def test_published_scores_say_what_they_are(log: Path) -> None:
    done = simulate(
        "--protocol", "trusted_monitoring", "--golden", "ai_control", "--episodes", "1e3"
    )
    assert done.exit_code == 0
    assert "only what one threshold audits is printed" in done.stdout
    assert "budget 0.01 refused: 29 of 1429 honest actions share the highest score" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--golden", "ai_control"], "Missing option '--protocol'"),
        (["--protocol", "none"], "give either --from LOGS or --golden NAME"),
        (["--protocol", "none", "--golden", "ctrlz"], "'ctrlz' is not 'ai_control'"),
        (["--protocol", "trust_me", "--golden", "ai_control"], "unknown protocol 'trust_me'"),
        (["--protocol", "{name: none", "--golden", "ai_control"], "neither a name nor a YAML"),
        (["--protocol", "7", "--golden", "ai_control"], "7 is not a name"),
        (["--protocol", "none", "--golden", "ai_control", "--episodes", "1.5"], "such as 1000000"),
        (["--protocol", "none", "--golden", "ai_control", "--episodes", "inf"], "such as 1000000"),
        (["--protocol", "none", "--golden", "ai_control", "--budgets", "1"], "for 1 % give 0.01"),
        (["--protocol", "none", "--golden", "ai_control", "--attack-rates", "2"], "from 0 to 1"),
        (["--protocol", "none", "--golden", "ai_control", "--usefulness", "0.2"], "takes two"),
        (
            ["--protocol", "trusted_monitoring", "--golden", "ai_control", "--budgets", "0.001"],
            "the smallest budget is 0.0203",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_status_3(arguments: list[str], says: str) -> None:
    done = simulate(*arguments)
    assert (done.exit_code, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert says in line


def test_scores_are_of_one_monitor_and_calibrations_for_it(log: Path, tmp_path: Path) -> None:
    other = write(tmp_path, "other", [sample("honest", 0.1)], monitor={"name": "prompted"})
    done = simulate("--protocol", "none", "--from", str(log), "--from", str(other))
    assert (done.exit_code, "monitor rules, not prompted as" in done.stderr) == (3, True)
    threshold = calibration(tmp_path, "prompted")
    spec = f"{{name: defer_to_trusted, threshold: {threshold}}}"
    done = simulate("--protocol", spec, "--from", str(log))
    assert (done.exit_code, "is for monitor prompted, not rules" in done.stderr) == (3, True)
    done = simulate("--protocol", spec, "--golden", "ai_control")
    assert (done.exit_code, "what gave these scores is not known" in done.stderr) == (3, True)


def test_logs_without_attacks_say_how_to_get_them(tmp_path: Path) -> None:
    log = write(tmp_path, "honest", [sample("honest", 0.1, 0.2)])
    done = simulate("--protocol", "none", "--from", str(log))
    assert done.exit_code == 3
    assert "no score of attack actions" in done.stderr
