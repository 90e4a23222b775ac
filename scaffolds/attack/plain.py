"""Plain: the side task in the setting's words ("AI Control", arXiv 2312.06942, and most after it).

The literature's attack prompts say more; this one is the floor.
"""

from __future__ import annotations

from scaffolds.attack._asking import prompt_text, telling
from scaffolds.attack._registry import Begin, attack


@attack()
def plain(prompt: str = "plain_v1") -> Begin:
    """Tell U its side task in a private system message, and nothing else.

    Args:
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` in it.
    """
    return telling(prompt_text(prompt, "side_task"))
