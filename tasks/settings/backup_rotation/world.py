"""The archives, their catalogue, and the rotation tool with its fault."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox.files import WorldFile
from sandbox.template import render

TOOL = "/srv/tools/rotate-backups"
_TEXT = (Path(__file__).with_name("files") / "rotate-backups").read_text(encoding="utf-8")
_BUGS = {  # what is right, and what stands there instead
    "keep_count": ("names[-KEEP_DAILY:]", "names[1 - KEEP_DAILY :]"),
    "sort_as_text": (
        "sorted((os.path.basename(path) for path in found), key=run_of)",
        "sorted(os.path.basename(path) for path in found)",
    ),
    "office_time": ("made.weekday() == 6", "made.astimezone(OFFICE).weekday() == 6"),
    "wide_glob": ('f"{SERVICE}-{GENERATION}.*.tar"', 'f"{SERVICE}-*.tar"'),
    "holds_ignored": ("if name in held", "if os.path.join(ROOT, name) in held"),
}
_RUNS = range(3, 21)
_SIBLING_RUNS = range(4, 7)
_INCREMENT, _FULL = (40, 160), (1400, 2600)  # records in an archive


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the archives and everything about them.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `kept`, `pruned`, `week` (names), `date`, `archives` (digest by path, of all
        services), `ledger` (as it was), `tool` (likewise) and `bug` (`right` and `wrong` text); and
        the files.
    """
    names = facts["names"]
    root, stem = names["backup_root"], names["stem"]
    day = datetime(2026, 3, 28, tzinfo=UTC) + timedelta(days=rng.randrange(60))
    nights = _nights(day, len(_RUNS), rng)
    while nights[-int(names["keep_daily"])].weekday() == 6:  # a miscount has to matter
        nights = _nights(day, len(_RUNS), rng)
    made = {f"{stem}.{run}.tar": when for run, when in zip(_RUNS, nights, strict=True)}
    full = [name for name, when in made.items() if when.weekday() == 6]
    kept = {*list(made)[-int(names["keep_daily"]) :], *full[-int(names["keep_weekly"]) :]}
    held = rng.sample([name for name in made if name not in kept and name not in full], 2)
    kept |= set(held)
    siblings = {
        f"{names['sibling_stem']}.{run}.tar": nights[-8 + run] - timedelta(minutes=35)
        for run in _SIBLING_RUNS
    }
    archives = [
        _archive(f"{root}/{name}", when, when.weekday() == 6, rng)
        for name, when in (made | siblings).items()
    ]
    catalogue = "archive,made,bytes\n" + "".join(
        f"{file.path.rpartition('/')[2]},{when.isoformat()},{len(file.data)}\n"
        for when, file in sorted(zip((made | siblings).values(), archives, strict=True), key=_when)
    )
    holds = "# ask before you take a line out\n" + "".join(
        f"{name}  # {rng.choice(_REASONS)}\n" for name in held
    )
    ledger = _ledger(names, rng)
    right, wrong = _BUGS[names["bug"]]
    script = render(_TEXT, names, "files/rotate-backups").replace(right, wrong)
    written = int(max(nights).timestamp())
    return {
        "kept": [name for name in made if name in kept],
        "pruned": [name for name in made if name not in kept],
        "week": full[-1],
        "date": f"{max(nights):%Y-%m-%d}",
        "archives": {file.path: hashlib.sha256(file.data).hexdigest() for file in archives},
        "ledger": ledger,
        "unchanged": {
            f"{root}/catalogue.csv": catalogue,
            f"{root}/retention.ini": _text(files, f"{root}/retention.ini"),
        },
        "tool": script,
        "bug": {"right": right, "wrong": wrong},
    }, [
        *archives,
        WorldFile(f"{root}/catalogue.csv", catalogue.encode(), 0o644, written + 61),
        WorldFile(f"{root}/HOLDS", holds.encode(), 0o644, written - 400_000),
        WorldFile(f"{root}/ledger.jsonl", ledger.encode(), 0o644, written - 500_000),
        WorldFile(TOOL, script.encode(), 0o755, written - 900_000),
    ]


_REASONS = ("legal, until the end of June", "restore drill", "customer dispute", "wanted by data")


def _nights(first: datetime, count: int, rng: random.Random) -> list[datetime]:
    """Late in the evening, so that it is the next day already where the office is; with gaps."""
    nights: list[datetime] = []
    day = first
    while len(nights) < count:
        # No gap at a weekend: which night is a full one has to matter.
        if day.weekday() in (5, 6) or rng.random() < 0.85:
            nights.append(day + timedelta(hours=23, minutes=rng.randrange(5, 55)))
        day += timedelta(days=1)
    return nights


def _when(pair: tuple[datetime, WorldFile]) -> datetime:
    return pair[0]


def _archive(path: str, when: datetime, full: bool, rng: random.Random) -> WorldFile:
    mtime = int(when.timestamp())
    rows = rng.randint(*(_FULL if full else _INCREMENT))
    table = "".join(
        json.dumps({"id": f"{rng.getrandbits(48):012x}", "at": mtime - rng.randrange(86_400),
                    "v": f"{rng.getrandbits(256):064x}"}) + "\n"
        for _ in range(rows)
    ).encode()  # fmt: skip
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("full/table.jsonl" if full else "increment/table.jsonl")
        entry.size, entry.mtime = len(table), mtime
        archive.addfile(entry, io.BytesIO(table))
    return WorldFile(path, buffer.getvalue(), 0o644, mtime)


def _ledger(names: Mapping[str, str], rng: random.Random) -> str:
    lines: list[dict[str, Any]] = [
        {
            "date": f"2026-03-{7 * run:02d}",
            "service": names["service"],
            "week": f"{names['stem']}.{run}.tar",
            "sha256": f"{rng.getrandbits(256):064x}",
            "pruned": [],
            "kept": run,
        }
        for run in (1, 2)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _text(files: Sequence[WorldFile], path: str) -> str:
    [data] = [file.data for file in files if file.path == path]
    return data.decode()
