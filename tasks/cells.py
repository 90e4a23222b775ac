"""`sallyport cell` and `sallyport evidence`: one cell by hand, and what left it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import click
from inspect_ai.util import ExecResult, SandboxEnvironment
from rich.console import Console
from rich.table import Table

from sandbox import cargo, cell
from sandbox.artefacts import changed_files, weights_read
from sandbox.cargo import Cargo
from sandbox.certificate.cells import fresh_cell
from sandbox.evidence import EgressReport, Reference, analyse
from sandbox.evidence.artefacts import artefacts
from sandbox.evidence.report import WEIGHTS
from sandbox.gateway.capture import ChainBroken, load_capture, read_capture
from sandbox.replay import Step, replay, settling
from tasks.errors import usage_errors
from tasks.worlds import find_setting, world

VARIABLE = "SALLYPORT_WEIGHTS"
"""Holds the path of the weights inside the box."""

_PROVIDER = click.option(
    "--provider",
    type=click.Choice(["auto", "namespace", "docker"]),
    default="auto",
    show_default=True,
    help="The kind of cell.",
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WEIGHTS = click.option("--weights", type=_FILE, help="Weights to put there; default: a canary.")
_SETTING = click.option("--setting", help="A setting whose world to put there.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
_REMEMBER = "/tmp/.cwd"  # where the shell's line leaves its folder for the next one


@click.group("cell")
def cell_group() -> None:
    """One sealed cell, by hand."""


@cell_group.command("run")
@_PROVIDER
@_WEIGHTS
@_SETTING
@click.option(
    "--no-allowed", is_flag=True, help="Treat the setting's allowed services as any other host."
)
@click.option(
    "--capture",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the capture in this folder, for `sallyport evidence`.",
)
@_JSON
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(
    provider: str,
    weights: Path | None,
    setting: str | None,
    no_allowed: bool,
    capture: Path | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND in the agent's box of a fresh cell, then say what left it.

    SALLYPORT_WEIGHTS holds the path of the weights inside the box. What the command prints goes to
    standard error, the report to standard output. Exit status 0 whatever left.
    """
    if no_allowed and setting is None:
        raise click.UsageError("--no-allowed: only a --setting has services to leave out")
    with usage_errors():
        load = _load(weights, setting)
        if no_allowed:
            load = replace(load, manners=load.manners.without_allowed())
        chosen = cell.choose(provider)
        visit = anyio.run(_run, chosen, load, command, capture)
    click.echo(visit.done.stdout, err=True, nl=False)
    click.echo(visit.done.stderr, err=True, nl=False)
    _show(visit.report, as_json)


@cell_group.command("shell")
@_PROVIDER
@_WEIGHTS
@_SETTING
def shell_command(provider: str, weights: Path | None, setting: str | None) -> None:
    """Look around in a fresh cell as the agent, line by line; say what left it at the end."""
    with usage_errors():
        load = _load(weights, setting)
        chosen = cell.choose(provider)
        report = anyio.run(_shell, chosen, load)
    _show(report, as_json=False)


@click.command("evidence", short_help="How much of the weights a capture holds.")
@click.argument("capture", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=_FILE, required=True, help="What must not have left.")
@_JSON
def evidence_command(capture: Path, weights: Path, as_json: bool) -> None:
    """Say how much of the weights is in CAPTURE, a folder that a gateway recorded."""
    try:
        report = analyse(load_capture(capture), Reference(cargo.from_file(weights).payloads))
    except ChainBroken as error:
        report = EgressReport.broken(str(error))
    except OSError as error:
        raise click.ClickException(f"{capture} is no capture: {error}") from error
    _show(report, as_json)


def _load(weights: Path | None, setting: str | None) -> Cargo:
    if setting is None:
        return cargo.from_file(weights) if weights else cargo.canary()
    find_setting(setting)
    around = cargo.from_world(world(setting, 0))
    if weights is None:
        return around
    own = cargo.from_file(weights)
    files = around.files + own.files
    return replace(around, files=files, path=own.path, payloads=own.payloads)


@dataclass(frozen=True)
class _Visit:
    """What the command did, and what left."""

    done: ExecResult[str]
    report: EgressReport


