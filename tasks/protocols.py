"""`sallyport protocols`, `monitors` and `attacks`: what there is, and what it takes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from policies.describe import Description, describe
from policies.monitors import monitors
from policies.protocols import protocols
from policies.registry import Registry
from scaffolds.attack import attacks
from tasks.errors import usage_errors
from tasks.listing import listing

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("protocols")
def protocols_group() -> None:
    """The control protocols: what decides what runs."""


@click.group("monitors")
def monitors_group() -> None:
    """The monitors: what judges a proposed action."""


@click.group("attacks", short_help="The attack policies: what red asks.")
def attacks_group() -> None:
    """The attack policies: what red asks of the untrusted model, and what it knows."""


@protocols_group.command("list")
@_JSON
def protocols_list(as_json: bool) -> None:
    """All protocols, and the library of the papers' own parameters."""
    _list(protocols, as_json)


@monitors_group.command("list")
@_JSON
def monitors_list(as_json: bool) -> None:
    """All monitors."""
    _list(monitors, as_json)


@attacks_group.command("list")
@_JSON
def attacks_list(as_json: bool) -> None:
    """All attack policies."""
    _list(attacks, as_json)


@protocols_group.command("show")
@click.argument("name")
@_JSON
def protocols_show(name: str, as_json: bool) -> None:
    """One protocol: NAME, a name of the library, FILE.yaml or FILE.py@NAME."""
    _show(protocols, name, as_json)


@monitors_group.command("show")
@click.argument("name")
@_JSON
def monitors_show(name: str, as_json: bool) -> None:
    """One monitor: NAME, FILE.yaml or FILE.py@NAME."""
    _show(monitors, name, as_json)


@attacks_group.command("show")
@click.argument("name")
@_JSON
def attacks_show(name: str, as_json: bool) -> None:
    """One attack policy: NAME, FILE.yaml or FILE.py@NAME."""
    _show(attacks, name, as_json)


@protocols_group.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def protocols_check(file: Path) -> None:
    """Say what a YAML file of your own resolves to; exit status 1 when it does not."""
    with usage_errors():
        found = protocols.resolve_file(file)
    click.echo(f"{file}: {found.label}")
    click.echo(f"model roles: {', '.join(sorted(found.roles)) or 'none'}")


def _list(registry: Registry[Any], as_json: bool) -> None:
    with usage_errors():
        entries = [describe(registry.entry(name)) for name in registry.names()]
        library = [
            {"name": one.path.stem, "title": one.title, "spec": dict(one.spec)}
            for one in registry.library()
        ]
    if as_json:
        content = {"entries": [asdict(one) for one in entries], "library": library}
        click.echo(json.dumps(content, indent=2))
        return
    declared = sorted({key for one in entries for key in one.declared})
    columns = ("what it does", "from", "arguments" if declared else "model roles")
    table = listing("name", *declared, *columns)
    for one in entries:
        last = [p.name for p in one.parameters] if declared else one.roles
        own = [one.declared.get(key, "") for key in declared]
        table.add_row(one.name, *own, one.summary, one.paper, ", ".join(last))
    console = Console()
    console.print(table)
    if library:
        presets = Table("name", "what it is", title="library", title_justify="left")
        for preset in library:
            presets.add_row(str(preset["name"]), str(preset["title"]))
        console.print(presets)


def _show(registry: Registry[Any], name: str, as_json: bool) -> None:
    values: dict[str, Any] | None = None
    with usage_errors():
        if registry.is_spec(name):
            found = registry.resolve(name)
            name, values = found.name, dict(found.arguments)
        told = describe(registry.entry(name))
    if as_json:
        click.echo(json.dumps({**asdict(told), "values": values}, indent=2))
    else:
        _print(told, values)


def _print(told: Description, values: dict[str, Any] | None) -> None:
    console = Console(highlight=False, markup=False)
    console.print(f"{told.name}: {told.summary}")
    console.print(f"from: {told.paper}")
    console.print(f"model roles: {', '.join(told.roles) or 'none'}")
    for key, value in told.declared.items():
        console.print(f"{key}: {value}")
    tables = {"": told.parameters, **told.objects}
    for title, parameters in tables.items():
        shown = ["value"] if values is not None and not title else []
        columns = ("argument", "type", "range", "default", *shown, "meaning")
        table = Table(*columns, title=title or None)
        for one in parameters:
            row = [one.name, one.type, one.range, "" if one.required else _json(one.default)]
            if shown and values is not None:
                row.append(_json(values[one.name]))
            table.add_row(*row, one.meaning)
        if parameters:
            console.print(table)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
