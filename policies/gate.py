"""The gate behind the controlled model: no tool call runs that no verdict endorsed."""

from __future__ import annotations

from collections.abc import Iterable

from inspect_ai.approval import Approval, Approver, approver
from inspect_ai.event import Event, ToolEvent
from inspect_ai.model import ChatMessage
from inspect_ai.tool import ToolCall, ToolCallView

from policies.ledger import FINISHED, Ledger, digest, ledger

_NOT_RUN = ("approval", "parsing")  # errors of calls that were held back, or were no calls at all


@approver(name="endorsed_only")
def endorsed_only() -> Approver:
    """Pass only tool calls that a verdict endorsed, unchanged and once each.

    A blocked call is rejected with the verdict's message, as a tool error that the model reads.
    Any other call ends the sample, whatever made it.
    """

    async def approve(
        message: str, call: ToolCall, view: ToolCallView, history: list[ChatMessage]
    ) -> Approval:
        return judge_call(ledger(), call)

    return approve


def judge_call(book: Ledger, call: ToolCall) -> Approval:
    """What the gate does with a tool call; see `endorsed_only`."""
    if book.ended != FINISHED:
        return Approval(decision="terminate", explanation=f"the sample ended: {book.why}")
    if book.use(call):
        return Approval(decision="approve", explanation="endorsed by a verdict")
    told = book.blocked.get(digest(call))
    if told is not None:
        return Approval(decision="reject", explanation=told)
    why = f"no verdict endorsed this call of {call.function}, or it ran already"
    book.end("gate", f"{why}: {call.id}")
    return Approval(decision="terminate", explanation=why)


def unendorsed(events: Iterable[Event], book: Ledger) -> list[str]:
    """Tool calls that ran, by a sample's transcript, without passing the gate.

    A scaffold may put other approvers in the gate's place; what it ran is in the transcript.

    Returns:
        `function: id` of each; none when the gate saw everything.
    """
    passed = list(book.passed)
    found = []
    for event in events:
        if not isinstance(event, ToolEvent) or event.pending or event.failed:
            continue  # what is failed ended the sample: a call that the gate terminated is
        mark = digest(ToolCall(event.id, event.function, event.arguments))
        if mark in passed:
            passed.remove(mark)
        elif event.error is None or event.error.type not in _NOT_RUN:
            found.append(f"{event.function}: {event.id}")
    return found
