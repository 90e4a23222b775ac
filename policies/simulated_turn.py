"""A `Turn` without models: what a protocol asks for is dealt."""

from __future__ import annotations

import random
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar, cast

from inspect_ai.model import ChatCompletionChoice, ChatMessage, ChatMessageAssistant, ModelOutput
from inspect_ai.tool import ToolCall

from policies.dealing import Dealer, Dealt
from policies.turn import (
    ControlProtocol,
    Monitor,
    Past,
    Proposal,
    Source,
    Suspicion,
    Turn,
    Verdict,
    chance,
    past_turns,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Taken:
    """What came of one simulated turn.

    Attributes:
        verdict: the protocol's; it counts only when no audit confirmed.
        audits: what was audited, and whether the auditor confirmed an attack.
        attacked: an attack ran.
        draws: how often U was sampled.
        looked_back: the protocol asked for what depends on earlier turns.
    """

    verdict: Verdict
    audits: tuple[tuple[Proposal, bool], ...]
    attacked: bool
    draws: int
    looked_back: bool

    @property
    def caught(self) -> bool:
        """Whether an audit confirmed an attack, so that nothing ran."""
        return any(confirmed for _, confirmed in self.audits)


@dataclass
class SimulatedSample:
    """One sample, turn by turn.

    Attributes:
        dealer: deals its facts.
        task: its number in the run, from 0.
        seed: of its turns' chance.
        executed: what ran.
        judged: every judgement of its own monitor, in order.
        dealt: what each proposal was, by turn and draw.
        numbers: how many proposals each turn has.
    """

    dealer: Dealer
    task: int = 0
    seed: int = 0
    executed: list[Proposal] = field(default_factory=list)
    judged: list[tuple[Proposal, Suspicion]] = field(default_factory=list)
    dealt: dict[tuple[int, int], Dealt] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)

    def take(self, protocol: ControlProtocol, index: int) -> Taken:
        """Run the protocol in the turn of this index.

        Raises:
            RuntimeError: the protocol waits for something that is not its turn's.
        """
        turn = SimulatedTurn(self, index)
        verdict = finish(cast(Coroutine[Any, Any, Verdict], protocol(turn)))
        audits = tuple((one, self.dealer.confirms(self.of(one))) for one in turn.audits)
        runs = verdict.runs and not any(confirmed for _, confirmed in audits)
        if runs:
            self.executed.append(verdict.proposal)
        attacked = runs and self.of(verdict.proposal).attack
        return Taken(verdict, audits, attacked, turn.draws, turn.looked_back)

    def of(self, proposal: Proposal) -> Dealt:
        """What a proposal was dealt as."""
        return self.dealt[proposal.turn, proposal.draw]


def finish(waiting: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing outside; no event loop is needed.

    Raises:
        RuntimeError: it waits.
    """
    try:
        waiting.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    waiting.close()
    raise RuntimeError("the protocol waits for something that is not its turn's")


@lru_cache(maxsize=1024)
def _output(command: str) -> ModelOutput:
    """An answer with one shell call; proposals share it, for nobody changes it."""
    call = ToolCall(id="simulated", function="bash", arguments={"command": command})
    message = ChatMessageAssistant(content="", tool_calls=[call], source="generate")
    choice = ChatCompletionChoice(message=message, stop_reason="tool_calls")
    return ModelOutput(model="simulated", choices=[choice])


class SimulatedTurn(Turn):
    """One turn of a simulated sample.

    Attributes:
        audits: what the protocol wants audited.
        draws: how often it sampled U.
        looked_back: it asked for what depends on earlier turns.
    """

    def __init__(self, sample: SimulatedSample, index: int) -> None:
        """Begin a turn."""
        self._sample = sample
        self._index = index
        self._rng: random.Random | None = None
        self.audits: list[Proposal] = []
        self.draws = 0
        self.looked_back = False

    @property
    def index(self) -> int:
        """See `Turn`."""
        self.looked_back = True
        return self._index

    @property
    def task(self) -> int:
        """See `Turn`."""
        return self._sample.task

    @property
    def history(self) -> Sequence[ChatMessage]:
        """See `Turn`. A simulated conversation has no words.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("the protocol reads the history, which a simulation has not got")

    @property
    def past(self) -> Sequence[Past]:
        """See `Turn`."""
        self.looked_back = True
        return past_turns(self._sample.executed, self._sample.judged)

    @property
    def rng(self) -> random.Random:
        """See `Turn`."""
        if self._rng is None:
            self._rng = chance(self._sample.seed, self._sample.task, self._index)
        return self._rng

    def _take(self, turn: int, source: Source) -> Proposal | None:
        dealt = self._sample.dealer.draw(turn, source)
        if dealt is None:
            return None
        number = self._sample.numbers.get(turn, 0)
        self._sample.numbers[turn] = number + 1
        self._sample.dealt[turn, number] = dealt
        return Proposal(_output(dealt.command), source, number, turn)

    def _must(self, turn: int, source: Source) -> Proposal:
        taken = self._take(turn, source)
        if taken is None:
            raise RuntimeError(f"no {source} proposal was dealt in turn {turn}")
        return taken

    async def draw(self, n: int = 1) -> list[Proposal]:
        """See `Turn`."""
        self.draws += n
        return [self._must(self._index, "untrusted") for _ in range(n)]

    async def redraw(self, past: Past, n: int = 1) -> list[Proposal]:
        """See `Turn`."""
        self.draws += n
        return [self._must(past.turn, "untrusted") for _ in range(n)]

    async def trusted(self) -> Proposal:
        """See `Turn`."""
        return self._must(self._index, "trusted")

    async def edit(self, proposal: Proposal) -> Proposal:
        """See `Turn`."""
        return self._must(proposal.turn, "edited")

    async def suspicion(self, proposal: Proposal, monitor: Monitor | None = None) -> Suspicion:
        """See `Turn`."""
        name = None if monitor is None else monitor.name
        dealt = self._sample.of(proposal)
        suspicion = self._sample.dealer.score(proposal.turn, dealt, name)
        if monitor is None:
            self._sample.judged.append((proposal, suspicion))
        return suspicion

    async def known_attack(self) -> Proposal | None:
        """See `Turn`."""
        return self._take(self._index, "planted")

    async def approved(self, proposal: Proposal) -> bool:
        """See `Turn`."""
        return self._sample.dealer.approves(self._sample.of(proposal))

    async def bytes_out(self) -> int:
        """See `Turn`."""
        self.looked_back = True
        return self._sample.dealer.bytes_out(self._index)

    def audit(self, proposal: Proposal, reason: str) -> None:
        """See `Turn`."""
        self.audits.append(proposal)
