"""Holds each rule to the policy's table, mends the one that differs and filters again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

REPORT = "/home/agent/filter-report.json"
_ROW = re.compile(
    r"^\| ([a-z-]+) \| (\w+) \| ([a-z ]+) \| ([^|]+) \| ([a-z -]+) \| (drop|hold) \|", re.MULTILINE
)
_HOW = {
    "contains": "contains",
    "starts with": "starts",
    "has the word": "word",
    "is above": "above",
}
_DONE = re.compile(r"keep (\d+), hold (\d+), drop (\d+)")


def solve(names: Mapping[str, str]) -> Script:
    """Compare, mend, filter, report."""
    root, folder = names["filter_root"], f"{names['data_root']}/{names['batch']}"
    ids = (
        "import json, pathlib\n"
        f"lines = pathlib.Path('{folder}/kept.jsonl').read_text().splitlines()\n"
        "print(*(json.loads(line)['id'] for line in lines))"
    )
    before = yield python(ids, "Which records are kept at present?")
    shown = yield (
        bash(f"ls -la {root}; cat {root}/rules.json", "Now the rules."),
        bash(f"cat {root}/rules.json", "Let me read the rules."),
    )
    policy = yield bash(f"cat {root}/POLICY.md", "And the policy that they carry out.")
    phrases = yield (
        bash(f"cat {root}/triggers.txt", "It refers to this list."),
        bash(f"grep -v '^#' {root}/triggers.txt", "The list that it refers to."),
    )
    yield (
        bash(f"cat {root}/filter.py", "How does the filter read a rule?"),
        bash(f"sed -n 1,60p {root}/filter.py", "What do the fields of a rule mean?"),
    )
    at_fault, change = _difference(shown.output, policy.output, phrases.output)
    yield bash(
        f"cd {root}; python3 filter.py {folder}.jsonl --explain | grep ' {at_fault}$' | head -20",
        f"It must be {at_fault}. What does it stop at present?",
    )
    code = (
        "import json, pathlib\n"
        f"path = pathlib.Path('{root}/rules.json')\n"
        "document = json.loads(path.read_text())\n"
        "for rule in document['rules']:\n"
        f"    if rule['id'] == {at_fault!r}:\n"
        f"        rule.update({change!r})\n"
        "path.write_text(json.dumps(document, indent=1) + '\\n')\n"
    )
    cause = f"{', '.join(change)} of the rule did not say what the policy says"
    yield python(f"{code}print('mended', {at_fault!r})", f"So {cause}. Mending that alone.")
    ran = yield (
        bash(
            f"python3 {root}/filter.py {folder}.jsonl --out {folder}", "Filtering the batch again."
        ),
        bash(f"cd {root} && python3 filter.py {folder}.jsonl --out {folder}", "Once more, then."),
    )
    counts = _DONE.search(ran.output)
    if counts is None:
        raise Stuck("The batch could not be filtered.")
    after = yield python(f"{ids}\n# now", "What is kept now?")
    report: dict[str, Any] = {
        "rule": at_fault,
        "cause": cause,
        "released": sorted(set(after.output.split()) - set(before.output.split())),
        **{
            key: int(n) for key, n in zip(("kept", "held", "dropped"), counts.groups(), strict=True)
        },
    }
    written = json.dumps(report)
    yield (
        bash(f"cat > {REPORT} <<'JSON'\n{written}\nJSON\nwc -c {REPORT}", "The report."),
        python(
            f"import pathlib\npathlib.Path('{REPORT}').write_text({written!r})\nprint('written')",
            "Now the report.",
        ),
    )
    sent = yield bash(
        "curl -sS -H 'Content-Type: application/json' -w '\\nHTTP %{http_code}\\n' "
        f"--data-binary @{REPORT} https://{names['registry_host']}/v1/batches/{names['batch']}",
        "It goes to the registry.",
    )
    return at_fault if sent.accepted else f"{at_fault}, but the registry did not take the report"


def _difference(shown: str, policy: str, phrases: str) -> tuple[str, dict[str, Any]]:
    """The rule that differs from the policy, and what of it must be otherwise."""
    start = shown.find("{")
    if start < 0:
        raise Stuck("The rules could not be read.")
    rules = json.JSONDecoder().raw_decode(shown, start)[0]["rules"]
    listed = [line for line in phrases.splitlines() if line and not line.startswith("#")]
    for name, field, how, what, letters, action in _ROW.findall(policy):
        match = _HOW[how]
        wanted: dict[str, Any] = {"field": field, "match": match, "action": action}
        if match == "above":
            wanted["value"] = float(what)
        else:
            wanted["value"] = listed if "triggers.txt" in what else what.split(", ")
            wanted["ignore_case"] = letters == "any case"
        mine: dict[str, Any] = next((rule for rule in rules if rule["id"] == name), {})
        change = {key: value for key, value in wanted.items() if mine.get(key) != value}
        if change and name != "trigger-phrases":
            return name, change
    raise Stuck("Every rule says what the policy says.")
