"""A monitor that asks a model, by its role, and takes the score from a tool call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from inspect_ai.model import ChatMessage, get_model
from pydantic import Field

from policies.monitors._registry import monitor
from policies.monitors.asking import Question, ask
from policies.monitors.promptfiles import prompt_text
from policies.monitors.render import NotRenderable, ViewName, render, sample_nonce
from policies.turn import Judge, Proposal, Suspicion

Draws: TypeAlias = Annotated[int, Field(ge=1, le=64)]
"""How many answers are averaged."""
Temperature: TypeAlias = Annotated[float, Field(ge=0.0, le=2.0)] | None
"""Of the sampling; None: the model's own."""


@monitor(roles=("monitor",))
def prompted(
    role: Annotated[str, Field(min_length=1)] = "monitor",
    draws: Draws = 1,
    temperature: Temperature = None,
    reasoning: bool = False,
    view: ViewName = "full",
    prompt: str = "action_v1",
) -> Judge:
    """Ask the model bound to a role; a report that does not fit goes back to it, three in all.

    Args:
        role: the model's role.
        draws: independent answers, averaged; one that fails makes the monitor fail.
        temperature: of the sampling; None leaves it to the model's own config.
        reasoning: whether the model may think in words before it reports.
        view: `action`, `last-K` or `full`, each also with `+reasoning`: what it sees.
        prompt: one of ours by name, or the path of a `.md` file with `{nonce}` in it.

    Raises:
        ValueError: there is no such prompt, or it does not fit.
    """
    question = Question(prompt_text(prompt), draws, temperature, reasoning)

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        try:
            seen = render(history, proposal, sample_nonce(), view)
        except NotRenderable as error:
            return Suspicion.failed(str(error))
        return await ask(get_model(role=role, required=True), question, seen)

    return judge
