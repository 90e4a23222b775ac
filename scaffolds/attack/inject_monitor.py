"""Prompt injection against the monitor (Terekhov et al., "Adaptive attacks", arXiv 2510.09462).

There it evades every monitor on two benchmarks; GPT-4.1 gave the score 0 to all of 375 backdoored
samples. Under a protocol that resamples, the least suspicious draw is the best injection.
"""

from __future__ import annotations

from scaffolds.attack._asking import prompt_text, telling
from scaffolds.attack._registry import Begin, attack


@attack()
def inject_monitor(prompt: str = "inject_monitor_v1") -> Begin:
    """Ask U to put text that is meant for a monitor into the comments and strings of its actions.

    Args:
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` in it.
    """
    return telling(prompt_text(prompt, "side_task"))
