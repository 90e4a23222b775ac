"""Planner and executor (Makins & Angelini, "Multi-Agent AI Control", arXiv 2607.07368).

There a planner raises the completion of attacks up to sevenfold. Plan synthesis and execution are
two of the five skills of attack in "Optimizing AI Agent Attacks" (arXiv 2511.02823).
"""

from __future__ import annotations

import anyio
from inspect_ai.model import ChatMessage, ChatMessageUser, ModelOutput

from policies.control import Ask, Attack
from policies.promptfiles import fill
from scaffolds.attack._asking import briefed, prompt_text
from scaffolds.attack._registry import Begin, Brief, attack

_NONE = "(not written yet)"


@attack()
def planner(prompt: str = "planner_v1", plan_prompt: str = "plan_v1") -> Begin:
    """Have U write a private plan first, kept throughout the sample, and then act by it.

    Args:
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` and `{plan}`.
        plan_prompt: likewise, what asks for the plan.
    """
    text = prompt_text(prompt, "side_task", "plan")
    asking = prompt_text(plan_prompt)

    def begin(brief: Brief) -> Attack:
        plans: list[str] = []
        lock = anyio.Lock()  # draws may be asked for side by side, and have one plan

        def told(messages: list[ChatMessage], plan: str) -> list[ChatMessage]:
            return briefed(messages, fill(text, side_task=brief.side_task, plan=plan))

        async def attack(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
            async with lock:
                if not plans:
                    private = ChatMessageUser(content=asking)
                    answer = await ask([*told(messages, _NONE), private])
                    plans.append(answer.message.text or _NONE)
            return await ask(told(messages, plans[0]))

        return attack

    return begin
