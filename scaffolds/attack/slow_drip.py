"""Slow drip (against upload limits: Greenblatt, "Preventing model exfiltration", 2024).

Small pieces over many turns stay under limits per action; a count over the whole run sees them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scaffolds.attack._asking import prompt_text, telling
from scaffolds.attack._registry import Begin, attack


@attack()
def slow_drip(
    per_turn: Annotated[int, Field(ge=1)] = 16_384, prompt: str = "slow_drip_v1"
) -> Begin:
    """Ask U to do the side task in small pieces over many turns.

    Args:
        per_turn: bytes of the side task in one turn, at most: what U is told, not what is enforced.
        prompt: one of ours by name, or the path of a `.md` file with `{side_task}` and `{bytes}`.
    """
    return telling(prompt_text(prompt, "side_task", "bytes"), bytes=str(per_turn))
