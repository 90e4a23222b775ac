"""Asking a person, through Inspect's own human approver."""

from __future__ import annotations

import json
from collections.abc import Sequence

from inspect_ai.approval import human_approver
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage
from inspect_ai.tool import ToolCall, ToolCallContent, ToolCallView

from policies.turn import Proposal


async def ask(history: Sequence[ChatMessage], proposal: Proposal) -> bool | None:
    """Whether a person lets every call of a proposal run.

    Returns:
        True when there is none to ask about; None when nobody can be asked, for want of a terminal.
    """
    approve = human_approver(choices=["approve", "reject"])
    words = proposal.message.text
    for call in proposal.calls:
        try:
            answer = await approve(
                message=words, call=call, view=_view(call), history=list(history)
            )
        except (EOFError, OSError) as error:
            told = f"nobody can be asked about {call.function} {call.id}: {error or 'no terminal'}"
            transcript().info(told, source="sallyport/approval")
            return None
        if answer.decision != "approve":
            return False
    return True


def _view(call: ToolCall) -> ToolCallView:
    plain = json.dumps(call.arguments, indent=2, ensure_ascii=True, default=str)
    shown = call.view or ToolCallContent(title=call.function, format="text", content=plain)
    return ToolCallView(call=shown)
