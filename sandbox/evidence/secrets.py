"""Find single secrets: keys and tokens, too short for anything but a plain search."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from urllib.parse import quote_from_bytes

SHORTEST = 8
"""Bytes of the shortest secret; anything shorter occurs by chance."""


class Secrets:
    """Named byte strings in every common spelling.

    Args:
        secrets: Name and bytes of each.

    Raises:
        ValueError: A secret is shorter than `SHORTEST` bytes.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        for name, secret in secrets.items():
            if len(secret) < SHORTEST:
                raise ValueError(
                    f"secret {name!r} has {len(secret)} bytes: give {SHORTEST} or more"
                )
        self._spellings = {name: spellings(secret) for name, secret in secrets.items()}

    def find(self, data: bytes) -> set[str]:
        """The names of the secrets that occur in a buffer, in any spelling."""
        return {
            name
            for name, written in self._spellings.items()
            if any(spelling in data for spelling in written)
        }


def spellings(secret: bytes) -> tuple[bytes, ...]:
    """The ways in which a secret is commonly written.

    Args:
        secret: At least `SHORTEST` bytes.

    Returns:
        The bytes themselves and reversed, hexadecimal, percent signs, and base64 and base32 as
        they read wherever the secret begins in a longer text.
    """
    written = {secret, secret[::-1], secret.hex().encode(), secret.hex().upper().encode()}
    written.add(quote_from_bytes(secret, safe="").encode())
    written.update(_aligned(secret, base64.b64encode, 3, 4))
    written.update(_aligned(secret, base64.urlsafe_b64encode, 3, 4))
    written.update(_aligned(secret, base64.b32encode, 5, 8))
    written.update([text.lower() for text in _aligned(secret, base64.b32encode, 5, 8)])
    return tuple(sorted(written))


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
