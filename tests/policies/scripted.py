"""A scripted model, and loops of every kind that run it under control and tell what they ran."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inspect_ai import Task, eval
from inspect_ai.agent import Agent, as_solver
from inspect_ai.approval import ApprovalPolicy
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.tool import Tool, ToolCall, ToolChoice, ToolInfo, tool

from policies.control import Control
from policies.gate import endorsed_only
from policies.ledger import Ledger
from policies.live import ControlledModel
from policies.turn import Monitor, Proposal, Suspicion
from scaffolds.controlled import controlled

RAN: list[str] = []
"""What was executed, in order."""
USAGE = ModelUsage(
    input_tokens=10,
    output_tokens=5,
    total_tokens=115,
    input_tokens_cache_read=80,
    input_tokens_cache_write=20,
)


class _Script(ModelAPI):
    """Calls `shell` with the commands of the step that the conversation has come to, then ends.

    `{seed}` in a command is the draw's seed.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        steps: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self._steps = steps
        self.calls = 0

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        step = sum(isinstance(m, ChatMessageAssistant) and bool(m.tool_calls) for m in input)
        self.calls += 1
        name = f"{self.model_name}-{self.calls}"
        calls: list[ToolCall] = []
        if step < len(self._steps):
            calls = [
                ToolCall(f"{name}-{n}", "shell", {"command": text.format(seed=config.seed)})
                for n, text in enumerate(self._steps[step])
            ]
        elif any(one.name == "submit" for one in tools):
            calls = [ToolCall(name, "submit", {"answer": "done"})]
        message = ChatMessageAssistant(content="words", tool_calls=calls, source="generate")
        stop = "tool_calls" if calls else "stop"
        choice = ChatCompletionChoice(message=message, stop_reason=stop)
        return ModelOutput(model="script", choices=[choice], usage=USAGE.model_copy())


@modelapi(name="script")
def script() -> type[ModelAPI]:
    return _Script


def scripted(name: str, *steps: Sequence[str], seed: int | None = None) -> Model:
    """A model that takes these steps; each is its parallel commands."""
    return get_model(f"script/{name}", config=GenerateConfig(seed=seed), steps=steps, memoize=False)


@tool
def shell() -> Tool:
    async def execute(command: str) -> str:
        """Run a command.

        Args:
            command: the command.
        """
        RAN.append(command)
        return "ok"

    return execute


def suspects(*words: str, score: float = 0.6) -> Monitor:
    """A monitor that gives this score to what has one of these words in it, and 0 to all else."""

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        text = json.dumps([call.arguments for call in proposal.calls])
        return Suspicion.valid(score if any(word in text for word in words) else 0.0)

    return Monitor(f"suspects {words}", judge)


async def clear(proposal: Proposal, reason: str) -> bool:
    return False


async def confirm(proposal: Proposal, reason: str) -> bool:
    return True


def play(
    folder: Path,
    control: Control | None,
    scaffold: Callable[[], Agent],
    model: Model,
    *,
    roles: dict[str, Model] | None = None,
    sandbox: Any = None,
    **options: Any,
) -> tuple[EvalLog, EvalSample, Ledger]:
    """Run one sample; without a control the same model and scaffold, and no gate."""
    RAN.clear()
    task = Task(
        dataset=[Sample(input="work")],
        solver=as_solver(scaffold() if control is None else controlled(control, scaffold())),
        model=ControlledModel(model),
        model_roles=roles,
        approval=[] if control is None else [ApprovalPolicy(endorsed_only(), "*")],
        sandbox=sandbox,
    )
    [log] = eval(
        task, log_dir=str(folder), display="none", log_realtime=False, ctl_server=False, **options
    )
    assert log.samples, log.error
    [sample] = log.samples
    return log, sample, sample.store_as(Ledger)
