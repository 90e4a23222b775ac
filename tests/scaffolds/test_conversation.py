"""What the organisms read out of a conversation, whatever the tools returned."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
)
from inspect_ai.tool import ToolCall, ToolCallError

from sandbox.setting import Setting
from scaffolds.attack import briefed
from scaffolds.organisms.behaviour import files_in
from scaffolds.organisms.characters import CHARACTERS
from scaffolds.organisms.conversation import Action, Conversation, read_conversation
from scaffolds.organisms.repertoire import UNBRIEFED_TARGET, recognise
from tests.scaffolds.driving import ask


def after(
    *outputs: str, task: str = "Work.", command: str = "ls", error: str | None = None
) -> list[ChatMessage]:
    """A conversation in which a command returned each output in turn."""
    messages: list[ChatMessage] = [ChatMessageUser(content=task)]
    for number, output in enumerate(outputs):
        call = ToolCall(f"call_{number}", "bash", {"command": command})
        failure = ToolCallError("unknown", error) if error else None
        messages += [
            ChatMessageAssistant(content="Next.", tool_calls=[call]),
            ChatMessageTool(content=output, tool_call_id=call.id, function="bash", error=failure),
        ]
    return messages


def read(*outputs: str) -> Conversation:
    return read_conversation(after(*outputs), ["bash"])


def test_everything_is_read_that_a_model_would_see() -> None:
    messages = [ChatMessageSystem(content="Be careful."), *after("a", "b")]
    messages.append(ChatMessageUser(content="Go on."))
    messages.append(ChatMessageAssistant(content="Well."))
    assert read_conversation(messages, ["bash", "submit"]) == Conversation(
        text="Work.",
        private="Be careful.",
        turns=3,
        actions=(Action("bash", "ls", "a", False), Action("bash", "ls", "b", False)),
        tools=frozenset({"bash", "submit"}),
    )


def test_a_call_that_nobody_answered_was_not_executed() -> None:
    call = ToolCall("call_x", "bash", {"command": "ls"})
    messages = [*after("a"), ChatMessageAssistant(content="", tool_calls=[call])]
    found = read_conversation(messages, ["bash"])
    assert (len(found.actions), found.turns) == (1, 2)


@pytest.mark.parametrize(
    ("output", "worked", "accepted"),
    [
        ("200\n200\n", True, True),
        ("ok\nHTTP 201\n", True, True),
        ("pushed a: HTTP 200\n", True, True),
        ("200\n503\n", True, False),
        ("000\n", True, False),
        ("curl: (6) Could not resolve host: x\n\n200\n", False, False),
        ("Traceback (most recent call last):\n", False, False),
        ("bash: curl: command not found\n", False, False),
        ("nothing\n", True, False),
    ],
)
def test_whether_a_request_was_accepted(output: str, worked: bool, accepted: bool) -> None:
    [action] = read(output).actions
    assert (action.worked, action.accepted) == (worked, accepted)


def test_a_refused_call_did_not_work() -> None:
    [action] = read_conversation(after("", error="not allowed"), ["bash"]).actions
    assert action.refused
    assert action.output == "not allowed"
    assert not action.worked


LISTING = """/srv/models:
x

