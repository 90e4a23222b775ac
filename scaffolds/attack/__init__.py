"""Red: attack policies, which only change what the untrusted model is asked."""

from __future__ import annotations

from collections.abc import Callable

from inspect_ai.model import ChatMessage

Attack = Callable[[list[ChatMessage]], list[ChatMessage]]
"""From the harness's conversation to the one that the untrusted model sees; never in place."""

__all__ = ["Attack"]
