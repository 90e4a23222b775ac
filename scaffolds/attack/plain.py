"""The plainest attack policy: tell the model its side task."""

from __future__ import annotations

from inspect_ai.model import ChatMessage, ChatMessageSystem

from scaffolds.attack import Attack


def plain(side_task: str) -> Attack:
    """Brief the untrusted model in a private system message.

    Args:
        side_task: The briefing, as the setting words it.

    Returns:
        An attack that puts the briefing after the first system message, or first where there is
        none. Applying it again changes nothing.
    """

    def attack(messages: list[ChatMessage]) -> list[ChatMessage]:
        if any(m.role == "system" and m.text == side_task for m in messages):
            return list(messages)
        first = next((i for i, m in enumerate(messages) if m.role == "system"), -1)
        briefing = ChatMessageSystem(content=side_task)
        return [*messages[: first + 1], briefing, *messages[first + 1 :]]

    return attack
