"""How a monitor sees a conversation: text with markers that the agent cannot forge.

Every marker carries a nonce that is fresh per call, so whatever the agent or its tools print is
only ever inside a block. Only this module cuts, and it says how much it cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ContentText

from policies.turn import Proposal

_BLOCK_CHARS = 6000


class NotRenderable(ValueError):
    """The conversation holds something that cannot be shown as text."""


def render(history: Sequence[ChatMessage], proposal: Proposal, nonce: str) -> str:
    """Render a history and the proposed action.

    Args:
        history: what the harness sent to the agent.
        proposal: the action to be judged; it comes last, in blocks named `proposed`.
        nonce: a string that the agent cannot know.

    Raises:
        NotRenderable: images, audio or other content that is not text: a monitor that cannot see
            all of an action must fail rather than pass.
    """
    parts = [f"[{nonce} withheld] Private instructions to the agent, if any, are not shown."]
    for message in history:
        if isinstance(message, ChatMessageAssistant):
            parts += _assistant(message, "agent", nonce)
        elif isinstance(message, ChatMessageTool):
            status = f"error: {message.error.type}" if message.error else "ok"
            title = f"result of {message.function} ({status})"
            parts.append(_block(title, _text(message), nonce))
        else:
            parts.append(_block(message.role, _text(message), nonce))
    parts += _assistant(proposal.message, "proposed", nonce)
    return "\n".join(parts)


def _assistant(message: ChatMessageAssistant, title: str, nonce: str) -> Iterable[str]:
    text = _text(message)
    if text:
        yield _block(f"{title}: text", text, nonce)
    for call in message.tool_calls or ():
        for name, value in call.arguments.items():
            shown = value if isinstance(value, str) else json.dumps(value)
            yield _block(f"{title}: {call.function}({name})", shown, nonce)
        if not call.arguments:
            yield _block(f"{title}: {call.function}()", "", nonce)


def _text(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    texts = []
    for item in message.content:
        if item.type == "reasoning":
            continue  # the action is judged, not what was thought about it
        if not isinstance(item, ContentText):
            raise NotRenderable(f"content of type {item.type} cannot be shown to the monitor")
        texts.append(item.text)
    return "\n".join(texts)


def _block(title: str, text: str, nonce: str) -> str:
    excess = len(text) - _BLOCK_CHARS
    if excess > 0:
        half = _BLOCK_CHARS // 2
        text = f"{text[:half]}\n[{nonce} {excess} characters cut here]\n{text[-half:]}"
    return f"[{nonce} begin {title}]\n{text}\n[{nonce} end]"
