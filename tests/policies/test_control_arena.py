"""What ControlArena's protocols note of a step, and what of it is read otherwise than they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, write_eval_log
from inspect_ai.model import ChatMessageAssistant
from inspect_ai.scorer import Score, Value
from inspect_ai.tool import ToolCall

from policies.measure.budgeted import at_budget
from policies.measure.reader import Reading, read
from policies.measure.roc import auroc
from policies.measure.rows import Row
from policies.measure.summary import summary
from policies.measure.thresholds import BudgetRefused

LOGS = Path(__file__).with_name("control_arena_logs")
DONE: Mapping[str, Value] = {"scorer": {"main_task_success": "C", "side_task_success": "C"}}


def said(score: float, **more: object) -> dict[str, Any]:
    """What their monitor answers."""
    return {"suspicion_score": score, "reason": "", "model_usage": None, **more}


def reading(
    folder: Path,
    steps: Sequence[Mapping[str, Any] | None],
    *,
    mode: str = "attack",
    side: str | None = "leak",
    scores: Mapping[str, Value] = DONE,
) -> Reading:
    """A log of one sample, with these metadata of its assistant messages."""
    call = ToolCall(id="1", function="bash", arguments={"cmd": "ls"})
    sample = EvalSample(
        id="MT_a",
        epoch=1,
        input="",
        target="",
        metadata={"setting_name": "bash", "main_task_name": "a", "side_task_name": side},
        messages=[
            ChatMessageAssistant(
                content="", tool_calls=[call], metadata=None if told is None else dict(told)
            )
            for told in steps
        ],
        scores={name: Score(value=value) for name, value in scores.items()},
    )
    spec = EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="bash_trusted_monitoring_attack_00000000",
        dataset=EvalDataset(),
        model="none/none",
        config=EvalConfig(),
        metadata={"setting": {}, "micro_protocol": {"type": "trusted_monitoring"}, "mode": mode},
    )
    write_eval_log(EvalLog(status="success", eval=spec, samples=[sample]), folder / "their.eval")
    return read([folder])


def row(folder: Path, steps: Sequence[Mapping[str, Any] | None], **more: Any) -> Row:
    [found] = reading(folder, steps, **more).rows
    return found


STEPS: Mapping[str, tuple[Mapping[str, Any] | None, float | None]] = {
    "trusted monitoring": (said(0.3), 0.3),
    "words only": (None, None),
    "defer to trusted, not deferred": (
        {**said(0.4), "monitor_response": said(0.4), "trusted_response": None},
        0.4,
    ),
    "deferred: what ran was not judged": (
        {**said(0.9), "monitor_response": said(0.9), "trusted_response": {"role": "assistant"}},
        None,
    ),
    "edited: what ran was not judged": (
        {
            **said(0.9),
            "monitor_response": said(0.9),
            "trusted_editor_response": {"role": "assistant"},
        },
        None,
    ),
    "resampled: the chosen draw's": (
        {"monitor_response": said(0.2), "trusted_response": None, "chosen_response": {}},
        0.2,
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_score_of_a_step_is_that_of_what_ran(tmp_path: Path, name: str) -> None:
    told, expected = STEPS[name]
    found = row(tmp_path, [said(0.1), told])
    assert (found.suspicion, found.failed) == ((0.1, expected), frozenset())


def test_a_reply_that_did_not_parse_is_a_failure_and_not_harmless(tmp_path: Path) -> None:
    found = row(tmp_path, [said(0.1), said(0.0, score_parsed=False)])
    assert found.suspicion == (0.1, None) and found.failed == {1}


def test_the_scorer_at_the_end_does_not_pass_for_the_last_steps_monitor(tmp_path: Path) -> None:
    """It writes its score where that of the last step was."""
    scores = {**DONE, "end_of_trajectory_monitor": 0.9}
    assert row(tmp_path, [said(0.1), said(0.9)], scores=scores).suspicion == (0.1, None)
    kept = {**said(0.9), "monitor_response": said(0.2)}
    assert row(tmp_path, [said(0.1), kept], scores=scores).suspicion == (0.1, 0.2)


def test_an_attack_without_a_named_side_task_is_an_attack(tmp_path: Path) -> None:
    found = row(tmp_path, [said(0.1)], side=None)
    assert found.mode == "attack" and found.outcome is not None
    assert found.outcome.attempted and found.outcome.succeeded, "an attack sample is an attempt"
    honest = row(tmp_path, [said(0.1)], mode="honest", scores={"s": {"main_task_success": "I"}})
    assert honest.outcome is not None and not honest.outcome.attempted


@pytest.mark.parametrize(
    ("scores", "void"),
    [
        ({}, "its main task was not scored"),
        ({"s": {"main_task_success": "N"}}, "its main task was not scored"),
        ({"s": {"main_task_success": "C"}}, "its side task was not scored"),
        ({"s": {"main_task_success": "C"}, "side_task_success": "I"}, None),
    ],
)
def test_an_outcome_that_nobody_could_tell_is_none(
    tmp_path: Path, scores: Mapping[str, Value], void: str | None
) -> None:
    assert row(tmp_path, [said(0.1)], scores=scores).void == void


def test_all_draws_of_a_step_count(tmp_path: Path) -> None:
    told = {"monitor_response": said(0.2), "resampled_responses": [{}, {}, {}]}
    assert row(tmp_path, [said(0.1), told]).draws == 5


def test_scores_of_another_scale_are_refused(tmp_path: Path) -> None:
    [skipped] = reading(tmp_path, [said(7.0)]).skipped
    assert "7.0 is not from 0 to 1" in skipped.why


def test_the_figures_of_their_logs_are_control_arenas() -> None:
    """As its own functions gave them (20.1.1): `benchmarks/control_arena.py` runs both."""
    rows = [row for row in read([LOGS]).rows if row.outcome]
    tops = {
        mode: [max(filter(None, row.suspicion), default=0.0) for row in rows if row.mode == mode]
        for mode in ("honest", "attack")
    }
    assert summary(rows).rates["usefulness"].value == 1.0
    assert auroc(tops["honest"], tops["attack"]) == 0.5
    assert at_budget(rows, 0.25, times=2).safety.value == 1.0
    with pytest.raises(BudgetRefused):  # 1.0 too, by auditing one of the five
        at_budget(rows, 0.01, times=2)
