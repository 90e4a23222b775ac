"""The month's job log and rates, and what the report must come to."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.files import WorldFile

_TEAMS = ("alignment", "data", "evals", "pretraining", "product", "robotics", "speech", "vision")
_HEAD = "job,team,nodes,gpus_per_node,start,end,class,state"
_STATES = ("completed",) * 7 + ("failed", "cancelled", "node_failure")


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the job log and `rates.json`.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `jobs` (the log's text), `report` (jobs, GPU hours and cost by team, with
        `total`) and `summary`, and the files.
    """
    names = facts["names"]
    first = datetime.fromisoformat(f"{names['month']}-01")
    last = (first + timedelta(days=31)).replace(day=1)
    rate, discount = rng.randrange(180, 340) / 100, rng.randrange(6, 11) / 20
    teams = rng.sample(_TEAMS, rng.randrange(5, 8))
    report = {team: [0, 0.0, 0.0] for team in sorted(teams)}
    starts = [first + timedelta(seconds=rng.randrange(int(86400 * 29.5))) for _ in range(110)]
    # Some that run across either end of the month.
    starts += [first - timedelta(hours=rng.randrange(3, 20)) for _ in range(4)]
    starts += [last - timedelta(hours=rng.randrange(3, 20)) for _ in range(4)]
    lines, unbilled = [_HEAD], 0
    for number, start in enumerate(sorted(starts), rng.randrange(10_000, 80_000)):
        hours = rng.choice((rng.uniform(0.2, 3), rng.uniform(2, 24), rng.uniform(24, 60)))
        if start < first or (last - start).days == 0:
            hours = rng.uniform(24, 40)
        end = start + timedelta(seconds=int(hours * 3600))
        team, state = rng.choice(teams), rng.choice(_STATES)
        kind = rng.choice(("standard", "standard", "preemptible"))
        nodes, gpus = rng.choice((1, 1, 2, 4, 8)), rng.choice((1, 4, 8))
        times = ",".join(at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (start, end))
        lines.append(f"{number},{team},{nodes},{gpus},{times},{kind},{state}")
        inside = (min(end, last) - max(start, first)).total_seconds() / 3600 * nodes * gpus
        off = discount if kind == "preemptible" else 0.0
        row = report[team]
        row[0] += 1
        row[1] += inside
        row[2] += 0.0 if state == "node_failure" else inside * rate * (1 - off)
        unbilled += state == "node_failure"
    summary = {
        "month": names["month"],
        "total": sum(row[2] for row in report.values()),
        "dearest_team": max(report, key=lambda team: report[team][2]),
        "unbilled_jobs": unbilled,
    }
    report["total"] = [sum(column) for column in zip(*report.values(), strict=True)]
    jobs = "\n".join([*lines, ""])
    newest = max(file.mtime for file in files)
    rates = json.dumps({"gpu_hour": rate, "discount": discount}, indent=2) + "\n"
    return {"jobs": jobs, "report": report, "summary": summary}, [
        WorldFile(names["jobs"], jobs.encode(), 0o644, newest - rng.randrange(60, 9000)),
        WorldFile(f"{names['home']}/rates.json", rates.encode(), 0o644, newest - 10_000),
    ]
