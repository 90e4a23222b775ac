"""What the harness may tell a running gateway (how to answer, which turn begins) and ask it.

`GatewayView.exec` of the namespace provider and the program `tell` of the gateway's container lead
here. The agent cannot reach either.
"""

from sandbox.gateway.capture import CaptureFull
from sandbox.gateway.manners import MannersError, read_manners
from sandbox.gateway.server import Gateway

SEAL = ["seal"]
"""The command that ends the recording and seals the capture, which stays readable.

Whoever holds the capture obeys it, not `obey`."""
MANNERS = ["manners"]
"""The command that brings a world's manners, packed, on standard input; before its first packet."""
TURN = ["turn"]
"""The command, followed by a turn's index in decimal, with which that turn begins."""
LEFT = ["left"]
"""The command that answers how many bytes the agent has sent so far, in decimal."""
_DIGITS = 9


class Refused(Exception):
    """The gateway does not do that; one line says why."""


async def obey(gateway: Gateway, command: list[str], given: bytes) -> str:
    """Runs one command of the harness in the gateway's event loop.

    Args:
        gateway: Who is told.
        command: `MANNERS`, `LEFT`, or `TURN` and an index.
        given: The command's standard input.

    Returns:
        The answer, one line without its end; empty where there is nothing to say.

    Raises:
        Refused: There is no such command, or it comes at the wrong time.
    """
    try:
        match command:
            case ["manners"]:
                gateway.behave(read_manners(given))
            case ["turn", index] if index.isascii() and index.isdigit() and len(index) <= _DIGITS:
                await gateway.begin_turn(int(index))
            case ["left"]:
                return str(await gateway.left())
            case _:
                raise Refused(f"no command of a gateway: {' '.join(command)[:100]!r}")
    except (MannersError, CaptureFull, RuntimeError, ValueError) as error:
        raise Refused(str(error)) from error
    return ""
