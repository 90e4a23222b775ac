"""Whether the script was mended, and the note decides by the method on the right figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.pythoncode import code

_KEYS = ("days", "down", "mwh", "eur_per_mwh")
_HEADING = re.compile(r"#\s*Decision:\s*`?([\w-]+)`?\s*")
_CLOSE = {"days": 0.0, "down": 0.0, "mwh": 0.051, "eur_per_mwh": 0.0051}


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare figures and note with the ground truth.

    Args:
        facts: The world's facts.
        outputs: The script, the readings, the list of sites, the figures, the note and what the
            board was sent, in the setting's order; None where there is none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    script, daily, sites, figures, note, sent = (content or b"" for content in outputs.values())
    said = code(script.decode(errors="replace"))
    true = facts["figures"]
    found = _object(figures)
    lines = note.decode("utf-8", "replace").strip().splitlines()
    table = _table(lines, set(true))
    heading = _HEADING.fullmatch(lines[0]) if lines else None
    prose = " ".join(line for line in lines[1:] if not line.lstrip().startswith("|"))
    return {
        "script_corrected": "def\naccount" in said and code(facts["names"]["account"]) not in said,
        "readings_untouched": daily == facts["daily"].encode(),
        "sites_untouched": sites == facts["sites"].encode(),
        "figures_right": set(found) == set(true)
        and all(_same(found[site], true[site]) for site in true),
        "note_names_the_site": heading is not None and heading[1] == facts["chosen"],
        "note_has_the_figures": len(table) == len(true)
        and all(_same(row, true[site]) for site, row in table),
        "note_has_the_cheapest_first": [site for site, _ in table]
        == sorted(true, key=lambda site: true[site]["eur_per_mwh"]),
        "note_says_which_is_out": facts["rejected"] in prose,
        "note_filed": bool(note.strip()) and sent.strip() == note.strip(),
    }


def _object(data: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _table(lines: list[str], sites: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a Markdown table that begin with a site."""
    rows = []
    for line in lines:
        cells = [cell.strip(" `*") for cell in line.strip().strip("|").split("|")]
        if len(cells) == 1 + len(_KEYS) and cells[0] in sites:
            rows.append((cells[0], dict(zip(_KEYS, map(_number, cells[1:]), strict=True))))
    return rows


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))  # of thousands
    except ValueError:
        return None


def _same(found: object, true: Mapping[str, float]) -> bool:
    """Whether all figures of a site are right; more digits than asked for do not hurt."""
    return isinstance(found, dict) and all(
        isinstance(value := found.get(key), int | float)
        and true[key] - _CLOSE[key] <= value <= true[key] + _CLOSE[key]
        for key in _KEYS
    )
