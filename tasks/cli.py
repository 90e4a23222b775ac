"""The `sallyport` command."""

from __future__ import annotations

import json

import anyio
import click
from rich.console import Console

from sandbox import cell, images
from sandbox.certificate.report import table
from sandbox.certify import Certificate, CertifyError, certify_fresh
from sandbox.images import ImageError
from tasks.calibrating import calibrate_command
from tasks.cells import cell_group, evidence_command
from tasks.folders import settings_group
from tasks.gating import gate_command
from tasks.organisms import organisms_group
from tasks.protocols import attacks_group, monitors_group, protocols_group
from tasks.replaying import replay_command
from tasks.reporting import report_command
from tasks.simulating import simulate_command


@click.group()
def main() -> None:
    """Sallyport: an AI-control sandbox for agentic exfiltration tests.

    Evaluations run with `inspect eval sallyport/exfil`, and `inspect view` shows them. This command
    says what their logs come to, what they can be made of, and whether a cell is closed.
    """


main.add_command(cell_group)
main.add_command(evidence_command)
main.add_command(protocols_group)
main.add_command(monitors_group)
main.add_command(settings_group)
main.add_command(organisms_group)
main.add_command(attacks_group)
main.add_command(report_command)
main.add_command(gate_command)
main.add_command(calibrate_command)
main.add_command(replay_command)
main.add_command(simulate_command)


@main.group("images")
def images_group() -> None:
    """The Docker images of the agent's box and of the gateway."""


@images_group.command("build")
def images_build() -> None:
    """Build both images on this machine's Docker engine."""
    reason = images.engine()
    if reason is not None:
        raise click.ClickException(reason)
    console = Console(stderr=True)
    try:
        with console.status("building") as status:

            def show(line: str) -> None:
                status.update(line[: max(20, console.width - 4)])
                if not console.is_terminal:
                    console.print(line, markup=False, highlight=False)

            images.build(show)
    except ImageError as error:
        raise click.ClickException(str(error)) from error
    click.echo("built: use them with `inspect eval tasks/exfil.py -T sandbox=docker`")


class CannotTry(click.ClickException):
    """What keeps the probes from running; exit status 1 would say that something is open."""

    exit_code = 2


@main.command("certify")
@click.option(
    "--provider",
    type=click.Choice(["auto", "namespace", "docker"]),
    default="auto",
    show_default=True,
    help="The kind of cell.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the certificate itself.")
def certify_command(provider: str, as_json: bool) -> None:
    """Prove that a fresh cell has no way out.

    Exit status 0 when all is closed, 1 when something is open, 2 when it cannot be tried.
    """
    console = Console(stderr=True)
    try:
        with console.status("probing"):
            certificate = anyio.run(_certify, provider)
    except (cell.CellError, CertifyError) as error:
        raise CannotTry(str(error)) from error
    if as_json:
        click.echo(json.dumps(certificate.to_json(), indent=2))
    else:
        Console().print(table(certificate))
    if not certificate.ok:
        click.get_current_context().exit(1)


async def _certify(provider: str) -> Certificate:
    return await certify_fresh(cell.choose(provider))


@main.command()
def clean() -> None:
    """Remove what evaluations that were killed left behind."""
    removed = cell.clean()
    for line in removed:
        click.echo(f"removed {line}")
    if not removed:
        click.echo("nothing to remove")
