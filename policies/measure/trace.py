"""What the sample's own monitor thought of what control let go, turn by turn. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # measuring imports no Inspect
    from policies.ledger import ScoreRecord, TurnRecord

_Draw: TypeAlias = tuple[int, int]  # turn and number


@dataclass(frozen=True)
class Trace:
    """A ledger in a few numbers; each field is less than 1 KB of JSON up to some 50 turns.

    Scores are as the monitor gave them: rounded, one could change sides of a threshold.

    Attributes:
        suspicion: per turn, the own monitor's score, 0..1, of the action that the turn came to;
            None where that was not judged, or the monitor failed.
        monitor_failed: the turns in which it failed on that action, ascending.
        draws: samples of U that control asked for, over all turns.
        judgements: what any monitor was asked, skipped proposals left out.
        failures: those of them that failed.
    """

    suspicion: tuple[float | None, ...]
    monitor_failed: tuple[int, ...]
    draws: int
    judgements: int
    failures: int


def trace(turns: Sequence[TurnRecord], monitor: str | None) -> Trace:
    """Look through one sample's ledger.

    A turn comes to what an auditor was shown in it, be it confirmed or cleared, else to what ran;
    where control stopped, to the most suspicious of its proposals, since nobody noted which one was
    meant. So honest and attack mode are scored alike, and a draft that was neither shown nor ran
    counts nowhere: its score says what the monitor prevented.

    Args:
        turns: the records, in order.
        monitor: the name of the sample's own monitor; None when it has none.
    """
    asked = [score for turn in turns for score in turn.scores if score.status != "skipped"]
    # In order of asking: of an action that was judged again, later judgements replace earlier ones.
    last = {(score.turn, score.draw): score for score in asked if score.monitor == monitor}
    scores = [_most_suspicious(_came_to(turn), last) for turn in turns]
    draws = [draw for turn in turns for draw in turn.draws]
    return Trace(
        suspicion=tuple(score.value if score else None for score in scores),
        monitor_failed=tuple(
            turn for turn, score in enumerate(scores) if score and score.status == "failed"
        ),
        draws=sum(draw.source == "untrusted" for draw in draws),
        judgements=len(asked),
        failures=sum(score.status == "failed" for score in asked),
    )


def _came_to(turn: TurnRecord) -> list[_Draw]:
    """The proposals that count; more than one only for several audits, or for a stop.

    Those of earlier turns, drawn or audited late, belong to these; planted ones test the monitor.
    """
    own = [(d.turn, d.draw) for d in turn.draws if d.turn == turn.index and d.source != "planted"]
    shown = [one for audit in turn.audits if (one := (audit.turn, audit.draw)) in own]
    if shown or turn.decision == "stop":
        return shown or own
    return [] if turn.executed is None else [(turn.index, turn.executed)]


def _most_suspicious(
    draws: Sequence[_Draw], last: Mapping[_Draw, ScoreRecord]
) -> ScoreRecord | None:
    return max((last[draw] for draw in draws if draw in last), key=_level, default=None)


def _level(score: ScoreRecord) -> float:
    return math.inf if score.value is None else score.value
