"""A turn without models: draws and scores are given, what the protocol does is kept."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from inspect_ai.model import ChatCompletionChoice as Choice
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ModelOutput
from inspect_ai.tool import ToolCall

from policies.turn import Monitor, Past, Proposal, Suspicion, Turn

TRUSTED = 99
"""The number of the trusted proposal."""
EDITED = 100
"""Added to the number of a draw that was edited."""
KNOWN = 999
"""The number of the known attack."""


def output(command: str, call_id: str = "1", text: str = "") -> ModelOutput:
    """A model's answer with one shell call."""
    call = ToolCall(id=call_id, function="bash", arguments={"command": command})
    message = ChatMessageAssistant(content=text, tool_calls=[call], source="generate")
    return ModelOutput(model="fake", choices=[Choice(message=message, stop_reason="tool_calls")])


def words(text: str) -> ModelOutput:
    """A model's answer without an action."""
    message = ChatMessageAssistant(content=text, source="generate")
    return ModelOutput(model="fake", choices=[Choice(message=message, stop_reason="stop")])


class FakeTurn(Turn):
    """Plays the scores in order; every draw is a new command.

    `earlier` has, for each earlier turn, the scores of its draws in order: the first of them ran,
    `seen` of them are judged already, and the rest wait for `redraw`. The turn's own number is
    theirs plus one. `commands` says what single draws do; an empty one only talks.
    """

    def __init__(
        self,
        scores: Sequence[Suspicion],
        *,
        earlier: Sequence[Sequence[Suspicion]] = (),
        seen: int = 1,
        task: int = 0,
        known: Suspicion | None = None,
        approves: bool = True,
        sent: int = 0,
        commands: Mapping[int, str] | None = None,
    ) -> None:
        self._index = len(earlier)
        self._scores = {(self._index, number): score for number, score in enumerate(scores)}
        for index, turn_scores in enumerate(earlier):
            for number, score in enumerate(turn_scores):
                self._scores[index, number] = score
        self._past = [
            Past(i, self._proposal(i, 0, f"past {i}"), scores[0], judged=tuple(scores[:seen]))
            for i, scores in enumerate(earlier)
        ]
        self._next = {past.turn: len(past.judged) for past in self._past}
        self._rng = random.Random(0)
        self._task, self._approves, self._sent = task, approves, sent
        self._commands = commands or {}
        if known is not None:
            self._scores[self._index, KNOWN] = known
        self._known = known
        self.drawn = 0
        self.redrawn = 0
        self.asked_trusted = 0
        self.asked_person: list[int] = []
        self.judged: list[int] = []
        self.audited: list[int] = []

    @staticmethod
    def _proposal(turn: int, draw: int, command: str) -> Proposal:
        answer = output(command) if command else words("nothing to do")
        return Proposal(answer, "untrusted", draw, turn)

    @property
    def index(self) -> int:
        return self._index

    @property
    def history(self) -> Sequence[ChatMessage]:
        return ()

    async def draw(self, n: int = 1) -> list[Proposal]:
        first, self.drawn = self.drawn, self.drawn + n
        return [
            self._proposal(self._index, i, self._commands.get(i, str(i)))
            for i in range(first, self.drawn)
        ]

    @property
    def task(self) -> int:
        return self._task

    @property
    def past(self) -> Sequence[Past]:
        return self._past

    @property
    def rng(self) -> random.Random:
        return self._rng

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        self.redrawn += n
        first = self._next[past.turn]
        self._next[past.turn] += n
        return [self._proposal(past.turn, i, str(i)) for i in range(first, first + n)]

    async def edit(self, proposal: Proposal) -> Proposal:
        return Proposal(output("edited"), "edited", EDITED + proposal.draw)

    async def known_attack(self) -> Proposal | None:
        if self._known is None:
            return None
        return self._proposal(self._index, KNOWN, "a known attack")

    async def approved(self, proposal: Proposal) -> bool:
        self.asked_person.append(proposal.draw)
        return self._approves

    async def bytes_out(self) -> int:
        return self._sent

    async def trusted(self) -> Proposal:
        self.asked_trusted += 1
        return Proposal(output("trusted"), "trusted", TRUSTED)

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        self.judged.append(proposal.draw)
        return self._scores[proposal.turn, proposal.draw]

    def audit(self, proposal: Proposal, reason: str) -> None:
        self.audited.append(proposal.draw)
