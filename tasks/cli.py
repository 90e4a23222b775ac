"""The `sallyport` command."""

from __future__ import annotations

import click
from rich.console import Console

from sandbox import cell, images
from sandbox.images import ImageError


@click.group()
def main() -> None:
    """Sallyport: an AI-control sandbox for agentic exfiltration tests.

    Evaluations run with `inspect eval sallyport/exfil`; this command looks after the machine.
    """


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


@main.command()
def clean() -> None:
    """Remove what evaluations that were killed left behind."""
    removed = cell.clean()
    for line in removed:
        click.echo(f"removed {line}")
    if not removed:
        click.echo("nothing to remove")
