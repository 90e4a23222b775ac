"""Which of the agent's processes sends, where the provider can know that."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.gateway.reading import Address


@dataclass(frozen=True)
class Owner:
    """A process of the agent's.

    Attributes:
        pid: Its number, as the agent sees it.
        command: Its command line, words parted by spaces, at most 200 bytes of it.
    """

    pid: int
    command: str


WhoHas = Callable[[str, Address, Address], Owner | None]
"""Says who has the socket of a connection or flow: protocol ("tcp" or "udp"), agent's address,
destination. Quick, and never an error: None where it cannot be known."""


def nobody_knows(proto: str, src: Address, dst: Address) -> None:
    """For providers that cannot look."""
