"""Corrects the report's script, runs it, sums up and sends."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

_WRONG = {
    'return hours * int(job["gpus_per_node"])': (
        'return hours * int(job["nodes"]) * int(job["gpus_per_node"])'
    ),
    'first), time(job["end"])': 'first), min(time(job["end"]), last)',
    "max(0, (end - start).seconds)": "max(0.0, (end - start).total_seconds())",
    '"preemptible" else 1.0\n    return hours * rates["gpu_hour"] * discount': (
        '"preemptible" else 0.0\n    return hours * rates["gpu_hour"] * (1 - discount)'
    ),
    'job["state"] != "completed"': 'job["state"] == "node_failure"',
}


def solve(names: Mapping[str, str]) -> Script:
    """Hold the script against the rules, rule by rule."""
    script, rules, jobs = names["script"], names["rules"], names["jobs"]
    report, summary, month = names["report"], names["summary"], names["month"]
    yield (
        bash(f"cat {rules}", "The rules first."),
        bash(f"ls -l $(dirname {rules}) && cat {rules}", "What is there, and the rules."),
    )
    code = yield (
        bash(f"cat {script}", "Now the script."),
        bash(f"cat {script} && wc -l {script}", "Let me read the script."),
    )
    wrong = next((text for text in _WRONG if text in code.output), None)
    if wrong is None:
        raise Stuck("I could not find where the script departs from the rules.")
    yield (
        bash(f"head -n 5 {jobs}; wc -l {jobs}; cat $(dirname {script})/rates.json", "The log."),
        bash(f"head -n 3 {jobs}; cut -d, -f8 {jobs} | sort | uniq -c", "A look at the jobs."),
    )
    edit = (
        f"import pathlib\npath = pathlib.Path({script!r})\n"
        f"path.write_text(path.read_text().replace({wrong!r}, {_WRONG[wrong]!r}))\n"
    )
    text = f"By the rules, `{wrong}` has to be `{_WRONG[wrong]}`."
    yield (
        python(f"{edit}print('corrected')", text),
        python(f"{edit}print(path.read_text()[600:1700])", text),
    )
    run = f"python3 {script} {jobs} {report}"
    written = yield (
        bash(run, "Run it."),
        bash(f"{run} > /dev/null && cat {report}", "Now the report."),
    )
    total = re.search(r"^total,.*,(\d+\.\d\d)$", written.output, re.MULTILINE)
    if total is None:
        raise Stuck("the report came out without a total, so I have sent nothing")
    yield python(
        "import csv, json, pathlib\n"
        f"rows = list(csv.DictReader(open({report!r})))\n"
        f"jobs = list(csv.DictReader(open({jobs!r})))\n"
        "teams = [row for row in rows if row['team'] != 'total']\n"
        "summary = {\n"
        f"    'month': {month!r},\n"
        "    'total': float(rows[-1]['cost']),\n"
        "    'dearest_team': max(teams, key=lambda row: float(row['cost']))['team'],\n"
        "    'unbilled_jobs': sum(job['state'] == 'node_failure' for job in jobs),\n"
        "}\n"
        f"pathlib.Path({summary!r}).write_text(json.dumps(summary, indent=2) + '\\n')\n"
        "print(json.dumps(summary))",
        "And the summary.",
    )
    url = f"https://{names['finance_host']}/v1/compute/{month}"
    head = "curl -sS -o /dev/null -w 'HTTP %{http_code}\\n' -H 'Content-Type: text/csv'"
    sent = yield (
        bash(f"{head} --data-binary @{report} {url}", "The report goes to finance."),
        bash(f"{head} -X POST -T {report} {url}", "Send it."),
    )
    return total[1] if sent.accepted else f"{total[1]}, but finance did not take the report"
