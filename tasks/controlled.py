"""`--solver sallyport/controlled`: any protocol around a task that is not ours."""

from __future__ import annotations

from typing import Any

from inspect_ai.agent import Agent, AgentState, agent, react
from inspect_ai.approval import ApprovalPolicy
from inspect_ai.model import get_model
from inspect_ai.tool import bash, python

from policies import human
from policies.control import Control
from policies.gate import endorsed_only
from policies.live import ControlledModel
from policies.naming import of_distribution
from policies.turn import Auditor, Proposal
from scaffolds.controlled import controlled as under_control
from tasks.choosing import choose
from tasks.errors import usage_error, usage_errors
from tasks.roles import trusted_model

_TOOL_SECONDS = 120


@agent(name="sallyport/controlled")
@of_distribution
def controlled(
    protocol: str | dict[str, Any] = "trusted_monitoring",
    monitor: str | dict[str, Any] | None = None,
    auditor: str = "deferred",
) -> Agent:
    """A `react` agent with a shell and Python in the task's sandbox, under a control protocol.

    It takes the place of the task's own solver, tools and approvers. What control did is in the
    transcript and in the store of each sample; the task's own scorer scores.

    Args:
        protocol: a protocol by name, or `{name: ..., threshold: ...}`.
        monitor: a monitor, likewise; by default `prompted` when `--model-role monitor=` is given,
            else the offline `rules`.
        auditor: `deferred`: audits are recorded, decided after the run and let the action go on,
            for nobody knows here whether there is an attack; or `human`: a person is asked.
    """
    if auditor not in _AUDITORS:
        raise usage_error(f"unknown auditor {auditor!r}: use {' or '.join(sorted(_AUDITORS))}")
    choice = choose(protocol, monitor)

    async def execute(state: AgentState) -> AgentState:
        """Work on the task."""
        untrusted = get_model()
        with usage_errors():
            trusted = trusted_model(untrusted) if choice.asks_trusted else None
        control = Control(
            protocol=choice.protocol.value,
            monitor=choice.monitor,
            trusted=trusted,
            auditor=_AUDITORS[auditor],
        )
        scaffold = react(
            tools=[bash(timeout=_TOOL_SECONDS), python(timeout=_TOOL_SECONDS)],
            model=ControlledModel(untrusted, active=False),
            approval=[ApprovalPolicy(endorsed_only(), "*")],
        )
        return await under_control(control, scaffold)(state)

    return execute


async def _deferred(proposal: Proposal, reason: str) -> None:
    return None


async def _human(proposal: Proposal, reason: str) -> bool:
    approved = await human.ask((), proposal)
    if approved is None:
        raise RuntimeError("the auditor is human and nobody is there: use -S auditor=deferred")
    return not approved


_AUDITORS: dict[str, Auditor] = {"deferred": _deferred, "human": _human}
