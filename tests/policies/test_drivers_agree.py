"""One definition, three drivers: live, in replay and in simulation every protocol does the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
from inspect_ai import Task, eval
from inspect_ai.agent import as_solver
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, ModelOutput, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from policies import human
from policies.control import Control
from policies.ledger import TurnRecord, ledger
from policies.live import ControlledModel
from policies.protocols import protocols
from policies.registry import Spec
from policies.replay import Replayed, proposal_of, read_ledgers, replay
from policies.simulated_turn import SimulatedSample, Taken
from policies.turn import ControlProtocol
from scaffolds.controlled import controlled
from tests.policies import scripts

Ledgers: TypeAlias = dict[str, tuple[TurnRecord, ...]]

TASK, SEED = 3, 11
# Arguments with which a protocol shows more of itself; by default it runs as it is.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "untrusted_monitoring": {"validation": 0.5},
    "asynchronous_monitoring": {"delay": 2},
    "human_approval": {"inner": "defer_to_resample"},
    "egress_budget": {"inner": "defer_to_trusted"},
    "pool": {"inner": "defer_to_resample", "draws": 4, "edits": 1},
}
SPECS: dict[str, Spec] = {
    name: {"name": name, **ARGUMENTS.get(name, {})} for name in protocols.names()
}
# A log with enough in it for others.
POOL: Spec = {"name": "pool", "inner": "none", "draws": 8, "edits": 1}
CASES = [(name, script) for name in SPECS for script in scripts.SCRIPTS]


def _protocol(name: str) -> ControlProtocol:
    return protocols.resolve(POOL if name == "a pool" else SPECS[name]).value


async def _bytes_out() -> int:
    return scripts.BYTES_PER_TURN * len(ledger().turns)


@solver
def _under_control() -> Solver:
    """Each sample under the protocol that its metadata names."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        planted = ModelOutput.for_tool_call("planted", "bash", {"command": scripts.PLANTED})
        control = Control(
            protocol=_protocol(state.metadata["protocol"]),
            monitor=scripts.MONITOR,
            trusted=get_model("agreeing/trusted"),
            auditor=scripts.audit,
            planted=(planted,),
            bytes_out=_bytes_out,
            task=TASK,
            seed=SEED,
        )
        return await as_solver(controlled(control, scripts.all_turns()))(state, generate)

    return solve


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledgers]:
    """What every protocol did live in every script, from one evaluation's log."""
    folder: Path = tmp_path_factory.mktemp("live")
    cases = [*CASES, *(("a pool", name) for name in scripts.SCRIPTS)]
    samples = [
        Sample(id=f"{name}: {script}", input=f"{name}: {script}", metadata={"protocol": name})
        for name, script in cases
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(human, "ask", scripts.approved)
        [log] = eval(
            Task(
                dataset=samples,
                solver=_under_control(),
                model=ControlledModel(get_model("agreeing/u", config=GenerateConfig(seed=0))),
            ),
            log_dir=str(folder),
            display="none",
            log_realtime=False,
        )
    assert log.status == "success", log.error
    ledgers: Ledgers = {str(one.id): one.turns for one in read_ledgers(log.location)}
    assert len(ledgers) == len(samples)
    yield ledgers


def _replayed(name: str, turns: tuple[TurnRecord, ...]) -> Replayed:
    async def main() -> Replayed:
        return await replay(
            _protocol(name), turns, auditor=scripts.audit, monitor=scripts.MONITOR.name
        )

    return anyio.run(main)


def _simulated(name: str, script: str) -> list[Taken]:
    sample = SimulatedSample(scripts.ScriptDealer(script), TASK, SEED)
    taken: list[Taken] = []
    while len(taken) < scripts.TURNS:
        taken.append(sample.take(_protocol(name), len(taken)))
        if taken[-1].caught or taken[-1].verdict.decision == "stop":
            break
    return taken


def _of_record(turn: TurnRecord) -> dict[str, Any]:
    return {
        "decision": turn.decision,
        "executed": turn.executed,
        "audits": [(audit.turn, audit.draw, audit.confirmed) for audit in turn.audits],
    }


def _of_taken(taken: Taken) -> dict[str, Any]:
    runs = taken.verdict.runs and not taken.caught
    return {
        "decision": None if taken.caught else taken.verdict.decision,
        "executed": taken.verdict.proposal.draw if runs else None,
        "audits": [(one.turn, one.draw, confirmed) for one, confirmed in taken.audits],
    }


@pytest.mark.parametrize(("name", "script"), CASES)
def test_verdicts_agree(name: str, script: str, live: Ledgers) -> None:
    lived = live[f"{name}: {script}"]
    replayed = _replayed(name, lived)
    expected = [_of_record(turn) for turn in lived]
    assert replayed.decided, replayed.why
    assert [_of_record(turn) for turn in replayed.turns] == expected
    assert [_of_taken(taken) for taken in _simulated(name, script)] == expected
    for again, turn in zip(replayed.turns, lived, strict=True):  # nothing else was asked
        assert (again.draws, again.scores, again.bytes_out) == (
            turn.draws,
            turn.scores,
            turn.bytes_out,
        )


@pytest.mark.parametrize("script", scripts.SCRIPTS)
@pytest.mark.parametrize(
    "name", ["none", "trusted_monitoring", "defer_to_trusted", "defer_to_resample"]
)
def test_a_pool_replays_other_protocols_as_they_would_have_run(
    name: str, script: str, live: Ledgers
) -> None:
    replayed = _replayed(name, live[f"a pool: {script}"])
    taken = _simulated(name, script)
    assert replayed.turns and replayed.ending != "not_logged"
    for turn, one in zip(replayed.turns, taken, strict=False):
        commands = {(d.turn, d.draw): scripts.command_of(proposal_of(d)) for d in turn.draws}
        assert turn.decision == _of_taken(one)["decision"]
        if turn.executed is not None:
            ran = commands[turn.index, turn.executed]
            assert ran == scripts.command_of(one.verdict.proposal)
        assert [commands[audit.turn, audit.draw] for audit in turn.audits] == [
            scripts.command_of(proposal) for proposal, _ in one.audits
        ]
