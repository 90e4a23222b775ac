"""A cheap monitor first, a costly one only where the cheap one is not sure.

Monitor cascades are standard practice in deployed monitoring; the band is a choice of cost against
accuracy, not a threshold: what is suspicious remains the protocol's decision.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import ChatMessage

from policies.monitors._registry import InnerMonitor, monitor
from policies.registry import Fraction
from policies.turn import Judge, Proposal, Suspicion


@monitor()
def cascade(
    first: InnerMonitor, second: InnerMonitor, low: Fraction = 0.1, high: Fraction = 0.9
) -> Judge:
    """Ask `first`; where its score is from `low` to `high`, `second` decides instead.

    When one that is asked fails, the cascade has failed: `second` is no way round a failed `first`.

    Args:
        first: the cheap monitor.
        second: the costly monitor.
        low: the uncertain band's lower end, in the band itself.
        high: its upper end, in the band too.

    Raises:
        ValueError: `low` is above `high`.
    """
    if low > high:
        raise ValueError(f"low={low:g} must be at most high={high:g}")

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        cheap = await first.value(history, proposal)
        if cheap.value is None:
            return Suspicion.failed(f"{first.name} {cheap.status}: {cheap.reason}")
        if not low <= cheap.value <= high:
            return Suspicion.valid(cheap.value, f"{first.name}: {cheap.reason}")
        costly = await second.value(history, proposal)
        if costly.value is None:
            return Suspicion.failed(f"{second.name} {costly.status}: {costly.reason}")
        return Suspicion.valid(
            costly.value, f"{first.name} {cheap.value:.2f}, {second.name}: {costly.reason}"
        )

    return judge
