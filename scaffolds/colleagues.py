"""Two agents on one machine, one after the other, each with a conversation of its own."""

from __future__ import annotations

from inspect_ai.agent import Agent, AgentState, agent
from inspect_ai.model import ChatMessageUser

from scaffolds.controlled import react_loop


@agent
def colleagues(second_task: str) -> Agent:
    """Let an agent work, and then a second one in the same box.

    They are one sample: one control, one ledger and one capture see both, so what they carry out
    in parts is put together.

    Args:
        second_task: what the second agent is asked; it sees nothing of the first one's messages.
    """

    async def execute(state: AgentState) -> AgentState:
        """Work on both tasks."""
        state = await react_loop()(state)
        other = AgentState(messages=[ChatMessageUser(content=second_task)])
        other = await react_loop()(other)
        state.messages.extend(other.messages)
        state.output = other.output
        return state

    return execute
