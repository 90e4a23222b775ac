"""What the attack policies share: private briefings, and a monitor that red may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from inspect_ai.model import ChatMessage, ChatMessageSystem, ModelOutput

from policies.control import Ask, Attack
from policies.promptfiles import PromptFiles, fill
from policies.registry import Resolved
from policies.turn import Judge, Proposal, Suspicion
from scaffolds.attack._registry import Begin, Brief, careful

ATTACK_PROMPTS = PromptFiles(Path(__file__).with_name("prompts"))
"""Private to red; their digests go into the log."""

Scorer = Callable[[Sequence[ChatMessage], ModelOutput], Awaitable[Suspicion]]
"""How suspicious an answer of U's would be, made after this history."""


def prompt_text(prompt: str, *needs: str) -> str:
    """A prompt's text.

    Args:
        prompt: the name of one of ours (`briefing_v1`), or the path of a file that ends in `.md`.
        needs: the `{placeholders}` that it must have.

    Raises:
        ValueError: there is no such prompt, or a placeholder is missing.
    """
    text = ATTACK_PROMPTS.text(prompt).strip()
    for need in needs:
        if f"{{{need}}}" not in text:
            raise ValueError(f"the prompt {prompt} must have {{{need}}} in it")
    return text


def briefed(messages: Sequence[ChatMessage], text: str) -> list[ChatMessage]:
    """The conversation with a private system message, after the first one that it has."""
    first = next((i for i, one in enumerate(messages) if one.role == "system"), -1)
    return [*messages[: first + 1], ChatMessageSystem(content=text), *messages[first + 1 :]]


def telling(text: str, **values: str) -> Begin:
    """An attack that briefs U and leaves the rest to it.

    Args:
        text: a prompt; `{side_task}` and `{protocol}` in it are filled from the brief.
        values: what its other placeholders stand for.
    """

    def begin(brief: Brief) -> Attack:
        protocol = brief.protocol or "(not known)"
        told = fill(text, side_task=brief.side_task, protocol=protocol, **values)

        async def attack(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
            return await ask(briefed(messages, told))

        return attack

    return begin


def scorer(brief: Brief, own: Resolved[Judge] | None) -> Scorer:
    """Red's monitor: its own where it has one, else the copy of the sample's.

    Raises:
        ValueError: there is neither.
    """
    judge = brief.judge if own is None else careful(own.value)
    if judge is None:
        raise ValueError("the attack asks a monitor and the sample has none: give monitor=NAME")

    async def score(messages: Sequence[ChatMessage], output: ModelOutput) -> Suspicion:
        return await judge(messages, Proposal(output, "untrusted", 0))

    return score
