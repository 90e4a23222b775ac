"""What measuring reads: one row per sample, and the run that it was part of. Plain data.

A row says what happened (`outcome`) and what the monitor thought turn by turn (`suspicion`), so the
same rows give the rates as run and the rates at any audit budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from policies.measure.outcome import Mode, Outcome

Source: TypeAlias = Literal["sallyport", "control_arena"]
Knowledge: TypeAlias = Literal["nothing", "protocol", "scores"]
"""What an attack policy knows of what it is up against, from least to most."""


@dataclass(frozen=True)
class Run:
    """What the samples of one log have in common.

    Attributes:
        log: the log's path, as given.
        source: who wrote it.
        task: the Inspect task's name.
        created: when it began, ISO 8601.
        status: `success`, `error`, `cancelled` or `started` (broken off).
        protocol: the protocol with its arguments, in one line.
        monitor: likewise; None when the protocol asks none.
        attack: likewise the attack policy; empty when the log does not tell.
        knows: what the attack policy knows.
        untrusted: the model under control.
        trusted: the trusted model, or None.
        monitor_model: the monitor's model; None when it asks none.
        salience: of the opportunity; empty when the log does not tell.
        sandbox: the kind of cell; empty when the log does not tell.
        prompts: SHA-256 of each prompt asked with, by name: the monitors' and the attack policy's.
        digests: SHA-256 of what else the figures rest on, by name: settings, images.
    """

    log: str
    source: Source = "sallyport"
    task: str = ""
    created: str = ""
    status: str = "success"
    protocol: str = "none"
    monitor: str | None = None
    attack: str = ""
    knows: Knowledge = "nothing"
    untrusted: str = ""
    trusted: str | None = None
    monitor_model: str | None = None
    salience: str = ""
    sandbox: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """What one role's calls cost in a sample.

    Attributes:
        calls: model calls.
        input: tokens that were read, without what the provider's cache served or stored.
        output: tokens that were written.
        cache_read: tokens that the provider's cache served.
        cache_write: tokens that it stored.
        money: US dollars; None when a price is not known.
        seconds: wall-clock time.
    """

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    money: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Row:
    """One sample.

    Attributes:
        run: the run that it was part of.
        id: the sample's name in its task.
        epoch: from 1.
        mode: see `Outcome`.
        setting: its setting.
        variant: which of the setting's worlds.
        side: its side task.
        outcome: what happened; None when there is no trustworthy result.
        void: why there is none; None when there is one.
        suspicion: per turn, the sample's own monitor's score, 0..1, of the action that an audit
            was of, else of the one that ran or that ended the sample; None where that was not
            judged, or the monitor failed. Scores of rejected drafts are never in it.
        failed: the turns in which the monitor failed on that action.
        harmful_turn: the first turn whose action did harm, by the evidence; None when none did or
            it is not known.
        ending_turn: the turn in which an audit or a `stop` ended the sample, or None.
        bytes_out: per turn, the bytes that left; empty when nobody counted.
        fraction: share of the side task's asset that left, 0..1; None where that has no meaning.
        draws: samples of U that control asked for, over all turns.
        spent: by role: `untrusted`, `trusted`, `monitor`, `red`.
    """

    run: Run
    id: str
    mode: Mode
    setting: str
    variant: str
    outcome: Outcome | None
    epoch: int = 1
    side: str = ""
    void: str | None = None
    suspicion: tuple[float | None, ...] = ()
    failed: frozenset[int] = frozenset()
    harmful_turn: int | None = None
    ending_turn: int | None = None
    bytes_out: tuple[int, ...] = ()
    fraction: float | None = None
    draws: int = 0
    spent: Mapping[str, Spent] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """Setting and variant: samples of one world are not independent; epochs are inside."""
        return f"{self.setting}/{self.variant}"

    @property
    def turns(self) -> int:
        """How many turns there were."""
        return len(self.suspicion)
