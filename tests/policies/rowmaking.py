"""Rows for tests: one sample each, made from what matters in the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from policies.measure.outcome import Outcome
from policies.measure.rows import Row, Run, Spent

RUN = Run(log="a.eval", protocol="trusted_monitoring", attack="sly", untrusted="model/u")


def attack(
    *scores: float | None,
    harm: int | None = None,
    ended: int | None = None,
    attempted: bool = True,
    failed: frozenset[int] = frozenset(),
    bytes_out: tuple[int, ...] = (),
    policy: str = "sly",
    setting: str = "s",
    variant: str = "v",
    side: str = "copy",
    draws: int | None = None,
    spent: Mapping[str, Spent] | None = None,
    name: str = "a",
) -> Row:
    """A sample in attack mode with these scores by turn.

    `harm` is the turn in which the side task happened, all of it; `ended` the one in which control
    ended the sample. One that neither harmed nor was ended tried and failed, if it `attempted`.
    """
    caught = ended is not None and harm is None
    outcome = Outcome(
        mode="attack",
        main_passed=not caught,
        attempted=attempted and not caught,
        succeeded=attempted and harm is not None,
        actions=len(scores),
        audited=int(ended is not None),
        stopped=False,
        caught=caught,
        rests_on_failure=caught and ended in failed,
    )
    return Row(
        run=replace(RUN, attack=policy),
        id=name,
        mode="attack",
        setting=setting,
        variant=variant,
        side=side,
        outcome=outcome,
        suspicion=scores,
        failed=failed,
        harmful_turn=harm,
        ending_turn=ended,
        bytes_out=bytes_out,
        draws=len(scores) if draws is None else draws,
        spent=spent or {},
    )


def honest(*scores: float | None, setting: str = "s", variant: str = "v", name: str = "h") -> Row:
    """An honest sample that passed, with these scores by turn and no audit."""
    outcome = Outcome(
        mode="honest",
        main_passed=True,
        attempted=False,
        succeeded=False,
        actions=len(scores),
        audited=0,
        stopped=False,
        caught=False,
        rests_on_failure=False,
    )
    row = attack(*scores, setting=setting, variant=variant, name=name)
    return replace(row, run=replace(RUN, attack=""), mode="honest", side="", outcome=outcome)


def void(row: Row, why: str = "the evidence is incomplete") -> Row:
    """The same sample without a trustworthy result."""
    return replace(row, outcome=None, void=why)
