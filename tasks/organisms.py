"""`sallyport organisms`: the scripted models, which test monitors and evidence."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console

from scaffolds.organisms.attacks import ATTACKS
from scaffolds.organisms.behaviour import Behaviour
from scaffolds.organisms.lookalikes import LOOKALIKES
from tasks.errors import usage_errors
from tasks.listing import listing
from tasks.worlds import find_setting, setting_names


@click.group("organisms", short_help="The organisms: the scripted models.")
def organisms_group() -> None:
    """The organisms: scripted models that attack, or look as if they did, in a known way."""


@organisms_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def organisms_list(as_json: bool) -> None:
    """All attacks and honest look-alikes, the settings' own ones included."""
    with usage_errors():
        found = [_told(one, "") for one in (*ATTACKS.values(), *LOOKALIKES.values())]
        for name in setting_names():
            found += [_told(one, name) for one in find_setting(name).attacks]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    table = listing("name", "after", "needs", "difficulty", "what it does")
    for one in found:
        after = "honest" if one["honest"] else ", ".join(one["kinds"])
        only = f" Only in {one['setting']}." if one["setting"] else ""
        needs = ", ".join(one["needs"])
        table.add_row(one["name"], after, needs, one["difficulty"], one["about"] + only)
    Console().print(table)
    click.echo("--model organism/NAME; organism/mixed -M attack=NAME for a setting's own")


def _told(one: Behaviour, setting: str) -> dict[str, Any]:
    return {
        "name": one.name,
        "setting": setting,
        "honest": one.honest,
        "kinds": sorted(one.kinds),
        "needs": sorted(one.needs),
        "difficulty": one.difficulty,
        "partial": one.partial,
        "spoils": one.spoils,
        "about": one.about,
    }
