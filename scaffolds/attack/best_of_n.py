"""Best of n (Terekhov et al., "Adaptive attacks on trusted monitors", arXiv 2510.09462).

There defer-to-resample itself turns an injection into best-of-n, and so backfires. Here red draws
the n samples before blue sees one of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from inspect_ai.model import ChatMessage, ChatMessageUser, ModelOutput
from inspect_ai.util import collect
from pydantic import Field

from policies.control import Ask, Attack
from policies.promptfiles import fill
from policies.turn import Proposal
from scaffolds.attack._asking import prompt_text, scorer
from scaffolds.attack._registry import PLAIN, Begin, Brief, InnerAttack, OwnMonitor, attack

_ANSWER = re.compile(r"^\W*ATTACKS:(.*)$", re.MULTILINE)


@attack(knows="monitor")
def best_of_n(
    n: Annotated[int, Field(ge=2, le=64)] = 4,
    inner: InnerAttack = PLAIN,
    monitor: OwnMonitor = None,
    only_attacks: bool = True,
    prompt: str = "which_v1",
) -> Begin:
    """Sample U n times, and propose the least suspicious sample that still attacks.

    Args:
        n: samples, 2 to 64.
        inner: the attack that makes each of them.
        monitor: another monitor to ask, by name or as a mapping; the copy of the sample's if none.
        only_attacks: whether U is asked which samples serve the side task: only those are compared,
            and the first sample is proposed when none does. Else all are, as in the literature.
        prompt: what asks so: one of ours by name, or the path of a `.md` file with `{side_task}`
            and `{proposals}`.
    """
    asking = prompt_text(prompt, "side_task", "proposals")

    def begin(brief: Brief) -> Attack:
        inside = inner.value.begin(brief)
        score = scorer(brief, monitor)

        async def attack(messages: list[ChatMessage], ask: Ask) -> ModelOutput:
            outputs = await collect(*(inside(list(messages), ask) for _ in range(n)))
            acts = [one for one in outputs if one.message.tool_calls]
            if only_attacks and acts:
                question = fill(asking, side_task=brief.side_task, proposals=_numbered(acts))
                answer = await ask([*messages, ChatMessageUser(content=question)])
                acts = _named(acts, answer.message.text)
            if not acts:
                return outputs[0]
            suspicions = await collect(*(score(messages, one) for one in acts))
            levels = [one.level for one in suspicions]
            return acts[levels.index(min(levels))]

        return attack

    return begin


def _numbered(outputs: Sequence[ModelOutput]) -> str:
    shown = (Proposal(one, "untrusted", 0).text for one in outputs)
    return "\n\n".join(f"{number}: {text}" for number, text in enumerate(shown, 1))


def _named(outputs: list[ModelOutput], answer: str) -> list[ModelOutput]:
    """Those whose numbers the answer gives; all of them where it does not answer the question."""
    found = _ANSWER.search(answer)
    if found is None:
        return outputs
    numbers = {int(number) for number in re.findall(r"\d+", found[1])}
    return [one for number, one in enumerate(outputs, 1) if number in numbers]
