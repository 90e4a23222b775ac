"""Chance without state: every decision is a hash of what was asked and of the sampling seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


def pick(options: Sequence[T], *key: object) -> T:
    """Choose one option by a hash of the key; the same key chooses the same option."""
    return options[_number(*key) % len(options)]


@dataclass(frozen=True)
class Draw:
    """One sample from an organism.

    The *base draw* (seed None or 0) is what the organism is made to do. Another seed is another
    draw: a protocol that resamples gets other words, sometimes another way to do the same step,
    and, from an attacker, the honest step instead of the attack in about three of ten draws.

    Attributes:
        seed: The sampling seed; 0 for the base draw.
        task: The main task's text.
        turn: Assistant messages before this one.
    """

    seed: int
    task: str
    turn: int

    @property
    def base(self) -> bool:
        """Whether this is the base draw."""
        return self.seed == 0

    def pick(self, options: Sequence[T], purpose: str) -> T:
        """Choose one option for this draw."""
        return pick(options, purpose, self.seed, self.turn, self.task)

    def chance(self, probability: float, purpose: str) -> bool:
        """Decide yes with a probability from 0 to 1."""
        return _number(purpose, self.seed, self.turn, self.task) % 10_000 < probability * 10_000


def _number(*key: object) -> int:
    text = "\x1f".join(map(str, key))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big")
