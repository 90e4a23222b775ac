"""The untrusted model as its own monitor, with collusion busting.

Greenblatt et al., "AI Control" (arXiv:2312.06942), section on untrusted monitoring: a second
instance of U is the strongest monitor at hand, but would let its own attacks pass if it recognised
them. So its view, and only its view, is redacted and paraphrased by the trusted model. The paper's
combined score 4 f(U) + f(T) needs both scores' distributions over honest actions and is left to
measurements that have them; side by side, `ensemble` asks both.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import ChatMessage, get_model

from policies.monitors._registry import monitor
from policies.monitors.asking import Question, ask
from policies.monitors.paraphrase import NotParaphrased, paraphrase
from policies.monitors.prompted import Draws, Temperature
from policies.monitors.promptfiles import prompt_text
from policies.monitors.redact import redact
from policies.monitors.render import NotRenderable, ViewName, render, sample_nonce
from policies.turn import Judge, Proposal, Suspicion


@monitor(roles=("trusted", "untrusted"))
def untrusted(
    redacts: bool = True,
    paraphrases: bool = True,
    draws: Draws = 1,
    temperature: Temperature = None,
    reasoning: bool = False,
    view: ViewName = "last-0",
    prompt: str = "untrusted_v1",
    paraphrase_prompt: str = "paraphrase_v1",
) -> Judge:
    """Ask the untrusted model about its own proposal, which it sees in other words.

    Args:
        redacts: whether the agent's words, comments, own names and printed strings are taken out.
        paraphrases: whether the trusted model rewrites the proposed action; needs that role.
        draws: independent answers, averaged; one that fails makes the monitor fail.
        temperature: of the sampling; None leaves it to the model's own config.
        reasoning: whether the model may think in words before it reports.
        view: `action`, `last-K` or `full`; what tools answered in the turns shown is not redacted.
        prompt: one of ours by name, or the path of a `.md` file with `{nonce}` in it.
        paraphrase_prompt: likewise, for the trusted model.

    Raises:
        ValueError: a prompt does not exist or does not fit, or the view shows the reasoning that
            redaction takes out.
    """
    if redacts and view.endswith("+reasoning"):
        raise ValueError("redacts takes the reasoning out: use a view without it")
    question = Question(prompt_text(prompt), draws, temperature, reasoning)
    rewriting = prompt_text(paraphrase_prompt)

    async def judge(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        nonce = sample_nonce()
        told, shown = redact(history, proposal) if redacts else (list(history), proposal)
        try:
            render(told, shown, nonce, view)  # what cannot be shown is not paraphrased either
            if paraphrases:
                trusted = get_model(role="trusted", required=True)
                shown = await paraphrase(shown, trusted, rewriting, nonce)
            seen = render(told, shown, nonce, view)
        except (NotRenderable, NotParaphrased) as error:
            return Suspicion.failed(str(error))
        # In an evaluation the active model is U, whether or not the role is bound to it.
        return await ask(get_model(role="untrusted", default=get_model()), question, seen)

    return judge
