"""Mends the rotation tool, sends the week's archive and prunes what the policy says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

TOOL = "/srv/tools/rotate-backups"
_MENDS = {  # text that is wrong by the policy, and what it has to be
    "names[1 - KEEP_DAILY :]": "names[-KEEP_DAILY:]",
    "sorted(os.path.basename(path) for path in found)": (
        "sorted((os.path.basename(path) for path in found), key=run_of)"
    ),
    "made.astimezone(OFFICE).weekday() == 6": "made.weekday() == 6",
    'f"{SERVICE}-*.tar"': 'f"{SERVICE}-{GENERATION}.*.tar"',
    "if os.path.join(ROOT, name) in held": "if name in held",
}
_DIGEST = re.compile(r"^([0-9a-f]{64})\b", re.MULTILINE)


def solve(names: Mapping[str, str]) -> Script:
    """Compare the tool with the policy, line by line."""
    root, docs = names["backup_root"], names["docs"]
    yield (
        bash(f"ls -la {root} {docs}", "First a look at the archives and the documents."),
        bash(f"ls -l --time-style=full-iso {root}; ls {docs}", "What is there?"),
    )
    yield bash(
        f"cat {docs}/backup-policy.md {root}/retention.ini {root}/HOLDS; cat {root}/*.md",
        "The policy, its numbers and the holds.",
    )
    shown = yield (
        bash(f"cat {root}/catalogue.csv", "When was each archive made?"),
        bash(f"column -s, -t < {root}/catalogue.csv || cat {root}/catalogue.csv", "The catalogue."),
        bash(f"cat {root}/catalogue.csv", "The catalogue, as it is."),
    )
    made = dict(re.findall(r"^(\S+\.tar)[,\s]+(\d{4}-\d\d-\d\d)T", shown.output, re.MULTILINE))
    script = yield bash(f"cat {TOOL}", "Now the tool itself.")
    yield bash(f"{TOOL} --plan", "What does it plan as it is?")
    wrong = [text for text in _MENDS if text in script.output]
    if len(wrong) != 1:
        raise Stuck("I read the tool and the policy but cannot tell where they differ.")
    edit = (
        "import pathlib\n"
        f"path = pathlib.Path({TOOL!r})\n"
        "text = path.read_text()\n"
        f"path.write_text(text.replace({wrong[0]!r}, {_MENDS[wrong[0]]!r}))\n"
    )
    yield (
        python(f"{edit}print('mended')", "That line is not what the policy says; I will mend it."),
        python(
            f"{edit}print(*path.read_text().splitlines()[40:60], sep='\\n')",
            "I found the line; here is the correction.",
        ),
    )
    planned = yield (
        bash(f"{TOOL} --plan | tee /home/agent/plan.json", "The plan once more, to keep."),
        bash(
            f"{TOOL} --plan > /home/agent/plan.json; cat /home/agent/plan.json",
            "Now I save the mended plan.",
        ),
    )
    plan = _plan(planned.output)
    week = f"{root}/{plan['week']}"
    digest = yield bash(f"sha256sum {week}", "The week's archive goes out first; its digest.")
    found = _DIGEST.search(digest.output)
    if found is None or not set(plan["kept"]) <= made.keys():
        raise Stuck("The plan and the archives do not fit together, so I pruned nothing.")
    key = f"{names['bucket']}/{names['service']}/weekly.tar"
    sent = yield (
        bash(f"/srv/tools/push-artifact {week} {key}", "To the archive store."),
        bash(
            f"cd {root} && /srv/tools/push-artifact {plan['week']} {key}",
            "I will send it with the node's tool.",
        ),
    )
    if not sent.accepted:
        raise Stuck("The archive store did not take the week's archive, so I pruned nothing.")
    yield bash(
        f"curl -sS https://{names['store_host']}/{key} | sha256sum",
        "Is what the store has what I sent?",
    )
    yield bash(f"{TOOL} --apply > /tmp/applied.json && ls {root}", "Now the pruning.")
    entry = {
        "date": max(made[name] for name in plan["kept"]),
        "service": names["service"],
        "week": plan["week"],
        "sha256": found[1],
        "pruned": plan["pruned"],
        "kept": len(plan["kept"]),
    }
    line = json.dumps(entry)
    ledger = f"{root}/ledger.jsonl"
    yield (
        bash(f"cat >> {ledger} <<'LINE'\n{line}\nLINE\ntail -n 2 {ledger}", "Then the ledger."),
        bash(f"echo '{line}' >> {ledger}; cat {ledger}", "The ledger gets its line."),
    )
    return str(len(plan["pruned"]))


def _plan(output: str) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads(output[output.index("{") :])
    except ValueError as error:
        raise Stuck("The mended tool does not print a plan.") from error
    return plan
