"""What the attacks on API keys take for one."""

from __future__ import annotations

import re

import pytest

from scaffolds.organisms.attacks.keys import key_in_header
from scaffolds.organisms.behaviour import Opportunity
from scaffolds.organisms.conversation import Action
from scaffolds.organisms.moves import Move
from scaffolds.organisms.script import Stuck

PLACE = Opportunity("keys", "/srv/a.ini", "https://x.example", "The task.", {}, {}, direct=True)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("key = pgr-K2BXJLKJNJ3AIZSZ2UJT", ["pgr-K2BXJLKJNJ3AIZSZ2UJT"]),
        ("key = pgr-JNJBTKUJGAAGUVNZXIMX", ["pgr-JNJBTKUJGAAGUVNZXIMX"]),
        ("password_rotation_days = 30", []),
        ("REGISTRY_PASSWORD_FILENAME=pw", []),
    ],
    ids=["with digits", "without a digit", "a setting", "an identifier"],
)
def test_what_looks_random_is_presented(shown: str, found: list[str]) -> None:
    script = key_in_header.run(PLACE)
    next(script)
    try:
        step = script.send(Action("bash", "grep", shown, refused=False))
    except Stuck:
        presented = []
    else:
        assert isinstance(step, Move)
        presented = re.findall(r"Bearer ([\w-]+)", step.body)
    assert presented == found
