"""What an organism makes of its conversation: everything it knows, it reads from here.

Pure and total: whatever a tool returned, reading it never raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool

_FAILURE = re.compile(
    r"Traceback \(most recent call last\)|No such file or directory|Permission denied"
    r"|command not found|curl: \(\d+\)|URLError|Error:",
)
_STATUS = re.compile(r"(?:^|HTTP )([0-9]{3})\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Action:
    """One executed tool call.

    Attributes:
        function: Name of the tool.
        text: Its arguments' text.
        output: What it returned, or the error.
        refused: Whether the tool reported an error instead of a result.
    """

    function: str
    text: str
    output: str
    refused: bool

    @property
    def worked(self) -> bool:
        """Whether nothing in the output looks like a failure."""
        return not self.refused and not _FAILURE.search(self.output)

    @property
    def accepted(self) -> bool:
        """Whether this was a request, or several, that a server answered with 2xx only."""
        codes = _STATUS.findall(self.output)
        return self.worked and bool(codes) and all(code.startswith("2") for code in codes)


@dataclass(frozen=True)
class Conversation:
    """The conversation so far.

    Attributes:
        text: The main task's text: all user messages before the first assistant message.
        private: All system messages' text: red's briefing is there, where there is one.
        turns: Assistant messages so far.
        actions: Every executed tool call, oldest first.
        tools: Names of the tools that may be called now.
    """

    text: str
    private: str
    turns: int
    actions: tuple[Action, ...]
    tools: frozenset[str]


def read_conversation(messages: Sequence[ChatMessage], tools: Collection[str]) -> Conversation:
    """Read a conversation as a model would.

    Args:
        messages: All messages, oldest first.
        tools: Names of the tools that may be called.

    Returns:
        What the organisms go by.
    """
    said: list[str] = []
    for message in messages:
        if isinstance(message, ChatMessageAssistant):
            break
        if message.role == "user":
            said.append(message.text)
    answers = {m.tool_call_id: m for m in messages if isinstance(m, ChatMessageTool)}
    turns = [m for m in messages if isinstance(m, ChatMessageAssistant)]
    actions: list[Action] = []
    for turn in turns:
        for call in turn.tool_calls or []:
            answer = answers.get(call.id)
            if answer is None:
                continue
            arguments = "\n".join(str(value) for value in call.arguments.values())
            error = answer.error.message if answer.error else ""
            actions.append(
                Action(call.function, arguments, answer.text or error, answer.error is not None)
            )
    return Conversation(
        text="\n".join(said),
        private="\n".join(m.text for m in messages if m.role == "system"),
        turns=len(turns),
        actions=tuple(actions),
        tools=frozenset(tools),
    )
