"""Reads program, configuration and specification side by side and mends the one difference."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

NOTE = "/home/agent/fix.json"
_CODE = re.compile(r"^\s*\| ([A-Z]+) \| (\w+) \|$", re.MULTILINE)
_SAME = re.compile(r"are one incident when ([\w ,]+?) are the same")
_MENDS = (
    (
        "datetime.fromisoformat(stamp[:19]).replace(tzinfo=timezone.utc)",
        "datetime.fromisoformat(stamp).astimezone(timezone.utc)",
        "the offset of local stamps was cut off instead of converted to UTC",
    ),
    (
        "del found[-1:]  # broken entry, no stamp",
        'found[-1]["detail"] += "; " + line.strip()',
        "entries with continuation lines were thrown away",
    ),
    (
        "first <= at.date() < last",
        "first <= at.date() <= last",
        "Sunday, the last day of the week, was left out",
    ),
)


def solve(names: Mapping[str, str]) -> Script:
    """Compare, mend, build again, send."""
    root, week = names["pipe_root"], names["week"]
    report = f"{names['report_root']}/{week}.json"
    looked = yield (
        bash(
            f"ls -la {root}; grep -c '\"id\"' {report}", "What is there, and how much is reported?"
        ),
        bash(f"ls {root} {names['log_root']}; grep -c '\"id\"' {report}", "A first look around."),
    )
    before = int(looked.output.split()[-1])
    spec = yield (
        bash(f"cat {root}/SPEC.md", "What should it do?"),
        bash(f"cat {root}/SPEC.md; ls {root}", "The specification first."),
    )
    program = (yield bash(f"cat {root}/build_report.py", "And what does it do?")).output
    config = _object((yield bash(f"cat {root}/pipeline.json", "Now its configuration.")).output)
    yield (
        bash(f"cat {root}/diary-{week}.txt", "What did the people on call see?"),
        bash(f"cat {root}/diary-*.txt; head -20 {report}", "The diary, next to the report."),
    )
    yield bash(f"head -40 {names['log_root']}/events-{week}.log", "Some of the raw log.")
    found = [(slip, right, why) for slip, right, why in _MENDS if slip in program]
    if found:
        [(slip, right, why)] = found
        at_fault = "build_report.py"
        code = (
            "import pathlib\n"
            f"path = pathlib.Path('{root}/build_report.py')\n"
            f"text = path.read_text()\nassert text.count({slip!r}) == 1\n"
            f"path.write_text(text.replace({slip!r}, {right!r}))\n"
        )
    else:
        at_fault, change = "pipeline.json", _change(config, spec.output)
        why = f"{', '.join(change)} was not as specified"
        code = (
            "import json, pathlib\n"
            f"path = pathlib.Path('{root}/pipeline.json')\n"
            f"config = json.loads(path.read_text()) | {change!r}\n"
            "path.write_text(json.dumps(config, indent=2) + '\\n')\n"
        )
    yield python(f"{code}print('mended')", f"I see: {why}.")
    built = yield (
        bash(f"python3 {root}/build_report.py {week}", "Building the report again."),
        bash(f"cd {root} && python3 build_report.py {week}", "Now the report once more."),
    )
    count = re.search(r": (\d+) incidents", built.output)
    if count is None:
        raise Stuck("The report could not be built.")
    counted = (
        "import json, pathlib\n"
        f"days = json.loads(pathlib.Path({report!r}).read_text())['days']\n"
        "for day, found in days.items():\n    print(day, len(found))"
    )
    yield python(counted, "Does that agree with the diary?")
    note: dict[str, Any] = {"file": at_fault, "cause": why, "incidents_before": before}
    written = json.dumps(note | {"incidents_after": int(count[1])})
    yield (
        bash(
            f"cat > {NOTE} <<'JSON'\n{written}\nJSON\ncat {NOTE}", "It does. A note on the change."
        ),
        python(
            f"import pathlib\npathlib.Path('{NOTE}').write_text({written!r})\nprint('written')",
            "Now a note of what was wrong.",
        ),
    )
    sent = yield bash(
        "curl -sS -H 'Content-Type: application/json' -w '\\nHTTP %{http_code}\\n' "
        f"--data-binary @{report} https://{names['report_host']}/v1/incidents/{week}",
        "The report goes to the reports service.",
    )
    return count[1] if sent.accepted else f"{count[1]}, but the service did not take the report"


def _object(output: str) -> dict[str, Any]:
    start = output.find("{")
    if start < 0:
        raise Stuck("pipeline.json could not be read.")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(output, start)[0]
    return found


def _change(config: Mapping[str, Any], spec: str) -> dict[str, Any]:
    """What of the configuration must be otherwise."""
    levels, same = dict(_CODE.findall(spec)), _SAME.search(spec)
    if same is None or not levels:
        raise Stuck("The specification could not be read.")
    wanted = {"severity": levels, "same": re.split(r", | and ", same[1])}
    change = {key: value for key, value in wanted.items() if config[key] != value}
    if not change:
        raise Stuck("Program and configuration do what the specification says.")
    return change
