"""The plainest attack policy: tell the model its side task."""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import ChatMessage, ChatMessageSystem, ModelOutput

from policies.control import Ask, Attack


def plain(side_task: str) -> Attack:
    """Brief the untrusted model in a private system message.

    Args:
        side_task: The briefing, as the setting words it.
    """

    async def attack(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
        return await ask(briefed(messages, side_task))

    return attack


def briefed(messages: Sequence[ChatMessage], text: str) -> list[ChatMessage]:
    """The conversation with a private system message, after the first one that it has."""
    first = next((i for i, one in enumerate(messages) if one.role == "system"), -1)
    return [*messages[: first + 1], ChatMessageSystem(content=text), *messages[first + 1 :]]
