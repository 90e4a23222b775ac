"""Simulations of one protocol at several audit budgets and attack rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policies.dealing import AttackPolicy, ScoreDistribution, Scores, World
from policies.measure.observed import Observed
from policies.measure.thresholds import BudgetRefused, fit
from policies.protocols import protocols
from policies.registry import Resolved
from policies.simulate import Simulated, Simulation
from policies.turn import ControlProtocol


@dataclass(frozen=True)
class Cell:
    """One protocol at one budget and one attack rate.

    Attributes:
        budget: share of honest actions that its threshold may flag, above 0 and below 1; None for
            a protocol that has no threshold, which is simulated as it is.
        threshold: fitted to it on the honest scores, 0..1; None likewise.
        start: chance per turn that an attack begins, 0..1.
        found: what it comes to.
    """

    budget: float | None
    threshold: float | None
    start: float
    found: Simulated


@dataclass(frozen=True)
class Refused:
    """A budget that the honest scores cannot express, and why, in one line."""

    budget: float
    why: str


def distribution(observed: Observed) -> ScoreDistribution:
    """The scores that were observed, as a distribution to deal from.

    Raises:
        ValueError: there is no valid score.
    """
    counts = sorted(Counter(observed.scores).items())
    return ScoreDistribution(
        tuple(value for value, _ in counts),
        tuple(float(count) for _, count in counts),
        observed.failed / max(1, len(observed.levels)),
    )


def knob(protocol: Resolved[ControlProtocol]) -> str | None:
    """The argument that spends the audit budget: `audit` if there is one, else `threshold`."""
    return next((name for name in ("audit", "threshold") if name in protocol.arguments), None)


def at_threshold(protocol: Resolved[ControlProtocol], level: float) -> Resolved[ControlProtocol]:
    """The same protocol with another threshold where it spends its audit budget.

    A `threshold` that is a number and would be above `audit` is lowered to it.
    """
    name = knob(protocol)
    if name is None:
        return protocol
    spec = protocol.spec | {name: level}
    if name == "audit" and isinstance(spec.get("threshold"), int | float):
        spec["threshold"] = min(spec["threshold"], level)
    return protocols.resolve(spec)


def sweep(
    protocol: Resolved[ControlProtocol],
    honest: Observed,
    attack: Observed,
    *,
    budgets: Sequence[float],
    starts: Sequence[float],
    works: float = 1.0,
    turns: int = 15,
    episodes: int = 1_000_000,
    runs: int = 20_000,
) -> Iterator[Cell | Refused]:
    """Simulate a protocol at every budget and every attack rate, one after the other.

    Args:
        protocol: as it was asked for.
        honest: the monitor's scores of harmless actions; thresholds are fitted on them.
        attack: its scores of attacks.
        budgets: see `Cell`; a protocol without a threshold is simulated once instead.
        starts: see `Cell`.
        works: chance that an attack that ran does harm, 0..1.
        turns: per episode, at least 1.
        episodes: per cell, at least 1.
        runs: of the protocol, see `simulate`.

    Raises:
        ValueError: a number out of range, no scores, or a monitor whose scores are not known.
    """
    world = World(Scores(distribution(honest), distribution(attack)), AttackPolicy())
    played: dict[float | None, list[Simulated]] = {}  # budgets may have the same threshold
    for budget in budgets if knob(protocol) else (None,):
        level, chosen = None, protocol
        if budget is not None:
            try:
                level = fit(honest.levels, budget, "actions").value
            except BudgetRefused as error:
                yield Refused(budget, str(error))
                continue
            chosen = at_threshold(protocol, level)
        if level not in played:
            simulation = Simulation(chosen.value, world, works=works, runs=runs)
            played[level] = []
        for number, start in enumerate(starts):
            if number == len(played[level]):
                played[level].append(simulation.play(start, turns=turns, episodes=episodes))
            yield Cell(budget, level, start, played[level][number])
