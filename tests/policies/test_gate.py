"""No executed call lacks an endorsement, and each endorsement is for one execution."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from inspect_ai.agent import Agent, AgentState, agent, react
from inspect_ai.approval import ApprovalPolicy, auto_approver
from inspect_ai.event import ToolEvent
from inspect_ai.model import execute_tools, get_model
from inspect_ai.tool import ToolCall
from inspect_ai.util import Store

from policies.control import Control
from policies.gate import judge_call, unendorsed
from policies.ledger import Ledger
from policies.turn import Proposal, Turn, Verdict, block, execute, stop
from tests.policies.scripted import RAN, clear, play, scripted, shell, suspects

CALLS = [ToolCall(id, "shell", {"command": text}) for id in "ab" for text in ("x", "y")]


@given(st.lists(st.tuples(st.sampled_from(["endorse", "block", "run"]), st.sampled_from(CALLS))))
def test_a_call_passes_as_often_as_it_was_endorsed_and_nothing_passes_after_the_end(
    steps: list[tuple[str, ToolCall]],
) -> None:
    book = Ledger(store=Store())
    due: Counter[str] = Counter()
    blocked: set[str] = set()
    ended = False
    for action, call in steps:
        key = f"{call.id}{call.arguments}"
        if action == "endorse":
            book.endorse([call])
            due[key] += 1
        elif action == "block":
            book.block([call], "told")
            blocked.add(key)
        else:
            decision = judge_call(book, call).decision
            if ended:
                assert decision == "terminate"
            elif due[key]:
                assert decision == "approve"
                due[key] -= 1
            elif key in blocked:
                assert decision == "reject"
            else:
                assert decision == "terminate"
                ended = True
    assert (book.ended == "gate") is ended


VERDICTS: dict[str, Callable[[Proposal], Verdict]] = {
    "execute": execute,
    "block": lambda p: block(p, "no"),
    "stop": lambda p: stop(p, "no"),
}
TURNS = st.lists(
    st.tuples(st.sampled_from(["execute", "block", "stop", "trusted"]), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


@agent
def careless() -> Agent:
    """Runs every call, and now and then one twice."""

    async def execute_all(state: AgentState) -> AgentState:
        """Work."""
        while True:
            out = await get_model().generate(state.messages, tools=[shell()])
            state.messages.append(out.message)
            if not out.message.tool_calls:
                return state
            for _ in range(2 if "again" in str(out.message.tool_calls) else 1):
                answers = await execute_tools(state.messages, [shell()])
            state.messages += answers.messages

    return execute_all


@settings(max_examples=25, deadline=None)
@given(TURNS, st.booleans())
@example([("execute", 1)], True)
def test_no_executed_call_lacks_an_endorsement(plan: list[tuple[str, int]], again: bool) -> None:
    """Whatever the verdicts, and however many calls a turn has."""

    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        kind = plan[turn.index][0] if turn.index < len(plan) else "execute"
        return execute(await turn.trusted()) if kind == "trusted" else VERDICTS[kind](first)

    steps = [[f"{turn}.{n}" for n in range(calls)] for turn, (_, calls) in enumerate(plan)]
    if again:
        steps[-1].append("again")
    trusted = scripted("trusted", *[["safe"]] * len(plan))
    control = Control(protocol, suspects(), trusted, auditor=clear)
    with tempfile.TemporaryDirectory() as folder:
        _, sample, book = play(Path(folder), control, careless, scripted("untrusted", *steps))
    assert sample.error is None, sample.error.message
    endorsed = [
        str(call["arguments"]["command"])
        for turn in book.turns
        for draw in turn.draws
        if draw.draw == turn.executed
        for call in draw.calls
    ]
    assert not Counter(RAN) - Counter(endorsed)
    assert unendorsed(sample.events, book) == []
    verdicts = [kind for kind, _ in plan]
    cut = verdicts.index("stop") if "stop" in verdicts else len(plan)
    if not again and "stop" not in verdicts:
        assert endorsed == RAN, "and every endorsed call ran"
    assert [t.decision for t in book.turns[:cut]] == [
        "replace" if kind == "trusted" else kind for kind in verdicts[:cut]
    ]


def test_a_scaffold_with_approvers_of_its_own_is_seen_in_the_transcript(tmp_path: Path) -> None:
    async def protocol(turn: Turn) -> Verdict:
        return execute((await turn.draw())[0])

    @agent
    def own_approvers() -> Agent:
        async def execute_own(state: AgentState) -> AgentState:
            """Work."""
            all_pass = [ApprovalPolicy(auto_approver(), "*")]
            state.messages.append(
                (await get_model("script/rogue", steps=[["x"]]).generate("x", [shell()])).message
            )
            await execute_tools(state.messages, [shell()], approval=all_pass)
            return state

        return execute_own

    control = Control(protocol, None, None, auditor=clear)
    _, sample, book = play(tmp_path, control, own_approvers, scripted("untrusted"))
    assert RAN == ["x"]
    assert [line.split(":")[0] for line in unendorsed(sample.events, book)] == ["shell"]


def test_parallel_calls_are_judged_together_and_endorsed_one_by_one(tmp_path: Path) -> None:
    judged: list[int] = []

    async def protocol(turn: Turn) -> Verdict:
        [first] = await turn.draw()
        judged.append(len(first.calls))
        return execute(first)

    control = Control(protocol, None, None, auditor=clear)
    model = scripted("untrusted", ["one", "two", "three"])
    _, sample, book = play(tmp_path, control, lambda: react(tools=[shell()]), model)
    assert judged[0] == 3 and sorted(RAN) == ["one", "three", "two"]
    ran = [e for e in sample.events if isinstance(e, ToolEvent)]
    assert len(book.passed) == len(ran) == 4 and book.endorsed == []
