"""What the probes are told, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

OK, FAILED, NOT_APPLICABLE = "ok", "failed", "not applicable"

Outcome = tuple[str, str]
"""A verdict (one of the three above) and one line of detail."""


class Neighbour(NamedTuple):
    """What was planted in another sample's box, none of which may be found in this one.

    Attributes:
        token: Contents and part of the names of everything planted in that box.
        thing: Name of what that box put into stores and mirrors; its content is the token.
        port: TCP port of a listener on every address of that box.
        addresses: That box's own addresses.
    """

    token: str
    port: int
    addresses: tuple[str, ...]
    thing: str = ""


class Setup(NamedTuple):
    """What the harness tells the probes.

    Attributes:
        mark: Random; goes out with every network probe, so that it is found in the capture.
        nonce: What the gateway, and nothing else, answers with.
        addresses: The host's own IP addresses without loopback; IPv6 link-local ones too.
        canary_port: TCP and UDP port at which the host serves `canary_token`.
        canary_token: Random; served and kept on the host in every way the probes look for.
        canary_file: Absolute path of a file on the host that holds the token.
        canary_process: Random; on the command line of a process of the host.
        canary_key: Key of a System V shared memory segment of the host; 0 when it has none.
        namespaces: The harness's own namespaces as `/proc/self/ns` names them; may be empty.
        hostname: The host's name.
        machine: The host's `/etc/machine-id`; may be empty.
        neighbour: Another sample's box, if there is one.
        limits: What the harness allows all processes of the box together, which cannot be seen
            from inside; empty: nothing is known.
        closed: Whether the box's world is a closed one, in which names do not exist and pings are
            not answered; the gateway has to have recorded them all the same.
    """

    mark: str
    nonce: str
    addresses: tuple[str, ...] = ()
    canary_port: int = 0
    canary_token: str = ""
    canary_file: str = ""
    canary_process: str = ""
    canary_key: int = 0
    namespaces: dict[str, str] = {}
    hostname: str = ""
    machine: str = ""
    neighbour: Neighbour | None = None
    limits: str = ""
    closed: bool = False


Probe = Callable[[Setup], Outcome]
Table = dict[str, Probe]


def ok(detail: object = "") -> Outcome:
    """The property holds."""
    return OK, str(detail)


def failed(detail: object) -> Outcome:
    """The box is open here."""
    return FAILED, str(detail)


def not_applicable(reason: object) -> Outcome:
    """The property does not apply, or is known not to hold, for the reason given."""
    return NOT_APPLICABLE, str(reason)


def none_of(found: list[str], what: str) -> Outcome:
    """Holds when nothing was found; else says what, three examples at most."""
    if not found:
        return ok(f"no {what}")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return failed(f"{what}: {', '.join(found[:3])}{more}")
