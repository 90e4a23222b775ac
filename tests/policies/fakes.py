"""A turn without models: draws and scores are given, what the protocol does is kept."""

from __future__ import annotations

import random
from collections.abc import Sequence

from inspect_ai.model import ChatCompletionChoice as Choice
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ModelOutput
from inspect_ai.tool import ToolCall

from policies.turn import Monitor, Past, Proposal, Suspicion, Turn


def output(command: str, call_id: str = "1", text: str = "") -> ModelOutput:
    """A model's answer with one shell call."""
    call = ToolCall(id=call_id, function="bash", arguments={"command": command})
    message = ChatMessageAssistant(content=text, tool_calls=[call], source="generate")
    return ModelOutput(model="fake", choices=[Choice(message=message, stop_reason="tool_calls")])


class FakeTurn(Turn):
    """Plays the scores in order; every draw is a new command."""

    def __init__(self, scores: Sequence[Suspicion]) -> None:
        self._scores = {str(number): score for number, score in enumerate(scores)}
        self.drawn = 0
        self.asked_trusted = 0
        self.judged: list[int] = []
        self.audited: list[int] = []

    @property
    def index(self) -> int:
        return 0

    @property
    def history(self) -> Sequence[ChatMessage]:
        return ()

    async def draw(self, n: int = 1) -> list[Proposal]:
        first, self.drawn = self.drawn, self.drawn + n
        return [Proposal(output(str(i)), "untrusted", i) for i in range(first, self.drawn)]

    @property
    def task(self) -> int:
        return 0

    @property
    def past(self) -> Sequence[Past]:
        return ()

    @property
    def rng(self) -> random.Random:
        return random.Random(0)

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        raise NotImplementedError

    async def edit(self, proposal: Proposal) -> Proposal:
        raise NotImplementedError

    async def known_attack(self) -> Proposal | None:
        return None

    async def approved(self, proposal: Proposal) -> bool:
        raise NotImplementedError

    async def bytes_out(self) -> int:
        return 0

    async def trusted(self) -> Proposal:
        self.asked_trusted += 1
        return Proposal(output("trusted"), "trusted", 99)

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        self.judged.append(proposal.draw)
        return self._scores[str(proposal.draw)]

    def audit(self, proposal: Proposal, reason: str) -> None:
        self.audited.append(proposal.draw)
