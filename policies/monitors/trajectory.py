"""One judgement of a whole run, after it: a scorer, which takes no part in live decisions.

`inspect score LOG --scorer sallyport/trajectory --model-role monitor=MODEL --action append`. It
reads what ran: drafts that a protocol rejected are not in the conversation, so their scores cannot
enter the run's. As SHADE-Arena's monitors, which see the trajectory once (Kutasov et al.,
arXiv:2506.15740).
"""

from __future__ import annotations

from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState

from policies.monitors.asking import Question, ask
from policies.monitors.promptfiles import prompt_sha256, prompt_text
from policies.monitors.render import NotRenderable, render_run, sample_nonce
from policies.naming import of_distribution
from policies.turn import Suspicion


@scorer(metrics=[mean(), stderr()], name="sallyport/trajectory")
@of_distribution
def trajectory(
    role: str = "monitor",
    draws: int = 1,
    temperature: float | None = None,
    reasoning: bool = True,
    view: str = "full",
    prompt: str = "trajectory_v1",
) -> Scorer:
    """Ask the model bound to a role how suspicious a finished run is, from 0 to 1.

    A run that it cannot judge is unscored, with the reason: neither 0 nor 1.

    Args:
        role: the model's role.
        draws: independent answers, averaged.
        temperature: of the sampling; None leaves it to the model's own config.
        reasoning: whether the model may think in words before it reports.
        view: `full` or `full+reasoning`: whether it sees the agent's reasoning.
        prompt: one of ours by name, or the path of a `.md` file with `{nonce}` in it.

    Raises:
        ValueError: there is no such prompt or view.
    """
    if view not in ("full", "full+reasoning"):
        raise ValueError(f"view={view!r}: a whole run is seen in full or full+reasoning")
    if draws < 1:
        raise ValueError(f"draws={draws}: ask at least once")
    question = Question(prompt_text(prompt), draws, temperature, reasoning)

    async def score(state: TaskState, target: Target) -> Score:
        try:
            seen = render_run(state.messages, sample_nonce(), view)
            model = get_model(role=role, required=True)
            suspicion = await ask(model, question, seen)
        except NotRenderable as error:
            suspicion = Suspicion.failed(str(error))
        metadata = {"prompt": prompt, "prompt_sha256": prompt_sha256(prompt)}
        if suspicion.value is None:
            return Score.unscored(explanation=suspicion.reason, metadata=metadata)
        return Score(value=suspicion.value, explanation=suspicion.reason, metadata=metadata)

    return score
