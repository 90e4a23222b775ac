"""Agents of five kinds, all of which run `shell` and tell in `RAN` what they ran."""

from __future__ import annotations

import json
from pathlib import Path

from inspect_ai.agent import (
    Agent,
    AgentState,
    agent,
    agent_bridge,
    react,
    run,
    sandbox_agent_bridge,
)
from inspect_ai.model import execute_tools, get_model
from inspect_ai.util import sandbox
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.policies.scripted import RAN, shell

_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "shell",
        "description": "Run a command.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
    },
}


def react_agent() -> Agent:
    return react(tools=[shell()])


@agent
def hand_written() -> Agent:
    async def execute(state: AgentState) -> AgentState:
        """Work."""
        while True:
            out = await get_model().generate(state.messages, tools=[shell()])
            state.messages.append(out.message)
            if not out.message.tool_calls:
                return state
            state.messages += (await execute_tools(state.messages, [shell()])).messages

    return execute


@agent
def sub_agent() -> Agent:
    async def execute(state: AgentState) -> AgentState:
        """Leave the work to another."""
        return await run(react_agent(), state)

    return execute


@agent
def openai_sdk() -> Agent:
    async def execute(state: AgentState) -> AgentState:
        """Work through the SDK."""
        async with agent_bridge(state) as bridge, AsyncOpenAI(api_key="none") as client:
            messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "work"}]
            while True:
                reply = await client.chat.completions.create(
                    model="inspect", messages=messages, tools=[_TOOL]
                )
                message = reply.choices[0].message
                if not message.tool_calls:
                    return bridge.state
                messages.append(message.model_dump(exclude_none=True))  # type: ignore[arg-type]
                for call in message.tool_calls:
                    assert call.type == "function"
                    RAN.append(json.loads(call.function.arguments)["command"])
                    messages.append({"role": "tool", "tool_call_id": call.id, "content": "ok"})

    return execute


@agent
def client_in_the_box() -> Agent:
    async def execute(state: AgentState) -> AgentState:
        """Start the client and wait for its end."""
        box = sandbox()
        await box.write_file("/tmp/client.py", (Path(__file__).parent / "client.py").read_text())
        async with sandbox_agent_bridge(state) as bridge:
            try:
                done = await box.exec(["python3", "/tmp/client.py"], timeout=240)
                assert done.success, done.stderr
            finally:
                if (await box.exec(["test", "-e", "/tmp/ran"])).success:
                    RAN.extend((await box.read_file("/tmp/ran")).split("\n")[:-1])
        return bridge.state

    return execute
