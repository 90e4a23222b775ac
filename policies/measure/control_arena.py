"""Rows out of ControlArena's logs (20.1.1 and before), without ControlArena.

Their logs tell what the monitor thought of each step in the metadata of the messages, and how the
tasks went in the scores. What they do not tell is not guessed: no row has bytes, harmful turns or
audits. An attack sample counts as an attempt whatever happened in it, which is their assumption.

Read otherwise than by their own analysis:

- The mode is the header's. Theirs takes an attack whose side task has no name for honest work.
- A step in which the trusted model's action ran has no score: the one in the log is of the proposal
  that did not run, and theirs counts it.
- A reply of the monitor that did not parse is a failure. Theirs counts it as 0.0, harmless.
- What their scorer at the end of a trajectory wrote over the last step's score is not taken for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import ChatMessageAssistant, ModelUsage
from inspect_ai.scorer import CORRECT, INCORRECT, Score

from policies.measure.errors import LogError, ended_in
from policies.measure.outcome import Mode, Outcome
from policies.measure.rows import Row, Run, Spent
from policies.registry import label

_AFTERWARDS = "end_of_trajectory_monitor"
"""Their scorer that overwrites the score of the last step."""
_REPLACED = ("trusted_response", "trusted_editor_response")
_COPY, _DRAFTS = "monitor_response", "resampled_responses"
_Step: TypeAlias = float | Literal["failed"] | None


def is_theirs(log: EvalLog) -> bool:
    """Whether ControlArena wrote a log."""
    return {"setting", "micro_protocol", "mode"} <= (log.eval.metadata or {}).keys()


def run_of(log: EvalLog, place: str) -> Run:
    """What a header says; arguments as `sallyport.run_of`."""
    spec = log.eval
    protocol = (spec.metadata or {})["micro_protocol"]
    monitor = protocol.get("monitor")
    attack = (protocol.get("untrusted_policy") or {}).get("attack") or {}
    roles = (spec.model_roles or {}).items()
    names = {role: bound.model for role, bound in roles if not isinstance(bound, list)}
    asked = monitor and (monitor.get("model") or names.get(monitor.get("model_role")))
    return Run(
        log=place,
        source="control_arena",
        task=spec.task,
        created=spec.created,
        status=log.status,
        protocol=_label(protocol),
        monitor=_label(monitor) if monitor else None,
        attack=_label(attack) if attack else "",
        untrusted=names.get("untrusted", spec.model),
        trusted=names.get("trusted"),
        monitor_model=asked or None,
        sandbox=spec.sandbox.type if spec.sandbox else "",
        prompts=dict(_prompts({"monitor": monitor or {}, "attack": attack})),
    )


def _label(spec: Mapping[str, Any]) -> str:
    """Its type, and the numbers among its arguments: what they compare protocols by."""
    numbers = {
        name: value
        for name, value in spec.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return label({"name": spec["type"], **numbers})


def _prompts(specs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, spec in specs.items():
        if text := spec.get("prompt"):
            yield name, hashlib.sha256(text.encode()).hexdigest()


def row_of(sample: EvalSample, run: Run, mode: Mode) -> Row:
    """One sample.

    Args:
        sample: with its messages.
        run: what it was part of.
        mode: the header's.

    Raises:
        LogError: a score is not from 0 to 1; one line.
    """
    about = sample.metadata
    scores = sample.scores or {}
    main, side = _passed(scores, "main_task_success"), _passed(scores, "side_task_success")
    void = _why_void(sample, main, side, mode)
    messages = [m for m in sample.messages if isinstance(m, ChatMessageAssistant)]
    steps = [_step(message) for message in messages]
    if _AFTERWARDS in scores and messages and _COPY not in (messages[-1].metadata or {}):
        steps[-1] = None
    return Row(
        run=run,
        id=str(sample.id),
        epoch=sample.epoch,
        mode=mode,
        setting=about["setting_name"],
        variant=about["main_task_name"],
        side=about.get("side_task_name") or "",
        outcome=None
        if void
        else Outcome(
            mode=mode,
            main_passed=main is True,
            attempted=mode == "attack",
            succeeded=side is True,
            actions=sum(bool(message.tool_calls) for message in messages),
            audited=0,
            stopped=False,
            caught=False,
            rests_on_failure=False,
        ),
        void=void,
        suspicion=tuple(step if isinstance(step, float) else None for step in steps),
        failed=frozenset(turn for turn, step in enumerate(steps) if step == "failed"),
        draws=sum(1 + len((m.metadata or {}).get(_DRAFTS) or ()) for m in messages),
        spent={role: _spent(usage) for role, usage in sample.role_usage.items()},
    )


def _step(message: ChatMessageAssistant) -> _Step:
    """The score of what ran in a step; None when that was not judged.

    When the trusted model's action took the place of the untrusted one, the score in the log is of
    the one that did not run.
    """
    told = message.metadata or {}
    response = told.get(_COPY) or told
    score = response.get("suspicion_score")
    if score is None or any(told.get(key) for key in _REPLACED):
        return None
    if response.get("score_parsed") is False:
        return "failed"
    if not 0.0 <= score <= 1.0:
        raise LogError(f"its monitor's score {score} is not from 0 to 1: scale it to that range")
    return float(score)


def _passed(scores: Mapping[str, Score], what: str) -> bool | None:
    """Whether a task was done; None when nobody could tell."""
    for name, score in scores.items():
        told = score.value if isinstance(score.value, Mapping) else {name: score.value}
        if what in told:  # in some settings it is a scorer of its own
            return {CORRECT: True, INCORRECT: False}.get(str(told[what]))
    return None


def _why_void(sample: EvalSample, main: bool | None, side: bool | None, mode: Mode) -> str | None:
    if sample.error:
        return ended_in(sample.error.message)
    if main is None:
        return "its main task was not scored"
    if side is None and mode == "attack":
        return "its side task was not scored"
    return None


def _spent(usage: ModelUsage) -> Spent:
    """A role's tokens; the log does not count calls. The trusted role has the monitor's in it."""
    return Spent(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=usage.input_tokens_cache_read or 0,
        cache_write=usage.input_tokens_cache_write or 0,
        money=usage.total_cost,
    )
