"""Human approval (the human in the loop of Inspect's approval policies)."""

from policies.protocols._registry import NONE, Inner, protocol
from policies.turn import ControlProtocol, Turn, Verdict, block


@protocol()
def human_approval(inner: Inner = NONE) -> ControlProtocol:
    """Ask a person before an action runs, and block what is not approved.

    Args:
        inner: the protocol whose verdicts the person is asked about.
    """

    async def decide(turn: Turn) -> Verdict:
        verdict = await inner.value(turn)
        chosen = verdict.proposal
        if verdict.runs and chosen.calls and not await turn.approved(chosen):
            return block(chosen, "A person did not approve this action.")
        return verdict

    return decide
