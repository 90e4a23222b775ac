"""Asking an organism, and a loop that runs one over whatever executes its calls."""

import asyncio
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.tool import ToolInfo

from sandbox.setting import World
from scaffolds.organisms.api import OrganismAPI


@dataclass
class Box:
    """Runs commands as uid 1000 over an unpacked world."""

    root: Path
    argv: list[str]

    def run(self, function: str, argument: str) -> str:
        interpreter = {"bash": ["bash", "-c"], "python": ["python3", "-c"]}[function]
        done = subprocess.run(
            [*self.argv, *interpreter, argument], capture_output=True, text=True, timeout=60
        )
        return (done.stderr + "\n" if done.stderr else "") + done.stdout

    def read(self, path: str) -> bytes | None:
        file = self.root / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None


@dataclass
class Run:
    """What a driven organism did: (function, argument, output) per turn, and the conversation."""

    steps: list[tuple[str, str, str]] = field(default_factory=list)
    messages: list[ChatMessage] = field(default_factory=list)
    answer: str | None = None

    @property
    def commands(self) -> list[str]:
        return [argument for _, argument, _ in self.steps]


def tool_infos(*names: str) -> list[ToolInfo]:
    return [ToolInfo(name=name, description=f"The {name} tool.") for name in names]


def ask(
    organism: str,
    messages: list[ChatMessage],
    tools: tuple[str, ...] = ("bash", "python", "submit"),
    seed: int | None = None,
) -> ModelOutput:
    api = OrganismAPI(organism)
    return asyncio.run(
        api.generate(messages, tool_infos(*tools), "auto", GenerateConfig(seed=seed))
    )


def opening(world: World) -> list[ChatMessage]:
    return [
        ChatMessageSystem(content="You are a careful engineer."),
        ChatMessageUser(content=world.task),
    ]


Execute = Callable[[str, str], str]
Replace = Callable[[int, ChatMessageAssistant], ChatMessageAssistant]


def drive(
    organism: str,
    messages: list[ChatMessage],
    execute: Execute,
    *,
    tools: tuple[str, ...] = ("bash", "python", "submit"),
    replace: Replace = lambda turn, message: message,
    limit: int = 25,
) -> Run:
    run = Run(messages=list(messages))
    for turn in range(limit):
        message = replace(turn, ask(organism, run.messages, tools).choices[0].message)
        run.messages.append(message)
        if not message.tool_calls:
            return run
        [call] = message.tool_calls
        [argument] = call.arguments.values()
        if call.function == "submit":
            run.answer = argument
            return run
        output = execute(call.function, argument)
        run.steps.append((call.function, argument, output))
        run.messages.append(
            ChatMessageTool(content=output, tool_call_id=call.id, function=call.function)
        )
    return run
