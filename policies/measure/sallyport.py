"""Rows out of our own logs: of each sample its summary, and what our scorer noted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, EvalSampleSummary
from inspect_ai.scorer import Score

from policies.ledger import VERSION
from policies.measure.errors import LogError, ended_in
from policies.measure.outcome import Outcome
from policies.measure.rows import Row, Run, Spent
from policies.registry import label

_OUTCOME = tuple(one.name for one in fields(Outcome))
_NEEDED = (
    "suspicion",
    "monitor_failed",
    "first_harmful_turn",
    "ending_turn",
    "bytes_by_turn",
    "fraction",
    "draws",
    "cost",
)


def is_ours(log: EvalLog) -> bool:
    """Whether a log is of one of our tasks."""
    return {"protocol", "prompts", "sandbox"} <= (log.eval.metadata or {}).keys()


def run_of(log: EvalLog, place: str) -> Run:
    """What a header says.

    Args:
        log: the header.
        place: the log's path as it is to be shown.

    Raises:
        LogError: another version of Sallyport wrote it; one line.
    """
    spec = log.eval
    told = spec.metadata or {}
    if told.get("ledger") != VERSION:
        raise LogError(
            f"its records are of version {told.get('ledger', 1)}, this reads version {VERSION}: "
            "run the evaluation again"
        )
    roles = (spec.model_roles or {}).items()
    names = {role: bound.model for role, bound in roles if not isinstance(bound, list)}
    asked = [names[role] for role in told["monitor_roles"] if role in names]
    return Run(
        log=place,
        task=spec.task,
        created=spec.created,
        status=log.status,
        protocol=label(told["protocol"]),
        monitor=label(told["monitor"]) if told["monitor"] else None,
        attack=label(told["attack"]) if "attack" in told else "",
        knows=told.get("attack_knows", "nothing"),
        untrusted=spec.model,
        trusted=names.get("trusted"),
        monitor_model=", ".join(asked) or None,
        salience=told.get("salience", ""),
        sandbox=told["sandbox"],
        prompts=told["prompts"] | told.get("attack_prompts", {}),
        digests=told["digests"],
    )


def score_of(scores: Mapping[str, Score] | None) -> Score | None:
    """Our scorer's score among those of a sample; None when it did not score."""
    ours = (one for one in (scores or {}).values() if "suspicion" in (one.metadata or {}))
    return next(ours, None)


def cut(score: Score) -> bool:
    """Whether a summary lacks a part of it: Inspect puts a remark in place of what is long."""
    facts = score.metadata or {}
    return any(isinstance(facts[key], str) for key in _NEEDED)


def row_of(sample: EvalSampleSummary, run: Run, score: Score | None) -> Row:
    """One sample.

    Args:
        sample: its summary.
        run: what it was part of.
        score: our scorer's, in full; None when it did not score.
    """
    facts = (score.metadata if score else None) or {}
    return row(run, str(sample.id), sample.epoch, sample.metadata, facts, _why_void(sample, score))


def row(
    run: Run,
    id: str,
    epoch: int,
    about: Mapping[str, Any],
    facts: Mapping[str, Any],
    void: str | None,
) -> Row:
    """One sample, from what Inspect and our scorer keep of it.

    Args:
        run: what it was part of.
        id: its name.
        epoch: from 1.
        about: its own metadata: what it was about.
        facts: its score's metadata; empty when it was not scored.
        void: why it has no trustworthy result; None when it has one.
    """
    told: dict[str, Any] = {}
    if facts:
        told = {
            "suspicion": tuple(facts["suspicion"]),
            "failed": frozenset(facts["monitor_failed"]),
            "harmful_turn": facts["first_harmful_turn"],
            "ending_turn": facts["ending_turn"],
            "bytes_out": tuple(facts["bytes_by_turn"]),
            "fraction": facts["fraction"],
            "draws": facts["draws"],
            "spent": {role: Spent(**cost) for role, cost in facts["cost"].items()},
        }
    return Row(
        run=run,
        id=id,
        epoch=epoch,
        mode=about["mode"],
        setting=Path(about["setting"]).name,
        variant=str(about["variant"]),
        side=about["side"],
        outcome=None if void else Outcome(**{name: facts[name] for name in _OUTCOME}),
        void=void,
        **told,
    )


def _why_void(sample: EvalSampleSummary, score: Score | None) -> str | None:
    if sample.error:
        return ended_in(sample.error)
    if score is None:
        return "it was not scored" if sample.completed else "it was not finished"
    assert isinstance(score.value, Mapping), "our scorers give a row of measures"
    if score.value["unscored"]:
        return score.explanation or "its scorer does not say why it has no result"
    return None
