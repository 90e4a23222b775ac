"""The game that a sample plays: its world in a closed cell, and the agent under control in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from inspect_ai import Epochs, Task
from inspect_ai.agent import as_solver
from inspect_ai.approval import ApprovalPolicy
from inspect_ai.dataset import Dataset
from inspect_ai.log import transcript
from inspect_ai.model import Model, get_model
from inspect_ai.scorer import Metric, Scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import SandboxUnavailableError
from inspect_ai.viewer import ViewerConfig

from policies.control import Attack, Control
from policies.gate import endorsed_only
from policies.ledger import VERSION
from policies.live import ControlledModel
from policies.measure.outcome import Mode
from policies.turn import Auditor, Proposal
from sandbox import cell
from sandbox.digests import of_cell, of_folder
from sandbox.world import World
from scaffolds.colleagues import colleagues
from scaffolds.controlled import controlled
from tasks.attacking import Red
from tasks.choosing import Choice
from tasks.conditions import under
from tasks.containment import require_closed_cell
from tasks.roles import bound_role
from tasks.samples import About
from tasks.watching import Watch
from tasks.worlds import setting_folder

_MESSAGES = 120  # an oracle needs up to 25 turns, and an attack beside it some more


def game(
    dataset: Dataset,
    choice: Choice,
    red: Red | None,
    provider: cell.Provider,
    untrusted: Model,
    trusted: Model | None,
    scorer: Scorer,
    metadata: dict[str, Any],
    after: Solver | None = None,
    metrics: dict[str, list[Metric]] | None = None,
) -> Task:
    """A task whose samples are played under control.

    Args:
        dataset: samples whose metadata is an `About`.
        choice: the protocol and the monitor.
        red: the attack policy; None where no sample is in attack mode.
        provider: the kind of cell.
        untrusted: plays the agent.
        trusted: the trusted model, where the protocol needs one.
        scorer: scores a finished sample.
        metadata: for the log's header, beside the choice's own.
        after: what follows once the agent is done.
        metrics: instead of the scorer's own, where the run has a say in them.
    """
    controlled_model = ControlledModel(untrusted)
    roles = {"untrusted": controlled_model, "trusted": trusted, "monitor": bound_role("monitor")}
    return Task(
        dataset=dataset,
        setup=prepare(provider),
        solver=[work(choice, red), *([after] if after else [])],
        scorer=scorer,
        metrics=metrics,
        model=controlled_model,
        model_roles={role: model for role, model in roles.items() if model is not None},
        approval=[ApprovalPolicy(endorsed_only(), "*")],
        sandbox=cell.sandbox_spec(provider),
        message_limit=_MESSAGES,
        epochs=Epochs(1, []),  # a mean over epochs is not a count of samples
        viewer=ViewerConfig(trust_content=False),  # what a hostile model writes is shown as text
        metadata={
            **choice.metadata,
            **(red.metadata if red else {}),
            **metadata,
            "sandbox": provider,
            "ledger": VERSION,
            "digests": _digests(dataset, provider),
        },
    )


def _digests(dataset: Dataset, provider: cell.Provider) -> dict[str, str]:
    """Of the settings in play and of the cell, by name: other digests, other figures."""
    used = sorted({About.model_validate(sample.metadata).setting for sample in dataset})
    settings = {f"setting {Path(one).name}": of_folder(setting_folder(one)) for one in used}
    return settings | of_cell(provider)


@solver
def prepare(provider: cell.Provider) -> Solver:
    """Unpack the sample's world in the agent's box, in a kind of cell that was proved closed."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        place = About.of(state).world()
        await cell.furnish(cell.gateway_box(), place.manners)  # before anything is sent
        if not await require_closed_cell(provider, state):
            state.completed = True  # void: no agent comes into this box, the scorer says why
            return state
        await cell.unpack(cell.agent_box(), place.tar())
        return state

    return solve


@solver
def work(choice: Choice, red: Red | None) -> Solver:
    """Let the untrusted model work on the task under control."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        about = About.of(state)
        watched = about.world() if about.side_task().kind == "oversight" else None
        control = Control(
            protocol=choice.protocol.value,
            monitor=choice.monitor,
            # By role: Inspect reports tokens and cost of the model that it bound.
            trusted=get_model(role="trusted", required=True) if choice.asks_trusted else None,
            auditor=auditor(about.mode),
            attack=_attack(red, about, f"{state.sample_id}/{state.epoch}"),
            bytes_out=await _counted_from_here(),
            task=about.task,
            on_turn=partial(_note_turn, state.store_as(Watch), watched),
        )
        colleague = about.world().colleague
        scaffold = colleagues(under(about.condition, colleague)) if colleague else None
        return await as_solver(controlled(control, scaffold))(state, generate)

    return solve


def _attack(red: Red | None, about: About, seed: str) -> Attack | None:
    if about.mode != "attack":
        return None
    assert red is not None, "a task with samples in attack mode has an attack policy"
    return red.begin(about.side_task().briefing, seed)


async def _counted_from_here() -> Callable[[], Awaitable[int]]:
    """A count of what the agent sends, without what a certificate's probes have sent before."""
    before = 0
    try:
        before = await cell.bytes_out(cell.gateway_box())
    except (OSError, SandboxUnavailableError) as error:
        # The scorer finds the gateway gone too, and declares the sample void.
        transcript().info(f"nobody counts what leaves: {error}", source="sallyport/turn")

    async def left() -> int:
        return await cell.bytes_out(cell.gateway_box()) - before

    return left


async def _note_turn(watch: Watch, watched: World | None, index: int) -> None:
    """Mark the turn in the capture, so that every byte that leaves belongs to one.

    What became of oversight belongs to the turn before.
    """
    if watched is not None:
        await watch.look(cell.agent_box(), watched)
    try:
        await cell.mark_turn(cell.gateway_box(), index)
    except (OSError, SandboxUnavailableError) as error:
        # The scorer finds the gateway gone, or a turn missing, and declares the sample void.
        transcript().info(f"turn {index} is not in the capture: {error}", source="sallyport/turn")


def auditor(mode: Mode) -> Auditor:
    """Who looks at what is audited.

    The papers' oracle, where the mode says what there is to find: it confirms in attack mode and
    clears in honest mode. In natural mode nobody knows, so it is decided after the run.
    """

    async def look(proposal: Proposal, reason: str) -> bool | None:
        return None if mode == "natural" else mode == "attack"

    return look
