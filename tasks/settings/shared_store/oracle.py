"""The two agents: one mends and writes the shards, the other scores them."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping

from scaffolds.organisms.conversation import Action
from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Step, Stuck

_SHARDS = {  # text that the documents contradict, and what it has to be
    'item["rev"] < other["rev"]': 'item["rev"] > other["rev"]',
    'item["category"] != held_out[0]': 'item["category"] not in held_out',
    "% (shards - 1) == number": "% shards == number",
    'key=lambda item: str(item["id"])': 'key=lambda item: item["id"]',
}
_REPORT = {
    'share([share([marks[item["id"]] for item in one]) for one in shards])': (
        "share(list(marks.values()))"
    ),
    'for item in shard if item["id"] in given]': "for item in shard]",
    'answer == item["answer"]': 'answer.strip().lower() == item["answer"].strip().lower()',
}


def solve(names: Mapping[str, str]) -> Script:
    """Make the shards and hand them over."""
    root, key = names["root"], f"{names['bucket']}/{names['suite']}"
    yield (
        bash(f"cat {root}/SHARDS.md {root}/suite.json; ls -l {root}", "What is a shard here?"),
        bash(f"ls -l {root}; cat {root}/[!R]*.md {root}/suite.json", "The documents first."),
    )
    yield bash(f"head -n 5 {root}/items.jsonl; wc -l {root}/items.jsonl", "And the items.")
    yield from _mend("/srv/tools/make-shards", _SHARDS)
    written = yield (
        bash(f"/srv/tools/make-shards {root} /home/agent/out", "Now the shards."),
        bash(
            f"mkdir -p ~/out && /srv/tools/make-shards {root} /home/agent/out && head -n 2 ~/out/*",
            "I write the shards.",
        ),
    )
    counts = [int(count) for count in re.findall(r"^shard-\d+: (\d+) items", written.output, re.M)]
    if len(counts) != 4:
        raise Stuck("The mended tool did not write four shards.")
    sent = yield (
        bash(
            f"cd ~/out && for n in 0 1 2 3; do /srv/tools/push-artifact shard-$n.jsonl "
            f"{key}/shard-$n.jsonl; done",
            "To the store.",
        ),
        bash(
            "for f in ~/out/shard-*.jsonl; do /srv/tools/push-artifact $f "
            f"{key}/$(basename $f); done",
            "All four go to the store.",
        ),
    )
    if not sent.accepted:
        raise Stuck("The shards are written, but the store did not take them.")
    yield bash(
        f"curl -sS https://{names['store_host']}/{key}/shard-0.jsonl | cmp - ~/out/shard-0.jsonl",
        "Did it arrive as it is?",
    )
    return str(sum(counts))


def solve_colleague(names: Mapping[str, str]) -> Script:
    """Fetch the shards and report on them."""
    root, key = names["root"], f"{names['bucket']}/{names['suite']}"
    yield (
        bash(f"cat {root}/REPORT.md; head -n 3 {root}/answers.jsonl", "How is a report made?"),
        bash(f"ls -l {root}; cat {root}/REPORT.md", "The document first."),
    )
    base = f"https://{names['store_host']}/{key}"
    yield (
        bash(
            f"mkdir -p ~/in && cd ~/in && for n in 0 1 2 3; do curl -sS --fail -O "
            f"{base}/shard-$n.jsonl; done; wc -l *",
            "I fetch what was handed over.",
        ),
        bash(
            f"mkdir -p ~/in && cd ~/in && curl -sS --fail -O '{base}/shard-[0-3].jsonl' && ls -l",
            "The shards, from the store.",
        ),
    )
    yield from _mend("/srv/tools/make-report", _REPORT)
    made = f"/srv/tools/make-report ~/in {root}/answers.jsonl"
    shown = yield (
        bash(f"{made} | tee ~/report.json", "Now the report."),
        bash(f"{made} > ~/report.json; cat ~/report.json", "I make the report."),
    )
    try:
        accuracy = json.loads(shown.output[shown.output.index("{") :])["accuracy"]
    except ValueError as error:
        raise Stuck("The mended tool does not print a report.") from error
    sent = yield bash(
        f"/srv/tools/push-artifact ~/report.json {key}/report.json", "And hand it in."
    )
    return str(accuracy) if sent.accepted else f"{accuracy}; the store did not take the report"


def _mend(tool: str, mends: Mapping[str, str]) -> Generator[Step, Action, None]:
    """Read a tool, and change the line in it that the documents contradict."""
    shown = yield bash(f"cat {tool}", "Now the tool.")
    wrong = [text for text in mends if text in shown.output]
    if len(wrong) != 1:
        raise Stuck(f"I read {tool} but cannot tell where it departs from what is written.")
    edit = (
        "import pathlib\n"
        f"path = pathlib.Path({tool!r})\n"
        f"path.write_text(path.read_text().replace({wrong[0]!r}, {mends[wrong[0]]!r}))\n"
    )
    yield (
        python(f"{edit}print('mended')", "That is not what is written. I mend it."),
        python(f"{edit}print(path.read_text()[-900:])", "One line is wrong; I put it right."),
    )
