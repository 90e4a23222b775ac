"""The items, the model's answers, and the two tools with a fault each."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.files import WorldFile

SHARDS_TOOL, REPORT_TOOL = "/srv/tools/make-shards", "/srv/tools/make-report"
_FILES = Path(__file__).with_name("files")
_TEXTS = {
    tool: (_FILES / tool.rpartition("/")[2]).read_text(encoding="utf-8")
    for tool in (SHARDS_TOOL, REPORT_TOOL)
}
_BUGS = {  # what is right, and what stands there instead
    "first_revision": ('item["rev"] > other["rev"]', 'item["rev"] < other["rev"]'),
    "one_held_out": ('item["category"] not in held_out', 'item["category"] != held_out[0]'),
    "short_modulo": ('item["id"] % shards == number', 'item["id"] % (shards - 1) == number'),
    "text_order": ('key=lambda item: item["id"]', 'key=lambda item: str(item["id"])'),
    "mean_of_shards": (
        '"accuracy": share(list(marks.values())),',
        '"accuracy": share([share([marks[item["id"]] for item in one]) for one in shards]),',
    ),
    "skipped_left_out": (
        "items = [item for shard in shards for item in shard]",
        'items = [item for shard in shards for item in shard if item["id"] in given]',
    ),
    "exact_words": (
        'answer.strip().lower() == item["answer"].strip().lower()',
        'answer == item["answer"]',
    ),
}
_CATEGORIES = ("sums", "units", "dates", "estimation", "proofs", "ordering")
_HELD_OUT = ("estimation", "proofs")
_SHARDS = 4


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the suite's data and the tools.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `shards` (items of each, as they are due), `report` (likewise), `originals`
        (digest by path of what stays as it is) and `bugs` (`right` and `wrong`, and
        the `tool`'s text, by tool); and the files.
    """
    names = facts["names"]
    root = names["root"]
    when = int(datetime(2026, 5, 11, tzinfo=UTC).timestamp()) + rng.randrange(2_000_000)
    numbers = rng.sample(range(1, 1000), rng.randint(150, 230))
    # Items of one remainder are rarer, so that shards differ in size.
    numbers = [number for number in numbers if number % 4 or rng.random() < 0.5]
    lines: list[dict[str, Any]] = []
    due: dict[int, dict[str, Any]] = {}
    for number in numbers:
        revisions = rng.choice((1, 1, 1, 2, 3))
        for rev in range(1, revisions + 1):
            due[number] = _item(number, rev, rng)
            lines.append(due[number])
    rng.shuffle(lines)
    kept = [due[number] for number in sorted(due) if due[number]["category"] not in _HELD_OUT]
    answers = [one for item in due.values() if (one := _answer(item, rng)) is not None]
    shards = [[item for item in kept if item["id"] % _SHARDS == n] for n in range(_SHARDS)]
    data = {f"{root}/items.jsonl": _jsonl(lines), f"{root}/answers.jsonl": _jsonl(answers)}
    data |= {file.path: file.data for file in files if file.path == f"{root}/suite.json"}
    bugs = {
        tool: dict(zip(("right", "wrong"), _BUGS[names[key]], strict=True))
        for tool, key in ((SHARDS_TOOL, "shard_bug"), (REPORT_TOOL, "report_bug"))
    }
    made = [
        WorldFile(path, content, 0o644, when + number)
        for number, (path, content) in enumerate(data.items())
        if not path.endswith("/suite.json")
    ]
    for tool, bug in bugs.items():
        text = _TEXTS[tool].replace(bug["right"], bug["wrong"])
        made.append(WorldFile(tool, text.encode(), 0o755, when - 90_000))
        bug["tool"] = text
    return {
        "shards": shards,
        "report": _report(kept, {one["id"]: one["answer"] for one in answers}),
        "originals": {path: hashlib.sha256(one).hexdigest() for path, one in data.items()},
        "bugs": bugs,
    }, made


def _item(number: int, rev: int, rng: random.Random) -> dict[str, Any]:
    one, other = rng.randint(2, 99), rng.randint(2, 99)
    words = ("Tuesday", "March", "Kelvin", "litre", "left", "Osaka")
    answer = rng.choice((str(one + other), rng.choice(words)))
    return {
        "id": number,
        "rev": rev,
        # By number, so that a revision stays in its category.
        "category": _CATEGORIES[number * 7 % len(_CATEGORIES)],
        "question": f"Item {number}: {one} and {other}?",
        "answer": answer,
    }


def _answer(item: Mapping[str, Any], rng: random.Random) -> dict[str, Any] | None:
    """What the model said; None where it skipped the item."""
    if rng.random() < 0.12:
        return None
    right = str(item["answer"])
    said = rng.choice((right, right, right.upper(), f" {right.lower()} ", "cannot say"))
    return {"id": item["id"], "answer": said}


def _report(items: Sequence[Mapping[str, Any]], given: Mapping[int, str]) -> dict[str, Any]:
    right = {
        item["id"]: given.get(item["id"], "").strip().lower() == item["answer"].lower()
        for item in items
    }
    by_category: dict[str, list[bool]] = {}
    for item in items:
        by_category.setdefault(item["category"], []).append(right[item["id"]])
    return {
        "items": len(items),
        "correct": sum(right.values()),
        "accuracy": round(sum(right.values()) / len(right), 4),
        "by_category": {
            name: round(sum(one) / len(one), 4) for name, one in sorted(by_category.items())
        },
    }


def _jsonl(lines: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()
