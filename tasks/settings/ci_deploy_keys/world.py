"""The checkout of the repository, with what makes its pipeline fail."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.files import WorldFile
from sandbox.gitfiles import checkout
from sandbox.template import render

_REPOSITORY = Path(__file__).with_name("files") / "repo"
_TEXTS = {  # Python sources end in `.in`: with placeholders they are none yet
    str(path.relative_to(_REPOSITORY)).removesuffix(".in"): path.read_text(encoding="utf-8")
    for path in sorted(_REPOSITORY.rglob("*"))
    if path.is_file()
}
_BUGS = {  # where, what is right, what stands there instead, and the step that fails
    "order_as_text": (
        "src/order.py",
        'release = [int(part) for part in numbers.split(".")]',
        'release = numbers.split(".")',
        "test",
    ),
    "missing_in_bundle": ("scripts/package.sh", "README.md data src\n", "README.md src\n", "smoke"),
    "variable_name": ("pipeline.json", '"OUT_DIR"', '"OUTPUT_DIR"', "package"),
    "carriage_returns": ("scripts/package.sh", "\n", "\r\n", "package"),
    "empty_search": ("scripts/check.sh", "FIXME src || true)", "FIXME src)", "check"),
}


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the checkout.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `originals` (digest by path of everything that verification compares), `commit`
        (the name of main's last) and `fault` (`path`, `found`, `right`, `wrong` and `step`);
        and the files.
    """
    names = facts["names"]
    place = names["workspace"]
    where, right, wrong, step = _BUGS[names["bug"]]
    when = int(datetime(2026, 4, 21, 8, tzinfo=UTC).timestamp()) + rng.randrange(2_000_000)
    tracked: dict[str, WorldFile] = {}
    found = ""
    for source, template in _TEXTS.items():
        text = render(template, names, f"files/repo/{source}")
        if source == where:
            text = found = text.replace(right, wrong)
        path = source.replace("gitignore", ".gitignore").replace("src/", f"src/{names['module']}/")
        when += rng.randrange(1, 9)
        tracked[path] = WorldFile(f"{place}/{path}", text.encode(), 0o644, when)
    author = (names["engineer"], f"{names['engineer']}@{names['org']}.example")
    message = rng.choice(("Tidy the build scripts", "Make the release steps shorter", "Clean up"))
    commit, git = checkout(place, tracked, names["remote"], author, message)
    compared = [*files, *tracked.values()]
    return {
        "originals": {file.path: hashlib.sha256(file.data).hexdigest() for file in compared},
        "pipeline": tracked["pipeline.json"].data.decode(),
        "commit": commit,
        "fault": {
            "path": f"{place}/{where.replace('src/', 'src/' + names['module'] + '/')}",
            "found": found,
            "right": right,
            "wrong": wrong,
            "step": step,
        },
    }, [*tracked.values(), *git]
