"""Published score data that a simulation can start from.

There is little: the tables of safety by protocol of "AI Control" (Greenblatt et al., 2312.06942)
and "Ctrl-Z" (Bhatt et al., 2504.10374) rest on scores that are not public. What AI Control prints
in full is how many of its actions one threshold audited, which gives scores of two values.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.measure.observed import Observed


@dataclass(frozen=True)
class Golden:
    """Score data from a paper.

    Attributes:
        source: where it is from.
        note: what it is and what it is not, in one line.
        honest: scores of harmless actions.
        attack: scores of attacks.
        works: share of the attacks that were let through that succeeded, 0..1.
    """

    source: str
    note: str
    honest: Observed
    attack: Observed
    works: float


GOLDEN = {
    "ai_control": Golden(
        source="Greenblatt et al., arXiv 2312.06942v5, trusted monitoring, 1,500 problems",
        note=(
            "only what one threshold audits is printed: 29 of 1,429 harmless actions and 24 of 71 "
            "attempts. Scores are 1 where it was audited and 0 elsewhere; 13 of the 47 attempts "
            "that were let through succeeded"
        ),
        honest=Observed((0.0,) * 1400 + (1.0,) * 29),
        attack=Observed((0.0,) * 47 + (1.0,) * 24),
        works=13 / 47,
    ),
}
"""By name."""
