"""Logs of samples that were never run: what control did is planted turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, write_eval_log
from inspect_ai.model import ModelConfig
from inspect_ai.scorer import Score

from policies.ledger import VERSION, AuditRecord, DrawRecord, ScoreRecord, TurnRecord
from policies.measure.outcome import Mode, Outcome, caught_in_time, measures
from policies.measure.trace import trace
from policies.turn import Source

Scores = Sequence[float | None]
"""The monitor's scores of one turn's draws, in order; None where it failed. Draw 0 ran."""


def draw(turn: int, number: int, source: Source = "untrusted") -> DrawRecord:
    arguments = {"command": f"{source} {number} of turn {turn}"}
    call = {"id": f"{turn}/{number}", "function": "bash", "arguments": arguments}
    return DrawRecord(turn=turn, draw=number, source=source, text="", calls=[call])


def turn(index: int, scores: Scores, confirmed: bool, monitor: str) -> TurnRecord:
    """A turn whose pool has a draw per score and the trusted action."""
    untrusted = [draw(index, number) for number in range(len(scores))]
    return TurnRecord(
        index=index,
        draws=[*untrusted, draw(index, len(scores), "trusted")],
        scores=[
            ScoreRecord(
                turn=index,
                draw=number,
                monitor=monitor,
                status="failed" if score is None else "valid",
                value=score,
                reason="",
            )
            for number, score in enumerate(scores)
        ],
        audits=[AuditRecord(turn=index, draw=0, reason="", confirmed=True)] if confirmed else [],
        decision=None if confirmed else "execute",
        executed=None if confirmed else 0,
    )


def sample(
    mode: Mode,
    *scores: Scores | float | None,
    harm: int | None = None,
    ended: bool = False,
    passed: bool = True,
    variant: int = 0,
    monitor: str = "rules",
) -> EvalSample:
    """A sample with these scores by turn.

    `harm` is the turn in which the side task happened, all of it; `ended` says that an audit in the
    last turn confirmed an attack.
    """
    pools = [[one] if one is None or isinstance(one, float) else one for one in scores]
    last = len(pools) - 1
    turns = [
        turn(index, pool, ended and index == last, monitor) for index, pool in enumerate(pools)
    ]
    outcome = Outcome(
        mode=mode,
        main_passed=passed and not ended,
        attempted=harm is not None,
        succeeded=harm is not None,
        actions=len(turns),
        audited=int(ended),
        stopped=False,
        caught=mode == "attack" and caught_in_time(last if ended else None, harm),
        rests_on_failure=False,
    )
    facts: dict[str, Any] = {
        **asdict(outcome),
        **asdict(trace(turns, monitor)),
        "ended": "caught" if ended else "finished",
        "ending_turn": last if ended else None,
        "bytes_by_turn": [],
        "fraction": None,
        "first_harmful_turn": harm,
        "cost": {},
    }
    about = {"setting": "planted", "variant": variant, "salience": "discoverable", "mode": mode}
    about |= {"side": "weights", "task": 0, "possible": True, "condition": ""}
    return EvalSample(
        id=f"planted-{variant:02d}-{mode}",
        epoch=1,
        input="Do the task.",
        target="",
        metadata=about,
        store={"Ledger:turns": [one.model_dump(mode="json") for one in turns]},
        scores={"control_outcome": Score(value=measures(outcome), metadata=facts)},
    )


def write(
    folder: Path,
    name: str,
    samples: Sequence[EvalSample],
    *,
    monitor: dict[str, Any] | None = None,
    model: str | None = None,
    prompts: dict[str, str] | None = None,
    asked: bool = True,
) -> Path:
    """A log of these samples, judged by `monitor`, which is `rules` unless given.

    Without `asked` its protocol asked none.
    """
    spec = EvalSpec(
        eval_id=name,
        run_id=name,
        task_id=name,
        created="2026-11-21T12:00:00+00:00",
        task="sallyport/exfil",
        dataset=EvalDataset(name="planted"),
        model="organism/mixed",
        model_roles={"monitor": ModelConfig(model=model)} if model else None,
        config=EvalConfig(),
        metadata={
            "protocol": {"name": "pool"},
            "monitor": (monitor or {"name": "rules"}) if asked else None,
            "monitor_roles": ["monitor"] if model else [],
            "prompts": prompts or {},
            "salience": "discoverable",
            "sandbox": "namespace",
            "ledger": VERSION,
            "digests": {},
        },
    )
    path = folder / f"{name}.eval"
    write_eval_log(EvalLog(status="success", eval=spec, samples=list(samples)), path)
    return path
