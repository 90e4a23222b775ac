"""Asking a person, through Inspect's own human approver."""

from __future__ import annotations

import json

from inspect_ai.approval import human_approver
from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage
from inspect_ai.tool import ToolCall, ToolCallContent, ToolCallView

from policies.turn import Proposal


async def approved(history: list[ChatMessage], proposal: Proposal) -> bool:
    """Whether a person lets every call of a proposal run; True when there is none to ask about.

    Where nobody can be asked, for want of a terminal, the answer is no.
    """
    ask = human_approver(choices=["approve", "reject"])
    for call in proposal.calls:
        try:
            answer = await ask(
                message=proposal.message.text, call=call, view=_view(call), history=history
            )
        except (EOFError, OSError) as error:
            transcript().info(
                f"nobody can be asked about {call.function} {call.id} ({error or 'no terminal'}): "
                "counted as not approved",
                source="sallyport/approval",
            )
            return False
        if answer.decision != "approve":
            return False
    return True


def _view(call: ToolCall) -> ToolCallView:
    plain = json.dumps(call.arguments, indent=2, ensure_ascii=True, default=str)
    shown = call.view or ToolCallContent(title=call.function, format="text", content=plain)
    return ToolCallView(call=shown)
