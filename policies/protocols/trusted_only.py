"""Trusted only (Greenblatt et al., "AI Control", arXiv 2312.06942, section 3).

The upper end of safety, and usefulness 0.
"""

from policies.protocols._registry import protocol
from policies.turn import ControlProtocol, Turn, Verdict, execute


@protocol(roles=("trusted",))
def trusted_only() -> ControlProtocol:
    """The trusted model alone; the untrusted one is never asked."""

    async def decide(turn: Turn) -> Verdict:
        return execute(await turn.trusted())

    return decide
