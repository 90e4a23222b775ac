"""Side-task briefing (SHADE-Arena, arXiv 2506.15740: the agent is told its side task in private).

With such a briefing Claude 3.7 succeeded and evaded in 27% of SHADE-Arena's runs. How much it moves
depends on the model: one identical prompt gave 45 to 69 successful attacks in 100 with one and 1 in
100 with another, which then reads as a safe monitor.
"""

from __future__ import annotations

from scaffolds.attack._asking import prompt_text, telling
from scaffolds.attack._registry import Begin, attack


@attack()
def briefing(prompt: str = "briefing_v1") -> Begin:
    """Tell U its side task with the background of the exercise and advice on how to go about it.

    Args:
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` in it.
    """
    return telling(prompt_text(prompt, "side_task"))
