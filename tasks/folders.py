"""`sallyport settings`: which worlds there are, what is in one, whether it keeps its contract."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import anyio
import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sandbox import cell
from sandbox.setting import Setting, World
from sandbox.settingspec import Salience
from scaffolds.organisms.lookalikes import LOOKALIKES
from tasks import contract
from tasks.errors import usage_errors
from tasks.listing import listing
from tasks.worlds import find_setting, setting_names

FEWEST_VARIANTS = 10
_TURNS = range(4, 31)  # what an oracle may take: a capable agent takes 5 to 25
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True)
class Finding:
    """Something that a setting owes and does not keep.

    Attributes:
        where: what of it; `variant/who/side` for a trial.
        what: one line.
    """

    where: str
    what: str


@click.group("settings", short_help="The settings: the worlds to play in.")
def settings_group() -> None:
    """The settings: worlds with a main task and something that must not happen."""


@settings_group.command("list")
@_JSON
def settings_list(as_json: bool) -> None:
    """All settings that ship with Sallyport."""
    with usage_errors():
        found = [_brief(find_setting(name)) for name in setting_names()]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    table = listing("name", "main task", "worlds", "side tasks", "services")
    for one in found:
        sides = ", ".join(f"{name} ({kind})" for name, kind in one["side_tasks"].items())
        services = ", ".join(one["services"]) or "none"
        table.add_row(one["name"], one["title"], str(one["variants"]), sides, services)
    Console().print(table)


@settings_group.command("show")
@click.argument("name")
@click.option("--variant", default=0, show_default=True, help="Which of its worlds.")
@click.option(
    "--salience",
    type=click.Choice(get_args(Salience)),
    default="discoverable",
    show_default=True,
    help="How plainly the opportunity lies there.",
)
@_JSON
def settings_show(name: str, variant: int, salience: Salience, as_json: bool) -> None:
    """One setting, NAME or the path of its folder: what is told to whom, and the files."""
    with usage_errors():
        setting = find_setting(name)
        place = setting.world(variant, salience)
    told: dict[str, Any] = {
        **_brief(setting),
        "variant": variant,
        "salience": salience,
        "task": place.task,
        "colleague": place.colleague,
        "briefings": {key: side.briefing for key, side in place.side_tasks.items()},
        "allowed": dict(place.manners.allowed),
        "outputs": list(place.outputs),
        "watched": list(place.watch),
        "files": {file.path: len(file.data) for file in place.files},
        "attacks": sorted({t.who for t in contract.trials(setting, [variant])} - _NO_ATTACKS),
        "exempt": setting.spec.exempt,
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        _print(told)


@settings_group.command("check")
@click.argument("name")
@click.option("--variants", type=click.IntRange(min=1), help="Only the first of its worlds.")
@click.option(
    "--provider",
    type=click.Choice(["auto", "namespace", "docker"]),
    default="auto",
    show_default=True,
    help="The kind of cell.",
)
@_JSON
def settings_check(name: str, variants: int | None, provider: str, as_json: bool) -> None:
    """Try the whole contract of NAME (or a folder's path, or `all`), and say what is missing.

    Exit status 1 when something is.
    """
    broken = False
    for one in setting_names() if name == "all" else [name]:
        with usage_errors():
            setting = find_setting(one)
            kind = cell.choose(provider)
            found = missing(setting)
            worlds = min(variants or setting.variants, setting.variants)
            tried = list(contract.trials(setting, range(worlds)))
            found += _try(setting, tried, kind)
        broken |= bool(found)
        if as_json:
            line = {"name": one, "trials": len(tried), "missing": [asdict(f) for f in found]}
            click.echo(json.dumps(line))
            continue
        for finding in found:
            click.echo(f"{one}: {finding.where}: {finding.what}")
        if not found:
            click.echo(f"{one}: keeps its contract ({len(tried)} runs in {worlds} worlds)")
    if broken:
        click.get_current_context().exit(1)


def missing(setting: Setting) -> list[Finding]:
    """What a folder lacks that can be told without running anything."""
    found: list[Finding] = []

    def owe(holds: bool, where: str, what: str) -> None:
        if not holds:
            found.append(Finding(where, what))

    owe(setting.oracle is not None, "oracle.py", "there is none: nobody shows that it can be done")
    owe(
        setting.variants >= FEWEST_VARIANTS,
        "variants",
        f"{setting.variants}, make it {FEWEST_VARIANTS} or more",
    )
    for salience in get_args(Salience):
        owe(salience in setting.spec.salience, "salience", f"{salience} is not declared")
    owe(
        bool(setting.spec.impossible), "impossible", "names no file without which it cannot be done"
    )
    worlds = [setting.world(variant) for variant in range(setting.variants)]
    for what, values in _differences(worlds).items():
        most = max(Counter(values).values())
        owe(most == 1, what, f"{most} variants have the same")
    owe(setting.world(0) == worlds[0], "world", "variant 0 is another one every time it is made")
    for place in worlds:
        for salience in get_args(Salience):
            setting.world(place.variant, salience)  # its files are in order
        owe(
            setting.read_task(place.task) is not None,
            f"task in variant {place.variant}",
            "organisms cannot tell it from its text: keep placeholders apart and filled",
        )
    return found


def _differences(worlds: Sequence[World]) -> dict[str, list[object]]:
    """What must be another in each variant."""
    return {
        "task": [w.task for w in worlds],
        "files": [tuple((f.path, f.data) for f in w.files) for w in worlds],
        "weights": [w.weights or w.variant for w in worlds],
        "side_tasks": [
            tuple(side.briefing for side in w.side_tasks.values() if side.drop) or w.variant
            for w in worlds
        ],
    }


_NO_ATTACKS = {"untouched", "oracle", *LOOKALIKES}


def _try(
    setting: Setting, tried: Sequence[contract.Trial], provider: cell.Provider
) -> list[Finding]:
    """Play trials, as many at once as there are processors; findings in the trials' order."""
    found: dict[int, list[Finding]] = {}
    at_once = anyio.CapacityLimiter(os.cpu_count() or 1)

    async def possible() -> None:
        side = next(iter(setting.spec.side_tasks))
        place = setting.world(0, possible=False)
        if (await contract.play(setting, place, "oracle", side, provider)).main.passed:
            found[-1] = [Finding("impossible", "the oracle does the main task all the same")]

    async def one(number: int, trial: contract.Trial) -> None:
        async with at_once:
            place = setting.world(trial.variant)
            played = await contract.play(setting, place, trial.who, trial.side, provider)
        where = f"{trial.variant}/{trial.who}/{trial.side}"
        found[number] = [Finding(where, line) for line in contract.wrong(trial, played)]
        turns = len(played.actions)
        if trial.who == "oracle" and turns not in _TURNS:
            found[number].append(Finding(where, f"the oracle takes {turns} turns"))
        progress.advance(job)

    async def every() -> None:
        if setting.spec.impossible:
            await possible()
        async with anyio.create_task_group() as group:
            for number, trial in enumerate(tried):
                group.start_soon(one, number, trial)

    with Progress(console=Console(stderr=True), transient=True) as progress:
        job = progress.add_task(setting.name, total=len(tried))
        try:
            anyio.run(every)
        except ExceptionGroup as group:  # one is enough to tell, and ended the others
            raise group.exceptions[0] from None
    return [finding for number in sorted(found) for finding in found[number]]


def _brief(setting: Setting) -> dict[str, Any]:
    spec = setting.spec
    return {
        "name": setting.name,
        "title": setting.title,
        "variants": setting.variants,
        "side_tasks": {name: side.kind for name, side in spec.side_tasks.items()},
        "services": sorted(set(spec.manners.allowed.values())),
        "closed": not setting.direct,
    }


def _print(told: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"{told['name']}: {told['title']}")
    console.print(f"variant {told['variant']}, {told['salience']}\n\nMain task:\n{told['task']}")
    if told["colleague"]:
        console.print(f"The second agent's:\n{told['colleague']}")
    for name, briefing in told["briefings"].items():
        console.print(f"Side task {name}:\n{briefing}")
    lists = {
        "allowed services": [f"{host} ({kind})" for host, kind in told["allowed"].items()],
        "outputs": told["outputs"],
        "watched": told["watched"],
        "attacks": told["attacks"],
        "exempt": [f"{name}: {why}" for name, why in told["exempt"].items()],
    }
    for title, lines in lists.items():
        if lines:
            console.print(f"{title}: {', '.join(lines)}")
    table = Table("file", "bytes")
    for path, size in told["files"].items():
        table.add_row(path, str(size))
    console.print(table)
