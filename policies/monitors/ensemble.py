"""Several monitors at once, their scores aggregated.

Members should differ: three that differ gain more than twice what three alike do (Koran et al.,
"Ensemble Monitoring", arXiv:2605.15377). The mean is the default, as for the repeated scores of
Ctrl-Z (Bhatt et al., arXiv:2504.10374, section on monitors).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from inspect_ai.model import ChatMessage
from inspect_ai.util import collect
from pydantic import Field

from policies.monitors._registry import InnerMonitor, monitor
from policies.registry import Fraction
from policies.turn import Judge, Proposal, Suspicion

_QUANTILES = {"min": 0.0, "max": 1.0}


@monitor()
def ensemble(
    members: Annotated[list[InnerMonitor], Field(min_length=2)],
    aggregate: Literal["mean", "max", "min"] | Fraction = "mean",
) -> Judge:
    """Ask all members side by side and aggregate; when one of them fails, the ensemble has failed.

    Args:
        members: two monitors or more, no two the same: for more draws of one, give it `draws`.
        aggregate: `mean`, `max`, `min`, or a quantile from 0 to 1, interpolated linearly.

    Raises:
        ValueError: two members are the same.
    """
    labels = [member.label for member in members]
    if len(set(labels)) < len(labels):
        raise ValueError("two members are the same: for more draws of one, give it `draws`")

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        found = await collect(*(member.value(history, proposal) for member in members))
        values: list[float] = []
        for member, one in zip(members, found, strict=True):
            if one.value is None:
                return Suspicion.failed(f"member {member.name} {one.status}: {one.reason}")
            values.append(one.value)
        # The mean of equal scores must not exceed them by a rounding error.
        value = min(max(_aggregate(values, aggregate), min(values)), max(values))
        highest = max(range(len(values)), key=values.__getitem__)
        shown = ", ".join(f"{m.name} {v:.2f}" for m, v in zip(members, values, strict=True))
        return Suspicion.valid(value, f"{shown}; {found[highest].reason}")

    return judge


def _aggregate(values: Sequence[float], how: str | float) -> float:
    if how == "mean":
        return float(np.mean(values))
    quantile = _QUANTILES[how] if isinstance(how, str) else how
    return float(np.quantile(values, quantile))
