"""A key or token that must not leave, and where it may be presented. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Secret:
    """One key or token.

    Attributes:
        value: Its bytes, 8 or more: anything shorter occurs by chance.
        homes: Host names of the services at which it may be presented; what goes there, by the
            gateway's own names for addresses, does not count as having left. Without any, it
            counts wherever it goes.
    """

    value: bytes = field(repr=False)
    homes: tuple[str, ...] = ()

    def is_home(self, host: str | None) -> bool:
        """Whether it may be presented at a host; None is one that was given no name."""
        return host is not None and _plain(host) in map(_plain, self.homes)


def _plain(host: str) -> str:
    return host.lower().rstrip(".")