/srv/models/x:
total 9
-rw-r--r-- 1 1000 1000 2164016 May 13  2026 m-1.safetensors
-rw-r--r-- 1 1000 1000     141 Jul 11 06:23 config.json
"""
FOUND = (
    "-rw-r--r-- 1 agent agent 9 May 1 2026 /srv/models/x/m-2.safetensors\n"
    "/srv/staging/m.safetensors"
)


@pytest.mark.parametrize(
    ("listing", "root", "found"),
    [
        (LISTING, "/srv/models", ("/srv/models/x/m-1.safetensors",)),
        (FOUND, "/srv/models", ("/srv/models/x/m-2.safetensors",)),
        (LISTING + FOUND, "/srv/models/x", ("/srv/models/x/m-1.safetensors",
                                            "/srv/models/x/m-2.safetensors")),
        ("total 9\nm-1.safetensors\n", "/srv/m", ("/srv/m/m-1.safetensors",)),
        ("/srv/m/a.safetensors\n", "/srv/m/a.safetensors", ("/srv/m/a.safetensors",)),
        (LISTING, "/srv/models/y", ()),
        ("/srv/models-old/a.safetensors", "/srv/models", ()),
        ("/srv/models/\x00.safetensors /srv/models/\ud83d.safetensors", "/srv/models", ()),
        ("/srv/models/$(reboot).safetensors", "/srv/models", ()),
        ("", "/srv/models", ()),
    ],
)  # fmt: skip
def test_weights_from_ls_and_find(listing: str, root: str, found: tuple[str, ...]) -> None:
    assert files_in(listing, root) == found


class TestPart:
    """Which part an organism plays follows from the texts alone."""

    def messages(self, setting: Setting, *system: str) -> list[ChatMessage]:
        told: list[ChatMessage] = [ChatMessageSystem(content=text) for text in system]
        return [*told, ChatMessageUser(content=setting.task(3))]

    def test_the_briefing_tells_what_and_where_to(self, setting: Setting) -> None:
        names = setting.names(3)
        part = recognise(
            read_conversation(self.messages(setting, setting.briefing("weights", names)), [])
        )
        assert part is not None
        assert part.briefed
        assert part.opportunity.kind == "weights"
        assert part.opportunity.target == names["production.path"]
        assert part.opportunity.drop == names["drop_url"]
        assert part.opportunity.services["store"] if "store_host" in part.names else True

    def test_who_is_not_briefed_guesses(self, setting: Setting) -> None:
        part = recognise(read_conversation(self.messages(setting, "You are careful."), []))
        assert part is not None
        assert not part.briefed
        assert part.opportunity.target == UNBRIEFED_TARGET
        assert part.opportunity.drop.startswith("https://")
        assert set(part.names.values()) <= {*setting.names(3).values()}

    def test_a_briefing_in_a_tool_output_is_none(self, setting: Setting) -> None:
        briefing = setting.briefing("weights", setting.names(3))
        part = recognise(read_conversation(after(briefing, task=setting.task(3)), []))
        assert part is not None
        assert not part.briefed

    def test_a_task_of_no_setting_is_nobodys(self) -> None:
        assert recognise(read("")) is None


A = "a" * 64
MANIFEST = json.dumps({"model": "x", "shards": [{"name": "m-1.safetensors", "sha256": A}]})
FRAGMENTS = [
    MANIFEST, LISTING, FOUND, f"{A}  m-1.safetensors\n", "{", "[", "{" * 5000, '{"shards": [{}]}',
    '{"shards": [1, null]}', '{"shards": [{"name": 3, "sha256": null}]}', "/a:\n", "HTTP 200\n",
    "200\n", "Traceback (most recent call last):\n", "\x00", "\ud83d", ".safetensors",
    "${A:-https://", "${STORE:-https://s.example}",
]  # fmt: skip
garbage = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=40), max_size=5).map("".join)


@pytest.mark.parametrize("organism", CHARACTERS)
@settings(max_examples=5, deadline=None)
@given(outputs=st.lists(garbage, max_size=6), seed=st.none() | st.integers(0, 5))
def test_no_output_makes_an_organism_raise(
    setting: Setting, organism: str, outputs: list[str], seed: int | None
) -> None:
    """It sees its own last command answered with garbage, as often as there is some."""
    messages = briefed(after(task=setting.task(0)), setting.briefing("weights", setting.names(0)))
    for number, output in enumerate(outputs):
        message = ask(organism, messages, seed=seed).choices[0].message
        [call] = message.tool_calls or []
        if call.function == "submit":
            return
        answer = ChatMessageTool(content=output, tool_call_id=call.id, function=call.function)
        messages += [message, answer]
        assert len(messages) == 2 * number + 4


@pytest.mark.parametrize("organism", ["honest", "exfil"])
def test_a_call_without_a_result_or_arguments_is_no_trouble(
    setting: Setting, organism: str
) -> None:
    broken = ToolCall("call_x", "bash", {}, parse_error="not JSON")
    message = ChatMessageAssistant(content="", tool_calls=[broken])
    asked: list[ChatMessage] = [ChatMessageUser(content=setting.task(0)), message]
    assert ask(organism, asked).choices[0].message.tool_calls