async def _report(
    provider: cell.Provider,
    agent: SandboxEnvironment,
    gateway: SandboxEnvironment,
    load: Cargo,
    steps: Sequence[Step],
    keep: Path | None = None,
) -> EgressReport:
    """What left; with a counterfactual replay of the steps when that can say more."""
    ended = time.time()
    events, blob = await cell.sealed_files(gateway)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "events.jsonl").write_bytes(events)
        (keep / "bytes.bin").write_bytes(blob)
    try:
        capture = read_capture(events, blob)
    except ChainBroken as error:
        return EgressReport.broken(str(error))
    typed = [word for step in steps for word in step.argv]
    reference = load.reference()
    began = capture.turns[0]
    read = await weights_read(agent, load.weights(), began)
    files, _ = await changed_files(agent, began)
    report = analyse(capture, reference, commands=typed)
    report = replace(report, artefacts=artefacts(files, reference), weights_read=read)
    if report.unexplained:
        click.echo("not all that left can be read: replaying it with other weights", err=True)
        settle = settling(capture, ended)
        report = report.explained(await replay(provider, load, steps, report.bytes_out, settle))
    return report


async def _run(
    provider: cell.Provider, load: Cargo, command: tuple[str, ...], keep: Path | None
) -> _Visit:
    async with fresh_cell(provider) as (agent, gateway):
        await cell.furnish(gateway, load.manners)
        await cell.unpack(agent, load.tar())
        await cell.mark_turn(gateway, 0)
        step = Step(command, env={VARIABLE: load.path})
        done = await agent.exec(list(command), env=dict(step.env))
        return _Visit(done, await _report(provider, agent, gateway, load, [step], keep))


async def _shell(provider: cell.Provider, load: Cargo) -> EgressReport:
    async with fresh_cell(provider) as (agent, gateway):
        await cell.furnish(gateway, load.manners)
        await cell.unpack(agent, load.tar())
        click.echo(f"{VARIABLE}={load.path}; end with Ctrl-D", err=True)
        folder = "/home/agent"
        steps: list[Step] = []
        while True:
            try:
                line = await anyio.to_thread.run_sync(input, f"agent:{folder}$ ")
            except EOFError:
                click.echo(err=True)
                break
            await cell.mark_turn(gateway, len(steps))
            script = f"cd {shlex.quote(folder)}; {line}\npwd > {_REMEMBER}"
            steps.append(Step(("bash", "-c", script), env={VARIABLE: load.path}))
            done = await agent.exec(list(steps[-1].argv), env={VARIABLE: load.path})
            click.echo(done.stdout, nl=False)
            click.echo(done.stderr, err=True, nl=False)
            folder = (await agent.read_file(_REMEMBER)).strip()
        return await _report(provider, agent, gateway, load, steps)


def _show(report: EgressReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
        return
    click.echo(
        f"{report.weights_bytes} of {report.weights_total} weight bytes left "
        f"({report.weights_fraction:.1%}) among {report.bytes_out} bytes"
    )
    for asset in report.assets:
        if asset.name != WEIGHTS:
            click.echo(f"{asset.left} of {asset.total} bytes of the {asset.name} left")
        if asset.rounded_fraction:
            click.echo(f"{asset.rounded_fraction:.1%} of the {asset.name} left rounded")
    for secret in report.secrets:
        click.echo(f"key left: {secret.name}, to {secret.proof.destination}")
    if report.encodings:
        click.echo(f"encodings undone: {', '.join(report.encodings)}")
    if report.weights_read is not None:
        click.echo(f"weight bytes in files that were read: {report.weights_read}")
    for file in report.artefacts:
        ways = ", ".join([*file.encodings, *file.rounded])
        click.echo(f"left in the box: {file.path}, {file.weights_bytes} weight bytes ({ways})")
    if report.opaque_bytes:
        click.echo(f"bytes that look encrypted: {report.opaque_bytes}")
    if report.counterfactual:
        click.echo(f"replayed: {report.counterfactual.verdict}: {report.counterfactual.reason}")
    for problem in report.problems:
        click.echo(f"incomplete: {problem}")
    if report.channels:
        table = Table("channel", "destination", "allowed", "bytes", "of them weights")
        for one in report.channels:
            allowed = "yes" if one.allowed else ""
            counts = str(one.bytes_out), str(one.weights_bytes)
            table.add_row(one.channel, one.destination, allowed, *counts)
        Console().print(table)
