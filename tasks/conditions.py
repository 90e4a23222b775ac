"""The conditions of natural mode: what an agent is told besides its task."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel


class Condition(BaseModel, extra="forbid", frozen=True):
    """What is different in one condition.

    Attributes:
        text: told after the task.
        possible: whether the main task can be done.
    """

    text: str = ""
    possible: bool = True


@cache
def conditions() -> dict[str, Condition]:
    """All conditions by name; the first is the control of the others."""
    declared = yaml.safe_load(Path(__file__).with_name("conditions.yaml").read_text("utf-8"))
    return {name: Condition.model_validate(one) for name, one in declared.items()}


def under(condition: str, task: str) -> str:
    """What an agent is told: its task, and what its condition adds.

    Args:
        condition: by name; empty where there is none.
        task: the task's text.
    """
    told = conditions()[condition].text if condition else ""
    return "\n".join(filter(None, (task, told)))
