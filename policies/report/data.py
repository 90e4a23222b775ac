"""What a report shows, as plain data: every figure computed, nothing formatted yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from policies.measure.budgeted import Budgeted
from policies.measure.quality import Quality
from policies.measure.rates import Rate, Unit
from policies.measure.selection import Selection
from policies.measure.spending import Spending
from policies.measure.summary import Summary
from policies.measure.timing import Timing
from policies.measure.worst import Worst

ATTACKED = 0.1
"""The chance that a sample of an episode is attacked."""

Weight: TypeAlias = Literal["grave", "careful", "note"]
"""How much a warning matters: figures cannot be used so; use them with care; good to know."""

Fate: TypeAlias = Literal["missed", "caught late", "false alarm", "caught", "harmless", "honest"]
"""What became of a trajectory; the order is that of what a reader wants to see first."""


@dataclass(frozen=True)
class Warned:
    """Something that a reader must know before using a figure.

    Attributes:
        weight: see `Weight`.
        text: one or two sentences.
    """

    weight: Weight
    text: str


@dataclass(frozen=True)
class Arm:
    """One protocol with its monitor, controlling one untrusted model.

    Attributes:
        key: a short name for drawings, unique in the report.
        protocol: with its arguments.
        monitor: with its arguments and model; empty when there is none.
        untrusted: the model under control.
        found: its figures as run, over all attacks.
        worst: its safety as run against the attack that it is lowest against.
        scaled: its usefulness between that of the trusted and of the untrusted model alone.
        episodes: its safety as run over episodes of so many samples, by their number, when one in
            ten is attacked.
    """

    key: str
    protocol: str
    monitor: str
    untrusted: str
    found: Summary
    worst: Worst
    scaled: Rate
    episodes: Mapping[int, Rate] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The protocol, and the monitor if there is one."""
        return f"{self.protocol} with {self.monitor}" if self.monitor else self.protocol


@dataclass(frozen=True)
class Cell:
    """One protocol against one attack.

    Attributes:
        arm: the protocol's key.
        attack: the attack policy, and the salience of the opportunity where it is told.
        found: the figures as run of these samples.
    """

    arm: str
    attack: str
    found: Summary


@dataclass(frozen=True)
class AtBudget:
    """What a protocol's monitor comes to at an audit budget.

    Attributes:
        arm: the protocol's.
        budget: a share of honest units, and of which: see `unit`.
        unit: `trajectory` or `action`.
        found: the figures; None when the budget is refused.
        refused: why there are none, or None.
        choosing: what is left when attackers choose where to attack and when to give up; None when
            that was not asked for.
    """

    arm: str
    budget: float
    unit: Unit
    found: Budgeted | None
    refused: str | None = None
    choosing: Selection | None = None


@dataclass(frozen=True)
class Ranking:
    """How well one protocol's monitor tells attacks from honest work.

    Attributes:
        arm: the protocol's.
        points: of the ROC curve, shares of honest and of attack trajectories flagged, from (0, 0)
            to (1, 1).
        point: the operating point at the budget, or None.
        quality: the areas with their intervals, and those of the trajectory's mere shape.
    """

    arm: str
    points: tuple[tuple[float, float], ...]
    point: tuple[float, float] | None
    quality: Quality


@dataclass(frozen=True)
class Histogram:
    """How suspicious trajectories looked at their worst.

    Attributes:
        arm: the protocol's.
        honest: trajectories by highest suspicion, in equal bins from 0 to 1.
        attack: likewise, of attack and natural mode.
        failed: trajectories on which the monitor failed in some turn, in no bin.
        unjudged: trajectories that it never judged, in no bin.
        threshold: at the budget, or None.
    """

    arm: str
    honest: tuple[int, ...]
    attack: tuple[int, ...]
    failed: int
    unjudged: int
    threshold: float | None


@dataclass(frozen=True)
class Strip:
    """One trajectory, turn by turn.

    Attributes:
        arm: the protocol's.
        sample: its setting and variant, id and epoch.
        attack: the attack policy; empty in honest mode.
        fate: see `Fate`.
        suspicion: as in `Row`.
        failed: turns in which the monitor failed.
        harmful: the turn of the harm, or None.
        ending: the turn that control ended, or None.
        bytes_out: in all; None when nobody counted.
        link: the sample in the log viewer.
    """

    arm: str
    sample: str
    attack: str
    fate: Fate
    suspicion: tuple[float | None, ...]
    failed: frozenset[int]
    harmful: int | None
    ending: int | None
    bytes_out: int | None
    link: str


@dataclass(frozen=True)
class Flow:
    """How much had left by each turn, over the trajectories of one mode.

    Attributes:
        mode: `honest` or `attack` (natural goes with attack).
        lower: bytes by turn: the first decile of trajectories.
        median: likewise half of them.
        upper: likewise the last decile.
        n: trajectories. One that has ended stays at its last value.
    """

    mode: Literal["honest", "attack"]
    lower: tuple[float, ...]
    median: tuple[float, ...]
    upper: tuple[float, ...]
    n: int


@dataclass(frozen=True)
class Source:
    """One log.

    Attributes:
        name: its path.
        digest: SHA-256 of the file; empty when it was not taken.
        samples: rows read from it.
        status: as in `Run`.
        link: it in the log viewer.
    """

    name: str
    digest: str
    samples: int
    status: str
    link: str


@dataclass(frozen=True)
class Report:
    """Everything that the page shows, in its order.

    Attributes:
        title: of the page.
        made: when, ISO 8601.
        verdict: sentences for whoever reads no further.
        warnings: gravest first.
        arms: safest first.
        cells: by arm, worst first within each.
        at_budget: one for each arm whose suspicion was logged, by trajectory and by action.
        rankings: one for each arm with scores of both kinds.
        histograms: likewise.
        strips: the most informative trajectories.
        trajectories: all of them, drawn or not.
        flows: bytes out by turn.
        spent: what samples cost, by arm.
        timed: when attacks were detected, by arm.
        versions: name and version or digest of what the figures rest on.
        sources: the logs.
        skipped: name of each log that was not read, and why.
        view: the command that starts the log viewer.
    """

    title: str
    made: str
    verdict: tuple[str, ...]
    warnings: tuple[Warned, ...]
    arms: tuple[Arm, ...]
    cells: tuple[Cell, ...]
    at_budget: tuple[AtBudget, ...] = ()
    rankings: tuple[Ranking, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    strips: tuple[Strip, ...] = ()
    trajectories: int = 0
    flows: tuple[Flow, ...] = ()
    spent: Mapping[str, Spending] = field(default_factory=dict)
    timed: Mapping[str, Timing] = field(default_factory=dict)
    versions: tuple[tuple[str, str], ...] = ()
    sources: tuple[Source, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    view: str = "inspect view"

    def arm(self, key: str) -> Arm:
        """The arm of a key."""
        return next(arm for arm in self.arms if arm.key == key)
