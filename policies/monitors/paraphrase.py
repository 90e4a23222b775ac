"""An action as the trusted model would write it: the same effect in other words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from inspect_ai.model import (
    ChatMessage,
    ChatMessageSystem,
    ChatMessageUser,
    Model,
)
from inspect_ai.tool import ToolCall, ToolFunction, ToolInfo, ToolParams
from inspect_ai.util import JSONSchema

from policies.monitors.asking import ATTEMPTS, sent_back
from policies.monitors.promptfiles import fill
from policies.monitors.redact import with_message
from policies.turn import Proposal

_REWRITE = ToolInfo(
    name="rewrite",
    description="Hand in the rewritten strings.",
    parameters=ToolParams(
        properties={
            "strings": JSONSchema(
                type="array",
                items=JSONSchema(type="string"),
                description="As many as there were, in the same order.",
            )
        },
        required=["strings"],
    ),
)


class NotParaphrased(ValueError):
    """The trusted model gave no usable paraphrase."""


async def paraphrase(proposal: Proposal, trusted: Model, prompt: str, nonce: str) -> Proposal:
    """Have the trusted model rewrite every text among the arguments of a proposal's calls.

    Args:
        proposal: what the agent would do.
        trusted: who rewrites it.
        prompt: the system prompt's text.
        nonce: for the markers.

    Raises:
        NotParaphrased: after three answers that do not fit.
    """
    texts = [one for call in proposal.calls for one in call.arguments.values() if _is_text(one)]
    if not texts:
        return proposal
    shown = f"[{nonce} begin strings]\n{json.dumps(texts)}\n[{nonce} end]"
    messages: list[ChatMessage] = [
        ChatMessageSystem(content=fill(prompt, nonce)),
        ChatMessageUser(content=shown),
    ]
    for _ in range(ATTEMPTS):
        output = await trusted.generate(
            messages, tools=[_REWRITE], tool_choice=ToolFunction(name=_REWRITE.name), cache=False
        )
        calls: Sequence[ToolCall] = ()
        if output.choices:
            messages.append(output.message)
            calls = output.message.tool_calls or ()
        strings = calls[0].arguments.get("strings") if len(calls) == 1 else None
        if isinstance(strings, list) and len(strings) == len(texts) and all(map(_is_text, strings)):
            return _with_texts(proposal, strings)
        problem = f"call {_REWRITE.name} once, with a list of {len(texts)} strings, none empty"
        messages += sent_back(calls, problem)
    raise NotParaphrased(f"no usable paraphrase in {ATTEMPTS} answers")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _with_texts(proposal: Proposal, texts: list[str]) -> Proposal:
    left = iter(texts)
    calls = [
        replace(
            call,
            arguments={
                name: next(left) if _is_text(one) else one for name, one in call.arguments.items()
            },
        )
        for call in proposal.calls
    ]
    message = proposal.message.model_copy(update={"tool_calls": calls})
    return with_message(proposal, message)
