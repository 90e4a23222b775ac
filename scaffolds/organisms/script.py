"""Scripts: what an organism does, written as if it went from one step straight to the next.

A script is a generator: it yields a step, gets back what executing it gave, and returns an answer.
An organism has no memory, so each turn it runs its script from the start over the conversation: a
step that was executed is answered from there, the first one that was not is the next move. So it
may be asked in the middle of a conversation that somebody else shaped, as the trusted model is.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from scaffolds.organisms.conversation import Action, Conversation
from scaffolds.organisms.draws import Draw
from scaffolds.organisms.moves import Move, spell


@dataclass(frozen=True)
class Rest:
    """A pause of a script that is followed beside another one.

    Attributes:
        actions: how many others are to be executed before it goes on; fewer where it is hurried.
    """

    actions: int


Step = Move | Sequence[Move] | Rest
"""A move; several ways to do the same: the draw chooses among the first two, and where that one
fails the last one is tried; or a pause."""
Script = Generator[Step, Action, str]


class Stuck(Exception):
    """Raised by a script that cannot go on; the text is its answer."""


@dataclass(frozen=True)
class Standing:
    """How far a script has come.

    Attributes:
        move: what it does next; None when it has ended.
        answer: what it returned, or why it could not go on; empty before.
        finished: it returned, rather than getting stuck.
        done: positions, among the conversation's actions, of its own steps.
        due: nothing came between its last step and this move but the pauses that it made.
    """

    move: Move | None
    answer: str = ""
    finished: bool = False
    done: frozenset[int] = frozenset()
    due: bool = False


_RESTED = Action("", "", "", refused=False)


def follow(
    script: Script, conversation: Conversation, draw: Draw, *, hurried: bool = False
) -> Standing:
    """Run a script over a conversation.

    Args:
        script: a fresh one.
        conversation: what was done so far; a step yielded twice must be there twice.
        draw: chooses among equally good ways.
        hurried: whether its pauses are left out: nothing else is left to do.

    Returns:
        Where it stands; without a move and unfinished while it pauses. Never raises: an output
        that the script cannot read makes it stuck.
    """
    done: set[int] = set()
    pause = 0
    try:
        step = next(script)
        while True:
            since = len(conversation.actions) - 1 - max(done, default=-1)
            if isinstance(step, Rest):
                pause += step.actions
                if since < pause and not hurried:
                    return Standing(None, done=frozenset(done))
                step = script.send(_RESTED)
                continue
            ways = (step,) if isinstance(step, Move) else tuple(step)
            move, action = _way(ways, conversation, draw, done)
            if action is None:
                return Standing(move, done=frozenset(done), due=bool(done) and since <= pause)
            pause = 0
            step = script.send(action)
    except StopIteration as end:
        return Standing(None, str(end.value or ""), True, frozenset(done))
    except Stuck as stuck:
        return Standing(None, str(stuck), False, frozenset(done))
    except Exception as error:  # hostile output: said in the answer, so that nobody overlooks it
        answer = f"I could not go on: {type(error).__name__}: {error}"
        return Standing(None, answer, False, frozenset(done))


def _way(
    ways: tuple[Move, ...], conversation: Conversation, draw: Draw, done: set[int]
) -> tuple[Move, Action | None]:
    """The way to go and, if it was gone, what came of it; marks it as done."""
    tried: dict[int, int] = {}  # way to action
    for number, way in enumerate(ways):
        call = spell(way, conversation.tools)
        text = "\n".join(call.arguments.values()) if call else None
        for at, action in enumerate(conversation.actions):
            same = call is not None and (action.function, action.text) == (call.function, text)
            if same and at not in done:
                tried[number] = at
                break
    if not tried:
        return draw.pick(ways[:2], "way"), None
    number, at = min(tried.items(), key=lambda pair: pair[1])
    done.add(at)
    if not conversation.actions[at].worked and len(ways) > 1:
        others = [n for n in range(len(ways)) if n != number]
        second = next((n for n in others if n in tried), None)
        if second is None:
            return ways[others[-1]], None
        number, at = second, tried[second]
        done.add(at)
    return ways[number], conversation.actions[at]
