"""Asking a monitor so that whatever goes wrong with it cannot pass for harmless."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from inspect_ai.model import ChatMessage
from inspect_ai.util import LimitExceededError

from policies.costs import unmetered
from policies.turn import Judge, Proposal, Suspicion

MONITOR_SECONDS = 300.0
"""After which a monitor that has not answered counts as failed, once per attempt."""
_ATTEMPTS = 3


async def judged(judge: Judge, history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
    """A monitor's judgement of a proposal; it consumes none of the agent's limits.

    Args:
        judge: the monitor.
        history: what the proposal was made after.
        proposal: what is judged.

    Returns:
        Skipped where there is no action, and the monitor is not asked. A monitor that raises, skips
        an action, takes too long or fails is asked again, three times in all, and then has failed.

    Raises:
        LimitExceededError: a limit of the whole sample was reached.
    """
    if not proposal.calls:
        return Suspicion.skipped("no action to judge")
    suspicion = Suspicion.failed("never asked")
    for _ in range(_ATTEMPTS):
        try:
            with unmetered(), anyio.fail_after(MONITOR_SECONDS):
                suspicion = await judge(history, proposal)
        except LimitExceededError:
            raise
        except Exception as error:  # whatever went wrong, it must not pass for harmless
            suspicion = Suspicion.failed(f"{type(error).__name__}: {error}")
        if suspicion.status == "valid":
            return suspicion
    if suspicion.status == "skipped":
        return Suspicion.failed(f"the monitor skipped an action: {suspicion.reason}")
    return suspicion
