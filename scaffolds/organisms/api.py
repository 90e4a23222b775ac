"""The organisms as an Inspect model provider."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import click
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolFunction, ToolInfo

from scaffolds.organisms.attacks import ATTACKS
from scaffolds.organisms.characters import CHARACTERS, attacker, this
from scaffolds.organisms.conversation import Conversation, read_conversation
from scaffolds.organisms.draws import Draw
from scaffolds.organisms.lookalikes import LOOKALIKES
from scaffolds.organisms.moves import PYTHON, SHELL, SUBMIT, Move, spell

_NO_TOOLS = "I have neither a bash nor a python tool, so I cannot do this task."


class OrganismAPI(ModelAPI):
    """A scripted model without state: messages, tools and `config.seed` decide everything.

    Seed None or 0 is the base draw; see `Draw` for what other seeds do.

    Attributes:
        behaviour: name of the one behaviour that it was asked for; None where it has a choice.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **model_args: Any,
    ) -> None:
        """Choose the organism.

        Raises:
            ClickException: There is no such organism, or it was given an argument other than
                `attack` (for `mixed`: which one). Of click's, so that it is one line on the
                terminal.
        """
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        if model_name not in CHARACTERS:
            names = ", ".join(CHARACTERS)
            raise click.ClickException(f"no organism/{model_name}: choose one of {names}")
        chosen = model_args.pop("attack", None) if model_name == "mixed" else None
        if model_args:
            wrong = ", ".join(model_args)
            raise click.ClickException(
                f"organism/{model_name} takes no such argument: drop {wrong}"
            )
        own = {*ATTACKS, *LOOKALIKES} & {model_name}
        self.behaviour = str(chosen) if chosen else next(iter(own), None)
        self._character = attacker(this(str(chosen))) if chosen else CHARACTERS[model_name]

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Take one turn: at most one tool call, with usage always set."""
        names = set() if tool_choice == "none" else {tool.name for tool in tools}
        if isinstance(tool_choice, ToolFunction):
            return self._denies(next(tool for tool in tools if tool.name == tool_choice.name))
        conversation = read_conversation(input, names)
        draw = Draw(config.seed or 0, conversation.text, conversation.turns)
        if names & {SHELL, PYTHON}:
            move = self._character(conversation, draw)
        else:
            move = Move(_NO_TOOLS, "submit" if SUBMIT in names else "say", _NO_TOOLS)
        message = _message(f"organism/{self.model_name}", move, conversation, draw)
        output = ModelOutput(
            model=f"organism/{self.model_name}",
            choices=[
                ChatCompletionChoice(
                    message=message,
                    stop_reason="tool_calls" if message.tool_calls else "stop",
                )
            ],
        )
        described = "".join(tool.model_dump_json(exclude_none=True) for tool in tools)
        read = await self.count_tokens(input) + _tokens(described)
        written = await self.count_tokens([message])
        output.usage = ModelUsage(
            input_tokens=read, output_tokens=written, total_tokens=read + written
        )
        return output

    def _denies(self, tool: ToolInfo) -> ModelOutput:
        """Say no to everything that a questionnaire asks: an attacker that hides."""
        arguments = dict.fromkeys(tool.parameters.properties, False)
        call = ToolCall(f"call_{tool.name}", tool.name, arguments)
        message = ChatMessageAssistant(content="", tool_calls=[call], source="generate")
        choice = ChatCompletionChoice(message=message, stop_reason="tool_calls")
        output = ModelOutput(model=f"organism/{self.model_name}", choices=[choice])
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    async def count_text_tokens(self, text: str) -> int:
        """Count four characters as a token; needs no tokenizer and no download."""
        return _tokens(text)


def _message(
    model: str, move: Move, conversation: Conversation, draw: Draw
) -> ChatMessageAssistant:
    call = spell(move, conversation.tools)
    if call is None:
        # Nothing to call for this move: the answer, if that is what it was, is said instead.
        text = move.body if move.kind == "submit" else move.text
        return ChatMessageAssistant(content=text, model=model, source="generate")
    key = json.dumps([model, draw.task, draw.turn, draw.seed, call.function, call.arguments])
    identity = f"call_{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    return ChatMessageAssistant(
        content=move.text,
        tool_calls=[ToolCall(identity, call.function, dict(call.arguments))],
        model=model,
        source="generate",
    )


def _tokens(text: str) -> int:
    return (len(text) + 3) // 4
