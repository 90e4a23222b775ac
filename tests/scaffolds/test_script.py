"""Following a script: a player without memory does as one with it would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffolds.organisms.conversation import Action, Conversation
from scaffolds.organisms.draws import Draw
from scaffolds.organisms.moves import Move, bash, python, spell
from scaffolds.organisms.script import Rest, Script, Standing, Step, Stuck, follow

TOOLS = frozenset({"bash", "python", "submit"})


def conversation(*actions: Action) -> Conversation:
    return Conversation("task", "", len(actions), actions, TOOLS)


def executed(move: Move, output: str = "", *, refused: bool = False) -> Action:
    call = spell(move, TOOLS)
    assert call is not None
    return Action(call.function, "\n".join(call.arguments.values()), output, refused)


def steps(*given: Step) -> Script:
    """A script of these steps that answers with all it was told."""
    said = []
    for step in given:
        action = yield step
        said.append(action.output)
    return "/".join(said)


def draw(seed: int = 0, turn: int = 0) -> Draw:
    return Draw(seed, "task", turn)


def played(
    script: Callable[[], Script], answer: Callable[[Move, int], Action], seed: int = 0
) -> tuple[list[Move], Standing]:
    """Follow a script to its end, each move executed before the next is asked for."""
    moves: list[Move] = []
    done: list[Action] = []
    while True:
        standing = follow(script(), conversation(*done), draw(seed, len(done)))
        if standing.move is None:
            return moves, standing
        done.append(answer(standing.move, len(done)))
        moves.append(standing.move)


A, B, C = bash("a"), bash("b"), python("c")
step = st.sampled_from([A, B, C, (A, B), (B, C, A)])


@given(given_steps=st.lists(step, max_size=6), seed=st.integers(0, 3))
def test_each_step_is_executed_once(given_steps: list[Step], seed: int) -> None:
    moves, end = played(
        lambda: steps(*given_steps), lambda move, turn: executed(move, str(turn)), seed
    )
    assert len(moves) == len(given_steps)
    for move, one in zip(moves, given_steps, strict=True):
        assert not isinstance(one, Rest)
        assert move in ((one,) if isinstance(one, Move) else one[:2])
    assert end.finished
    assert end.answer.split("/") == [str(turn) for turn in range(len(moves))] or not moves
    assert end.done == frozenset(range(len(moves)))


@given(
    given_steps=st.lists(step, max_size=5),
    others=st.lists(st.tuples(st.integers(0, 8), st.text(max_size=5)), max_size=5),
)
def test_what_others_did_in_between_changes_nothing(
    given_steps: list[Step], others: list[tuple[int, str]]
) -> None:
    moves, end = played(lambda: steps(*given_steps), lambda move, turn: executed(move, str(turn)))
    done = [executed(move, str(turn)) for turn, move in enumerate(moves)]
    foreign = [Action("bash", f"foreign {text}", text, False) for _, text in others]
    for (at, _), action in zip(others, foreign, strict=True):
        done.insert(min(at, len(done)), action)
    again = follow(steps(*given_steps), conversation(*done), draw())
    assert (again.move, again.answer) == (None, end.answer)
    assert again.done == {at for at, action in enumerate(done) if action not in foreign}


_garbage = st.builds(
    Action,
    function=st.sampled_from(["bash", "python", "submit", "x"]),
    text=st.sampled_from(["a", "b", "c", "\x00", "\ud83d"]) | st.text(max_size=5),
    output=st.text(max_size=20) | st.sampled_from(["\ud83d", "{" * 5000, "Error:"]),
    refused=st.booleans(),
)


def reads_carelessly() -> Script:
    first = yield (A, B)
    second = yield bash(first.output.splitlines()[3])
    return second.output[int(first.output)]


@pytest.mark.parametrize("script", [lambda: steps(A, (B, C, A), A), reads_carelessly])
@given(actions=st.lists(_garbage, max_size=6), seed=st.integers(0, 3))
def test_no_conversation_makes_it_raise(
    script: Callable[[], Script], actions: list[Action], seed: int
) -> None:
    standing = follow(script(), conversation(*actions), draw(seed))
    assert isinstance(standing, Standing)
    assert standing.move is None or not standing.answer


def test_a_step_yielded_twice_needs_two_executions() -> None:
    once = follow(steps(A, A), conversation(executed(A, "1")), draw())
    assert (once.move, once.done) == (A, frozenset({0}))
    twice = follow(steps(A, A), conversation(executed(A, "1"), executed(A, "2")), draw())
    assert (twice.move, twice.answer) == (None, "1/2")


FAILED = "bash: command not found"
WAYS = (A, B, C)


@pytest.mark.parametrize(
    ("actions", "move", "answer", "done"),
    [
        ([executed(A, "a")], None, "a", {0}),
        ([executed(B, "b")], None, "b", {0}),
        ([executed(A, FAILED)], C, "", {0}),
        ([executed(A, "", refused=True)], C, "", {0}),
        ([executed(C, FAILED)], B, "", {0}),
        ([executed(A, FAILED), executed(C, "c")], None, "c", {0, 1}),
        ([executed(C, FAILED), executed(B, "b")], None, "b", {0, 1}),
        # What fails in two ways is not tried in a third: the script sees that it failed.
        ([executed(A, FAILED), executed(C, FAILED)], None, FAILED, {0, 1}),
    ],
)
def test_of_several_ways_one_is_enough_and_where_it_fails_the_last_is_tried(
    actions: Sequence[Action], move: Move | None, answer: str, done: set[int]
) -> None:
    standing = follow(steps(WAYS), conversation(*actions), draw())
    assert (standing.move, standing.answer, set(standing.done)) == (move, answer, done)


def test_a_single_way_is_not_tried_again() -> None:
    assert follow(steps(A), conversation(executed(A, FAILED)), draw()).answer == FAILED


def test_the_draw_chooses_among_the_first_two_ways() -> None:
    found = {follow(steps(WAYS), conversation(), draw(seed)).move for seed in range(20)}
    assert found == {A, B}


FOREIGN = Action("bash", "other work", "", False)
PAUSED = (A, Rest(2), B)


@pytest.mark.parametrize(
    ("actions", "hurried", "move", "due"),
    [
        ([], False, A, False),
        ([executed(A)], False, None, False),
        ([executed(A), FOREIGN], False, None, False),
        ([executed(A), FOREIGN, FOREIGN], False, B, True),
        # Its turn came and went: somebody replaced the step, or the player let it pass.
        ([executed(A), FOREIGN, FOREIGN, FOREIGN], False, B, False),
        ([executed(A)], True, B, True),
        ([executed(A), FOREIGN, executed(B)], False, None, False),
    ],
)
def test_a_pause_waits_for_what_others_do(
    actions: list[Action], hurried: bool, move: Move | None, due: bool
) -> None:
    standing = follow(steps(*PAUSED), conversation(*actions), draw(), hurried=hurried)
    assert (standing.move, standing.due) == (move, due)


def test_a_pause_that_was_over_once_stays_over() -> None:
    after = [executed(A, "1"), FOREIGN, FOREIGN, executed(B, "2"), FOREIGN]
    assert follow(steps(*PAUSED), conversation(*after), draw()).answer == "1//2"


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (Stuck("no manifest"), "no manifest"),
        (ValueError("odd"), "I could not go on: ValueError: odd"),
    ],
)
def test_a_script_that_cannot_go_on_says_why(error: Exception, answer: str) -> None:
    def script() -> Script:
        yield A
        raise error

    standing = follow(script(), conversation(executed(A)), draw())
    assert standing == Standing(None, answer, False, frozenset({0}))
