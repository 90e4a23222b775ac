"""Red: attack policies, one file each, which change what the untrusted model is asked.

They measure defences, inside a sealed box whose weights are canaries. Importing this package
registers every file in it.
"""

from importlib import import_module
from pkgutil import iter_modules

from policies.control import Ask, Attack
from scaffolds.attack._asking import ATTACK_PROMPTS, briefed, prompt_text, scorer, telling
from scaffolds.attack._registry import (
    LADDER,
    PLAIN,
    Begin,
    Brief,
    InnerAttack,
    Knows,
    OwnMonitor,
    Policy,
    attack,
    attacks,
)

__all__ = [
    "ATTACK_PROMPTS",
    "LADDER",
    "PLAIN",
    "Ask",
    "Attack",
    "Begin",
    "Brief",
    "InnerAttack",
    "Knows",
    "OwnMonitor",
    "Policy",
    "attack",
    "attacks",
    "briefed",
    "prompt_text",
    "scorer",
    "telling",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
