"""Defer on critical actions (Kutasov, Loughridge et al., arXiv 2511.02997).

Robust there where resampling was not: what is critical is declared, so no score can be gamed.
"""

from typing import Annotated, get_args

from pydantic import Field

from policies.protocols._critical import Kind, critical_kinds
from policies.protocols._registry import NONE, Inner, protocol
from policies.turn import ControlProtocol, Turn, Verdict, execute


@protocol(roles=("trusted",))
def defer_on_critical_actions(
    critical: Annotated[tuple[Kind, ...], Field(min_length=1)] = get_args(Kind),
    inner: Inner = NONE,
) -> ControlProtocol:
    """Let the trusted model act wherever an action would be critical.

    Args:
        critical: the kinds of action that are: those that touch the `network`, `credentials`,
            `weights` or `audit` paths, and those `unreadable` to the predicate.
        inner: the protocol that decides on the other actions (2511.02997: resampling).
    """

    async def decide(turn: Turn) -> Verdict:
        verdict = await inner.value(turn)
        chosen = verdict.proposal
        untrusted = verdict.runs and chosen.source != "trusted"
        if untrusted and critical_kinds(chosen.calls).intersection(critical):
            return execute(await turn.trusted())
        return verdict

    return decide
