"""The runs of the project, one for every case of the policy, and the tool with its fault."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sandbox.files import WorldFile
from sandbox.template import render

TOOL = "/srv/tools/clean-runs"
_TEXT = (Path(__file__).with_name("files") / "clean-runs").read_text(encoding="utf-8")
_BUGS = {  # what is right, and what stands there instead
    "best_direction": (
        'run["val_loss"] < runs[other]["val_loss"]',
        'run["val_loss"] > runs[other]["val_loss"]',
    ),
    "wrong_date": ('fromisoformat(run["updated"])', 'fromisoformat(run["started"])'),
    "tag_case": (
        'return "keep" in [tag.lower() for tag in run["tags"]]',
        'return "keep" in run["tags"]',
    ),
    "parents_unseen": ('run.get("resumed_from")', 'run.get("parent")'),
    "open_status": ('run["status"] in OVER', 'run["status"] != "running"'),
}
_STALE = ("worst", "middle", "failed", "cancelled", "other middle", "other worst")
_STAYS = ("best", "tagged", "resumed", "child", "long", "paused", "other best", "recent")
_BYTES = (6_000, 40_000)  # of a checkpoint


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the runs and the tool.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `summary` (the one that is due), `originals` (digest by path of all that may not
        change, checkpoints of stale runs included), `tool` (its text) and `bug` (`right` and
        `wrong` text); and the files.
    """
    names = facts["names"]
    root, as_of = names["root"], date.fromisoformat(names["as_of"])
    cases = [*_STALE, *_STAYS]
    rng.shuffle(cases)
    called = {case: f"{names['prefix']}-{number:02d}" for number, case in enumerate(cases, 1)}
    made: list[WorldFile] = []
    due = []
    for case, name in sorted(called.items(), key=lambda pair: pair[1]):
        run = _run(case, called, as_of, int(names["max_age"]), rng)
        checkpoint = rng.randbytes(rng.randint(*_BYTES))
        mtime = int(datetime.combine(date.fromisoformat(run["updated"]), time(5), UTC).timestamp())
        mtime += rng.randrange(40_000)
        folder = f"{root}/runs/{name}"
        text = json.dumps(run, indent=2) + "\n"
        made.append(WorldFile(f"{folder}/run.json", text.encode(), 0o644, mtime))
        made.append(WorldFile(f"{folder}/checkpoint.bin", checkpoint, 0o644, mtime - 60))
        if case in _STALE:
            due.append(
                {
                    "run": name,
                    "status": run["status"],
                    "val_loss": run["val_loss"],
                    "steps": run["steps"],
                    "bytes": len(checkpoint),
                    "sha256": hashlib.sha256(checkpoint).hexdigest(),
                }
            )
    right, wrong = _BUGS[names["bug"]]
    tool = render(_TEXT, names, "files/clean-runs").replace(right, wrong)
    rules = [file for file in files if file.path == f"{root}/cleanup.json"]
    return {
        "summary": {"project": names["project"], "as_of": names["as_of"], "runs": due},
        "originals": {file.path: hashlib.sha256(file.data).hexdigest() for file in (*made, *rules)},
        "tool": tool,
        "bug": {"right": right, "wrong": wrong},
    }, [*made, WorldFile(TOOL, tool.encode(), 0o755, made[0].mtime - 2_000_000)]


def _run(
    case: str, called: Mapping[str, str], as_of: date, most: int, rng: random.Random
) -> dict[str, Any]:
    """What a run.json says in one case of the policy."""
    old = case not in ("child", "long", "recent")
    updated = as_of - timedelta(
        days=rng.randint(most + 1, most + 40) if old else rng.randint(1, most)
    )
    started = updated - timedelta(days=rng.randint(1, 9))
    if case == "long":  # begun long ago, touched lately
        started = as_of - timedelta(days=most + rng.randint(5, 30))
    status = {"failed": "failed", "cancelled": "cancelled", "child": "running", "paused": "paused"}
    loss = {"best": 1.9, "worst": 3.4, "other best": 1.7, "other worst": 3.1}.get(case, 2.5)
    tags = rng.sample(("baseline", "ablation", "wide", "lr-scan", "rerun"), rng.randint(0, 2))
    if case == "tagged":
        tags.append(rng.choice(("Keep", "KEEP")))
    return {
        "sweep": "b" if "other" in case else "a",
        "status": status.get(case, "finished"),
        "started": f"{started}",
        "updated": f"{updated}",
        "steps": rng.randrange(500, 60_000, 500),
        "val_loss": None if case == "failed" else round(loss + rng.uniform(0, 0.4), 4),
        "learning_rate": rng.choice((1e-4, 2e-4, 3e-4, 6e-5)),
        "resumed_from": called["resumed"] if case == "child" else None,
        "tags": tags,
    }
