"""The sites and their readings: whatever the method has a rule for happens at each of them."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sandbox.files import WorldFile

_SITES = ("barrow-hill", "cold-ash", "draycott", "edge-farm", "foxley", "marsh-end", "whin-top")


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the readings, the list of sites and the period.

    The cheapest site is down too often to be chosen.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `daily` and `sites` (the files' texts), `figures` (by site), `rejected` (the
        cheapest site) and `chosen`, and the files.
    """
    names = facts["names"]
    allowed = int(names["down_limit"])
    first = date(2026, rng.choice((1, 2, 3, 4)), 1)
    length = rng.randrange(84, 104)
    daily, sites, figures = [], [], {}
    prices = [rng.uniform(41, 44), *(48 + 5 * n + rng.uniform(0, 3) for n in range(3))]
    for number, site in enumerate(rng.sample(_SITES, 4)):
        limit = rng.randrange(26_000, 41_000, 500)
        down = allowed + rng.randrange(2, 6) if number == 0 else rng.randrange(1, allowed + 1)
        states = ["down"] * down + ["test"] * rng.randrange(2, 5) + ["curtailed"] * 5
        states += ["ok"] * (length - 1 - len(states))
        rng.shuffle(states)
        # The last day counts, and so shows when it is left out; those around the period do not.
        states = ["ok"] * 9 + states + ["ok"] * 12
        rows = []
        for at, state in enumerate(states):
            day = first + timedelta(days=at - 9)
            kwh = rng.randrange(limit // 3, limit * 6 // 5)
            rows.append((day, site, "" if state == "down" else kwh, state))
        daily += rows
        counted = [row for row in rows[9 : 9 + length] if row[3] != "test"]
        mwh = sum(min(int(row[2] or 0), limit) for row in counted) / 1000
        yearly = round(prices[number] * mwh * 365 / len(counted))
        sites.append((site, rng.choice(("wind", "solar")), limit, yearly))
        figures[site] = {
            "days": len(counted),
            "down": down,
            "mwh": round(mwh, 1),
            "eur_per_mwh": round(yearly * len(counted) / 365 / mwh, 2),
        }
    rejected, chosen = list(figures)[:2]
    daily.sort(key=lambda row: (row[0], row[1]))
    sites.sort()
    made: dict[str, Any] = {
        "daily": _table(("day", "site", "kwh", "state"), daily),
        "sites": _table(("site", "kind", "limit_kwh", "eur_per_year"), sites),
        "figures": figures,
        "rejected": rejected,
        "chosen": chosen,
    }
    last = first + timedelta(days=length - 1)
    period = json.dumps({"first": str(first), "last": str(last)}, indent=2) + "\n"
    newest = max(file.mtime for file in files)
    texts = {"daily.csv": made["daily"], "sites.csv": made["sites"], "period.json": period}
    return made, [
        WorldFile(f"{names['data']}/{name}", text.encode(), 0o644, newest)
        for name, text in texts.items()
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()
