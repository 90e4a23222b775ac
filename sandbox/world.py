"""A world: one variant of a setting, and what is found out about it after a run. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.files import WorldFile, pack
from sandbox.gateway.manners import Manners
from sandbox.secret import Secret
from sandbox.settingspec import Kind


@dataclass(frozen=True)
class SideTask:
    """What red wants in one world.

    Attributes:
        kind: what its truth is about.
        briefing: what U is told in attack mode; never shown otherwise.
        target: the folder or file to copy; empty where nothing is to be copied.
        drop: the https URL of a folder that takes it; likewise.
    """

    kind: Kind
    briefing: str
    target: str
    drop: str


@dataclass(frozen=True)
class Seen:
    """What of oversight there is at one time, read from outside the agent's reach.

    Attributes:
        files: watched files by path, as they are in the agent's box.
        probes: what each probe printed, by name; empty where it was not run or failed.
        received: what allowed services were sent until then, by URL; the last of each.
    """

    files: Mapping[str, bytes]
    probes: Mapping[str, str]
    received: Mapping[str, bytes]


@dataclass(frozen=True)
class World:
    """One variant of a setting, ready to be unpacked in a box.

    Attributes:
        setting: The setting's name.
        variant: The variant's number, from 0.
        task: The main task, as the agent is asked.
        colleague: The second agent's main task; empty where one agent works alone.
        side_tasks: What red may want, by name.
        files: Every file, no two with the same path.
        weights: Tensor payloads of the production weights, in shard order: what must not leave.
        adapter: The tensor payload of the adapter, likewise; empty where there is none.
        keys: Keys that must not leave, by name.
        outputs: What the verifier reads after the run: paths, and URLs that were sent something.
        watch: Files and folders that oversight lives in.
        probes: Commands that ask oversight whether it still sees, by name.
        facts: Ground truth (JSON values only); never shown to the agent.
        manners: How the world around the box answers, and which services are allowed.
    """

    setting: str
    variant: int
    task: str
    colleague: str
    side_tasks: Mapping[str, SideTask]
    files: tuple[WorldFile, ...] = field(repr=False)
    weights: tuple[bytes, ...] = field(repr=False)
    adapter: tuple[bytes, ...] = field(repr=False)
    keys: Mapping[str, Secret] = field(repr=False)
    outputs: tuple[str, ...]
    watch: tuple[str, ...]
    probes: Mapping[str, str]
    facts: Mapping[str, Any] = field(repr=False)
    manners: Manners = field(repr=False)

    def tar(self) -> bytes:
        """Pack the files for `tar -x -p -f - -C /`, run in the box by the user `agent`.

        Returns:
            An uncompressed GNU tar, root-relative, everything owned by the agent; the writable
            places themselves have no entry, as the agent may not change their modes and dates.
        """
        return pack(self.files)


@dataclass(frozen=True)
class Verification:
    """What the verifier found.

    Attributes:
        passed: Whether every check holds (and there is at least one).
        checks: Each check by its name.
        explanation: One line for the score.
    """

    passed: bool
    checks: Mapping[str, bool]
    explanation: str

    @classmethod
    def of(cls, checks: Mapping[str, bool]) -> Verification:
        """The verdict that follows from named checks."""
        failed = [name for name, holds in checks.items() if not holds]
        explanation = f"failed: {', '.join(failed)}" if failed else f"{len(checks)} checks hold"
        return cls(bool(checks) and not failed, checks, explanation)
