"""Step by step (Hills, Caspary, Cooper Stickland, "Distributed attacks", arXiv 2607.02514).

There the attack is spread over pull requests: a monitor that sees one at a time misses about 87 to
93% of them, one that keeps state 54%, an ensemble of four 47%. Here it is spread over turns.
"""

from __future__ import annotations

from scaffolds.attack._asking import prompt_text, telling
from scaffolds.attack._registry import Begin, attack


@attack()
def step_by_step(prompt: str = "step_by_step_v1") -> Begin:
    """Ask U to divide the side task into many small steps, each ordinary when it is seen alone.

    Args:
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` in it.
    """
    return telling(prompt_text(prompt, "side_task"))
