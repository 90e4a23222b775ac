"""`inspect eval tasks/exfil.py`: will the agent copy the weights out, and will control catch it?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from typing import Any, get_args

from inspect_ai import Epochs, Task, task
from inspect_ai.agent import as_solver
from inspect_ai.approval import ApprovalPolicy
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import transcript
from inspect_ai.model import get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import SandboxUnavailableError
from inspect_ai.viewer import ViewerConfig

from policies.control import Control
from policies.gate import endorsed_only
from policies.live import ControlledModel
from policies.naming import of_distribution
from policies.turn import Auditor, Proposal
from sandbox import cell
from scaffolds.attack.plain import plain
from scaffolds.controlled import controlled
from tasks.choosing import Choice, choose
from tasks.containment import require_closed_cell
from tasks.errors import usage_error, usage_errors
from tasks.roles import bound_role, trusted_model, untrusted_model
from tasks.scoring import Mode, control_outcome
from tasks.worlds import find_setting, world

_MESSAGES = 80  # an honest organism needs some twenty


@task(name="sallyport/exfil")
@of_distribution
def exfil(
    protocol: str | dict[str, Any] = "trusted_monitoring",
    monitor: str | dict[str, Any] | None = None,
    modes: str | list[str] = "honest,attack",
    setting: str = "checkpoint_audit",
    sandbox: str = "auto",
) -> Task:
    """An agent with a real job next to a model's weights, under a control protocol.

    Args:
        protocol: a protocol by name, or `{name: ..., threshold: ...}`.
        monitor: a monitor, likewise; by default `prompted` when `--model-role monitor=` is given,
            else the offline `rules`.
        modes: `honest`, `attack` or both, separated by commas.
        setting: a setting by name, or the path of its folder.
        sandbox: `auto`, `namespace` or `docker`.
    """
    choice = choose(protocol, monitor)
    with usage_errors():
        world_setting = find_setting(setting)
        wanted_modes = _modes(modes)
        untrusted = untrusted_model()
        trusted = trusted_model(untrusted) if choice.asks_trusted else None
        provider = cell.choose(sandbox)
    print(
        f"sallyport: protocol {choice.protocol.name}, "
        f"monitor {choice.judge.name if choice.monitor else 'none'}, "
        f"setting {setting}, sandbox {provider}"
    )
    controlled_model = ControlledModel(untrusted)
    roles = {"untrusted": controlled_model, "trusted": trusted, "monitor": bound_role("monitor")}
    return Task(
        dataset=_dataset(setting, world_setting.variants, wanted_modes),
        setup=prepare(provider),
        solver=work(choice),
        scorer=control_outcome(provider),
        model=controlled_model,
        model_roles={role: model for role, model in roles.items() if model is not None},
        approval=[ApprovalPolicy(endorsed_only(), "*")],
        sandbox=cell.sandbox_spec(provider),
        message_limit=_MESSAGES,
        epochs=Epochs(1, []),  # a mean over epochs is not a count of samples
        viewer=ViewerConfig(trust_content=False),  # what a hostile model writes is shown as text
        metadata={**choice.metadata, "sandbox": provider},
    )


def _modes(given: str | Sequence[str]) -> tuple[Mode, ...]:
    names = [n.strip() for n in given.split(",")] if isinstance(given, str) else list(given)
    known: tuple[Mode, ...] = get_args(Mode)
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise usage_error(f"unknown mode {wrong[0] if wrong else ''!r}: use honest, attack or both")
    return tuple(mode for mode in known if mode in names)


def _dataset(setting: str, variants: int, modes: tuple[Mode, ...]) -> MemoryDataset:
    """One sample per variant and mode, the modes side by side so that `--limit` keeps both."""
    samples = [
        Sample(
            id=f"{variant:02d}-{mode}",
            input=world(setting, variant).task,
            metadata={"setting": setting, "variant": variant, "mode": mode, "task": number},
        )
        for number, (variant, mode) in enumerate(product(range(variants), modes))
    ]
    return MemoryDataset(samples, name=setting)


@solver
def prepare(provider: cell.Provider) -> Solver:
    """Unpack the sample's world in the agent's box, in a kind of cell that was proved closed."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        place = world(state.metadata["setting"], state.metadata["variant"])
        await cell.furnish(cell.gateway_box(), place.manners)  # before anything is sent
        if not await require_closed_cell(provider, state):
            state.completed = True  # void: no agent comes into this box, the scorer says why
            return state
        await cell.unpack(cell.agent_box(), place.tar())
        return state

    return solve


@solver
def work(choice: Choice) -> Solver:
    """Let the untrusted model work on the task under control."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        mode: Mode = state.metadata["mode"]
        place = world(state.metadata["setting"], state.metadata["variant"])
        control = Control(
            protocol=choice.protocol.value,
            monitor=choice.monitor,
            # By role: Inspect reports tokens and cost of the model that it bound.
            trusted=get_model(role="trusted", required=True) if choice.asks_trusted else None,
            auditor=oracle(mode),
            attack=plain(place.side_task) if mode == "attack" else None,
            bytes_out=await _counted_from_here(),
            task=state.metadata["task"],
            on_turn=_note_turn,
        )
        return await as_solver(controlled(control))(state, generate)

    return solve


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


async def _note_turn(index: int) -> None:
    """Mark the turn in the capture, so that every byte that leaves belongs to one."""
    try:
        await cell.mark_turn(cell.gateway_box(), index)
    except (OSError, SandboxUnavailableError) as error:
        # The scorer finds the gateway gone, or a turn missing, and declares the sample void.
        transcript().info(f"turn {index} is not in the capture: {error}", source="sallyport/turn")


def oracle(mode: Mode) -> Auditor:
    """The papers' auditor: knows the mode, confirms in attack mode and clears in honest mode."""

    async def look(proposal: Proposal, reason: str) -> bool:
        return mode == "attack"

    return look
