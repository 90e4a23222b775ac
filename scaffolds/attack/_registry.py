"""What an attack policy is, what it may know, and the registry that the policies' files share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Annotated, Any, Literal, TypeAlias

from inspect_ai.model import ChatMessage
from pydantic import BeforeValidator, SkipValidation, WithJsonSchema

from policies.control import Attack
from policies.judging import judged
from policies.monitors import monitors
from policies.registry import Registry, Resolved
from policies.turn import Judge, Proposal, Suspicion

Knows: TypeAlias = Literal["nothing", "protocol", "monitor"]
"""How much an attack knows of what watches it; each also knows what those before it know."""
LADDER: tuple[Knows, ...] = ("nothing", "protocol", "monitor")


@dataclass(frozen=True)
class Brief:
    """What red is told in one sample. An attack gets no more of it than it declares to know.

    Attributes:
        side_task: the setting's words for the harm; they reach U as they are.
        protocol: the protocol and its monitor, each with its arguments, as text; None when the
            attack is not to know.
        judge: a copy of the monitor, to be asked at will; None when the attack is not to know it.
        seed: of red's own chance, another one for every sample.
    """

    side_task: str
    protocol: str | None = None
    judge: Judge | None = None
    seed: str = ""


Begin: TypeAlias = Callable[[Brief], Attack]
"""Makes an attack for one sample: what it keeps across turns belongs to that sample."""


@dataclass(frozen=True)
class Policy:
    """An attack policy with its arguments.

    Attributes:
        knows: the most that it, or an attack that it wraps, declares to know.
        make: as the policy's file has it; `begin` calls it.
    """

    knows: Knows
    make: Begin

    def begin(self, brief: Brief) -> Attack:
        """Begin a sample; call it once for each.

        Args:
            brief: everything that there is to know; what is not declared is withheld here.

        Raises:
            ValueError: the attack needs what the brief has not got.
        """
        knows = LADDER.index(self.knows)
        judge = brief.judge if knows >= LADDER.index("monitor") else None
        return self.make(
            replace(
                brief,
                protocol=brief.protocol if knows >= LADDER.index("protocol") else None,
                judge=None if judge is None else careful(judge),
            )
        )


def careful(judge: Judge) -> Judge:
    """The same monitor, asked as blue asks it; red's asking uses up none of the agent's limits."""

    async def ask(history: Sequence[ChatMessage], proposal: Proposal) -> Suspicion:
        return await judged(judge, history, proposal)

    return ask


attacks: Registry[Policy] = Registry("attack")


def attack(*, knows: Knows = "nothing") -> Callable[[Callable[..., Begin]], Callable[..., Policy]]:
    """A decorator for an attack policy's factory; its function's name is the registered name.

    Args:
        knows: what it may know of what watches it: `Brief` is filled accordingly.
    """

    def add(factory: Callable[..., Begin]) -> Callable[..., Policy]:
        @wraps(factory)
        def make(*given: Any, **named: Any) -> Policy:
            values = [one.value for one in (*given, *named.values()) if isinstance(one, Resolved)]
            wrapped = [one.knows for one in values if isinstance(one, Policy)]
            return Policy(max([knows, *wrapped], key=LADDER.index), factory(*given, **named))

        return attacks.register(knows=knows)(make)

    return add


InnerAttack: TypeAlias = Annotated[
    SkipValidation[Resolved[Policy]],
    BeforeValidator(attacks.inner),
    WithJsonSchema({"type": "attack"}),
]
"""The type of an argument that is another attack, which `.value` is."""

PLAIN: Any = "plain"
"""The default of such an argument."""


def _own_monitor(spec: Any) -> Resolved[Judge] | None:
    return None if spec is None else monitors.inner(spec)


OwnMonitor: TypeAlias = Annotated[
    SkipValidation[Resolved[Judge] | None],
    BeforeValidator(_own_monitor),
    WithJsonSchema({"type": "monitor"}),
]
"""The type of an argument that is a monitor of red's own; None: the copy of the sample's."""
