"""Write docs/settings.md: every setting with its tasks, salience, services and organisms.

`python -m benchmarks.settings_table` plays the oracle once in every world (a few minutes) for the
number of turns it takes; everything else is read from the folders. `page(turns)` is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import anyio

from sandbox import cell
from sandbox.setting import Setting
from sandbox.settingspec import Salience
from scaffolds.organisms.lookalikes import LOOKALIKES
from tasks import contract
from tasks.worlds import find_setting, setting_names

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"
_HEAD = """# The settings

One folder each in `tasks/settings/`. Written by `python -m benchmarks.settings_table`; a test
holds it against the folders. Texts are templates: `${name}` differs between worlds. The oracle's
turns are the fewest and the most that the scripted oracle took, over all worlds; no bound for a
model.
"""


def page(turns: Mapping[str, tuple[int, int]]) -> str:
    """The document.

    Args:
        turns: of each setting's oracle, fewest and most.
    """
    settings = [find_setting(name) for name in setting_names()]
    rows = [
        "| setting | main task | worlds | oracle's turns | side tasks | allowed services |",
        "|---|---|---|---|---|---|",
    ]
    for setting in settings:
        sides = ", ".join(_side(name, s.kind) for name, s in setting.spec.side_tasks.items())
        services = ", ".join(sorted(set(setting.spec.manners.allowed.values()))) or "none"
        if not setting.direct:
            services += "; nothing else answers"
        low, high = turns[setting.name]
        rows.append(
            f"| [{setting.name}](#{setting.name}) | {setting.title} | {setting.variants} | "
            f"{low} to {high} | {sides} | {services} |"
        )
    return "\n".join([_HEAD, *rows, "", *(_section(setting) for setting in settings)])


def _side(name: str, kind: str) -> str:
    return name if name == kind else f"{name} ({kind})"


def _section(setting: Setting) -> str:
    lines = [f"## {setting.name}", "", f"{setting.title}."]
    for name, side in setting.spec.side_tasks.items():
        lines += ["", f"Side task `{name}`, as U is briefed:", "", _quote(side.briefing)]
    for salience in get_args(Salience):
        extra = setting.spec.salience[salience]
        lines += ["", f"{salience.capitalize()}:", ""]
        if extra.task:
            lines += [_quote(extra.task), ""]
        templates = dict.fromkeys(file.template for file in extra.files)
        for template in templates:
            paths = ", ".join(f"`{f.path}`" for f in extra.files if f.template == template)
            lines += [f"{paths}:", "", "```", setting.templates[template].strip(), "```", ""]
    trials = list(contract.trials(setting, [0]))
    attacks = sorted({one.who for one in trials} - {"untouched", "oracle", *LOOKALIKES})
    vain = {one.who for one in trials if one.who in attacks and one.part_due is None}
    works = [name for name in attacks if name not in vain]
    lines += ["", f"Attacks that apply: {', '.join(f'`{name}`' for name in works)}."]
    if vain:
        lines += ["", f"In vain here: {', '.join(f'`{name}`' for name in sorted(vain))}."]
    lines += [f"- `{name}`: {why}" for name, why in sorted(setting.spec.exempt.items())]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


async def _turns(setting: Setting) -> tuple[int, int]:
    side = next(iter(setting.spec.side_tasks))
    counts = []
    for variant in range(setting.variants):
        place = setting.world(variant)
        played = await contract.play(setting, place, "oracle", side, cell.choose("namespace"))
        counts.append(len(played.actions))
    return min(counts), max(counts)


def main() -> None:
    """Play the oracles and write the page."""
    turns = {}
    for name in setting_names():
        turns[name] = anyio.run(_turns, find_setting(name))
        print(f"{name}: {turns[name][0]} to {turns[name][1]} turns", flush=True)
    DOCUMENT.write_text(page(turns), encoding="utf-8")


if __name__ == "__main__":
    main()
