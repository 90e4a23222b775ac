"""No control: whatever the untrusted model proposes runs. The lower end of safety."""

from policies.protocols._registry import protocol
from policies.turn import ControlProtocol, Turn, Verdict, execute


@protocol()
def none() -> ControlProtocol:
    """The untrusted model alone, unwatched."""

    async def decide(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        return execute(first)

    return decide
