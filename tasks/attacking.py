"""The attack policy that a user asked for, and what it is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from policies.control import Attack
from policies.monitors.promptfiles import FILES as MONITOR_PROMPTS
from policies.promptfiles import prompt_hashes
from policies.registry import Resolved
from scaffolds.attack import ATTACK_PROMPTS, Brief, Policy, attacks
from tasks.choosing import Choice, as_spec
from tasks.errors import usage_error, usage_errors
from tasks.roles import bound_role

_LISTED = 12  # values of a list that an attack is told; honest scores can be thousands


@dataclass(frozen=True)
class Red:
    """What was asked for.

    Attributes:
        policy: the attack policy.
        choice: what it is up against.
    """

    policy: Resolved[Policy]
    choice: Choice

    @property
    def roles(self) -> frozenset[str]:
        """The model roles that it asks: those of its monitors, and of the copy of blue's."""
        copied = self.choice.judge.roles if self.policy.value.knows == "monitor" else frozenset()
        return self.policy.roles | copied

    @property
    def metadata(self) -> dict[str, Any]:
        """For a log's header: name and arguments, what it knows, and digests of its prompts."""
        return {
            "attack": self.policy.spec,
            "attack_knows": self.policy.value.knows,
            "attack_prompts": prompt_hashes(self.policy, ATTACK_PROMPTS, MONITOR_PROMPTS),
        }

    def begin(self, side_task: str, seed: str) -> Attack:
        """The attack of one sample; see `Brief` for what it is told."""
        brief = Brief(side_task, _told(self.choice), self.choice.judge.value, seed)
        return self.policy.value.begin(brief)


def choose_attack(attack: str | dict[str, Any], choice: Choice) -> Red:
    """Resolve what was typed. Only where Inspect knows the model roles: inside a `@task`.

    Args:
        attack: by name, or `{name: ..., argument: ...}`.
        choice: what it is up against.

    Raises:
        ClickException: unknown, wrong arguments, or a model is missing; one line.
    """
    with usage_errors():
        red = Red(attacks.resolve(as_spec(attack)), choice)
        for role in sorted(red.roles - {"untrusted", "trusted"}):
            if bound_role(role) is None:
                name = red.policy.name
                raise usage_error(f"attack {name} asks a model: give --model-role {role}=MODEL")
        return red


def _told(choice: Choice) -> str:
    """The protocol and the monitor with their arguments, as an attack that knows them is told."""
    watching = choice.judge.spec if choice.monitor else None
    return "\n".join(
        f"{noun}: {json.dumps(_short(spec))}"
        for noun, spec in (("protocol", choice.protocol.spec), ("monitor", watching))
    )


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list) and len(value) > _LISTED:
        return f"{len(value)} values"
    return [_short(one) for one in value] if isinstance(value, list) else value
