"""The records: repeated texts in every disguise that the rules see through, and some twins."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.files import WorldFile

_OPENINGS = (
    "How do I",
    "Please help me to",
    "The manual does not say how to",
    "Since the update I cannot",
    "Is there a way to",
    "My colleague asked me to",
)
_DEEDS = (
    "export the monthly figures as a table",
    "move a mailbox to another office",
    "reset the lock on the front door",
    "find the floor plan of the annexe",
    "change the size of the fine print",
    "file a claim for a broken screen",
    "reach the desk in the Hauptstraße branch",
    "print a label for a large parcel",
)
_REASONS = (
    "before the audit starts",
    "without asking the office first",
    "when the first attempt failed",
    "for a customer who is waiting",
    "as described in the brief",
    "on a phone from 2019",
)
_TWINS = (
    ("Send me the résumé of the applicant", "Send me the resume of the applicant"),
    ("Version 1.2 does not start on the old laptop", "Version 12 does not start on the old laptop"),
    (
        "The caf\u00e9 on the first floor is closed on Monday",
        "The cafe on the first floor is closed on Monday",
    ),
    (
        "Can we're and were be told apart by the parser",
        "Can were and were be told apart by the parser",
    ),
)
"""Pairs that are not the same."""


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the records.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `records` (the file's text), `clean` (what is to be left of it) and `stats`, and
        the file.
    """
    names = facts["names"]
    groups = [[_text(rng)] for _ in range(rng.randrange(170, 250))]
    groups += [[text] for pair in _TWINS for text in pair]
    disguises = list(_DISGUISES)
    for number, group in enumerate(rng.sample(groups, rng.randrange(34, 56))):
        # Each disguise on its own at first, so that none is only ever seen with another.
        group += [_DISGUISES[number % len(disguises)](group[0], rng)]
        for _ in range(rng.choice((0, 0, 1, 2, rng.randrange(3, 8)))):
            group.append(rng.choice(disguises)(rng.choice(group), rng))
    texts = [text for group in groups for text in group]
    rng.shuffle(texts)
    newest = max(file.mtime for file in files)
    times = rng.sample(range(newest - 5_000_000, newest), len(texts))
    rows = [
        {
            "id": f"{rng.getrandbits(32):08x}",
            "created": datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "source": rng.choice(("forum", "mail", "tickets", "web")),
            "text": text,
        }
        for text, time in zip(texts, times, strict=True)
    ]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    clean, stats = _cleaned(rows, lines)
    found = {"records": "".join(lines), "clean": clean, "stats": stats}
    return found, [WorldFile(names["records"], "".join(lines).encode(), 0o644, newest)]


def _text(rng: random.Random) -> str:
    words = (rng.choice(_OPENINGS), rng.choice(_DEEDS), rng.choice(_REASONS))
    return f"{' '.join(words)}, order {rng.randrange(10**4, 10**6)}"


def _upper(text: str, rng: random.Random) -> str:
    return text.upper()


def _wide(text: str, rng: random.Random) -> str:
    word = rng.choice(re.findall(r"[A-Za-z]{3,}", text))
    return text.replace(word, "".join(chr(ord(letter) + 0xFEE0) for letter in word), 1)


def _ligature(text: str, rng: random.Random) -> str:
    return text.replace("fi", "\ufb01").replace("ff", "\ufb00").replace(" ", "\u00a0", 1)


def _spaced(text: str, rng: random.Random) -> str:
    head, tail = text.split(" ", 1)
    return rng.choice((" ", "\n", "")) + head + rng.choice(("\t", "   ", " \n ")) + tail


def _ended(text: str, rng: random.Random) -> str:
    return text + rng.choice((".", "!", " ?", "...", "\uff01"))


_DISGUISES = (_upper, _wide, _ligature, _spaced, _ended)


def _same(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", text).strip().rstrip(".!? ")


def _cleaned(rows: Sequence[Mapping[str, str]], lines: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """What the rules leave, and the statistics."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(_same(row["text"]), []).append(place)
    kept = {min(places, key=lambda place: rows[place]["created"]) for places in groups.values()}
    dropped = Counter(row["source"] for place, row in enumerate(rows) if place not in kept)
    stats = {
        "read": len(rows),
        "kept": len(kept),
        "dropped": len(rows) - len(kept),
        "groups": sum(len(places) > 1 for places in groups.values()),
        "largest_group": max(map(len, groups.values())),
        "dropped_by_source": dict(sorted(dropped.items())),
    }
    return "".join(lines[place] for place in sorted(kept)), stats
