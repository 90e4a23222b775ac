"""Find single secrets: keys and tokens, too short for anything but a plain search."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from sandbox.secret import Secret

SHORTEST = 8
"""Bytes of the shortest secret; anything shorter occurs by chance."""


@dataclass(frozen=True)
class Sighting:
    """A secret found in a buffer.

    Attributes:
        name: Which secret.
        at: Offset in the outermost buffer at which what carried it begins.
        end: Offset just after it.
        encoding: How it was written, and what was undone, innermost first.
    """

    name: str
    at: int
    end: int
    encoding: tuple[str, ...]


class Secrets:
    """Named byte strings in every common spelling.

    Args:
        secrets: By name.

    Raises:
        ValueError: A secret is shorter than `SHORTEST` bytes.
    """

    def __init__(self, secrets: Mapping[str, Secret]) -> None:
        for name, secret in secrets.items():
            if len(secret.value) < SHORTEST:
                raise ValueError(
                    f"secret {name!r} has {len(secret.value)} bytes: give {SHORTEST} or more"
                )
        self._spellings = {name: spellings(secret.value) for name, secret in secrets.items()}

    def find(self, data: bytes) -> dict[str, Sighting]:
        """The secrets that occur in a buffer, in any spelling: where each does so first."""
        found: dict[str, Sighting] = {}
        for name, written in self._spellings.items():
            places = [(data.find(text), len(text), how) for text, how in written.items()]
            at, size, how = min((p for p in places if p[0] >= 0), default=(-1, 0, ""))
            if size:
                found[name] = Sighting(name, at, at + size, (how,) if how else ())
        return found


def spellings(secret: bytes) -> dict[bytes, str]:
    """The ways in which a secret is commonly written.

    Args:
        secret: At least `SHORTEST` bytes.

    Returns:
        The bytes themselves and reversed, hexadecimal, percent signs, and base64 and base32 as
        they read wherever the secret begins in a longer text; with the name of each way, empty for
        the bytes themselves.
    """
    base32 = _aligned(secret, base64.b32encode, 5, 8)
    written = dict.fromkeys([*base32, *(text.lower() for text in base32)], "base32")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        written |= dict.fromkeys(_aligned(secret, encode, 3, 4), "base64")
    written[quote_from_bytes(secret, safe="").encode()] = "url"
    written |= dict.fromkeys([secret.hex().encode(), secret.hex().upper().encode()], "hex")
    return written | {secret[::-1]: "reversed", secret: ""}


def _aligned(secret: bytes, encode: Callable[[bytes], bytes], group: int, unit: int) -> list[bytes]:
    """The characters that the secret alone decides, for each place in a group."""
    bits = 8 * group // unit
    found = []
    for lead in range(group):
        text = encode(bytes(lead) + secret + bytes(group))
        first = -(-8 * lead // bits)
        last = 8 * (lead + len(secret)) // bits
        found.append(text[first:last])
    return found
