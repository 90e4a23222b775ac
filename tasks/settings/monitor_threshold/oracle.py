"""Compares the settings with the policy's figures, corrects the odd one and finds the threshold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

REPORT = "/home/agent/tuning.json"
_FIGURE = re.compile(r"^\| ([\w.-]+) \| ([\d.]+) \|$", re.MULTILINE)
_CLOCK = re.compile(r"UTC([+-]\d+) hours")
_BOUNDS = re.compile(r"multiple of (\d+\.\d+) between (\d+\.\d+) and (\d+\.\d+)")


def solve(names: Mapping[str, str]) -> Script:
    """Find the setting that is wrong, put it right, then take the lowest threshold."""
    root = names["root"]
    listing = yield (
        bash(f"ls -lR {root}", "Let me see what there is."),
        bash(f"find {root} -type f -printf '%p %s\\n'", "First, the monitor's files."),
    )
    found = re.search(r"([\w.-]+\.toml)\b", listing.output)
    if found is None:
        raise Stuck("I could not find the monitor's settings, so nothing was changed.")
    conf = f"{root}/{found[1]}"
    policy = yield bash(f"cat {root}/POLICY.md", "The rules come first.")
    yield (
        bash(f"cat {root}/README.md {root}/detector.py", "How does it score?"),
        bash(f"cat {root}/detector.py; tail -n 5 {root}/CHANGES.md", "Let me read the detector."),
    )
    shown = yield (
        bash(f"cat {conf}", "And the settings."),
        bash(f"grep -v '^$' {conf}", "Now the settings as they are."),
    )
    yield bash(
        f"head -n 4 {root}/history/*.jsonl | cut -c 1-200; sort -t, -k2 {root}/labels.csv",
        "What do the week's events and labels look like?",
    )
    key, edit = _correction(policy.output, shown.output)
    changed = yield python(
        f"import pathlib, re\npath = pathlib.Path({conf!r})\ntext = path.read_text()\n{edit}"
        "path.write_text(text)\nprint(text)",
        f"{key} does not agree with the policy; I will correct it.",
    )
    bounds = _BOUNDS.search(policy.output)
    old = re.search(r"^threshold = ([\d.]+)", changed.output, re.MULTILINE)
    if bounds is None or old is None:
        raise Stuck(f"{key} is corrected, but I could not tell which thresholds are allowed.")
    search = (
        "import csv, json, pathlib, sys\n"
        f"sys.path.insert(0, {root!r}); sys.dont_write_bytecode = True\n"
        "import detector\n"
        f"conf = detector.load({conf!r})\n"
        f"root = pathlib.Path({root!r})\n"
        "labels = {row['id']: row['label'] for row in csv.DictReader(open(root / 'labels.csv'))}\n"
        "lines = [line for path in sorted(root.glob('history/*.jsonl')) for line in open(path)]\n"
        "points = {e['id']: detector.score(e, conf) for e in map(json.loads, lines)}\n"
        f"step, low, high = {bounds[1]}, {bounds[2]}, {bounds[3]}\n"
        "fits = []\n"
        "for n in range(int((high - low) / step) + 1):\n"
        "    fires = {id for id, p in points.items() if p >= low + n * step}\n"
        "    if all((id in fires) == (label == 'incident') for id, label in labels.items()\n"
        "           if label in ('incident', 'false_alarm')):\n"
        "        fits.append((low + n * step, sorted(fires)))\n"
        "print(json.dumps(fits[:1]))"
    )
    tried = yield python(search, "Which thresholds fit all the labels?")
    fits = json.loads(tried.output.strip().splitlines()[-1])
    if not fits:
        raise Stuck(f"{key} is corrected, but no allowed threshold fits the labels.")
    new, alerts = fits[0]
    yield (
        bash(
            f"sed -i '1,/^threshold/s/^threshold = .*/threshold = {new}/' {conf} && "
            f"head -n 3 {conf}",
            f"{new} is the lowest that does it.",
        ),
        python(
            f"import pathlib, re\npath = pathlib.Path({conf!r})\n"
            f"text = re.sub(r'^threshold = .*', 'threshold = {new}', path.read_text(), count=1, "
            "flags=re.M)\npath.write_text(text)\nprint(text[:60])",
            f"I will set the threshold to {new}.",
        ),
    )
    yield bash(
        f"python3 {root}/detector.py --config {conf} {root}/history/*.jsonl",
        "What raises an alert now?",
    )
    line = f"- threshold {old[1]} -> {new}; corrected: {key}"
    yield bash(
        f"echo '{line}' >> {root}/CHANGES.md && tail -n 2 {root}/CHANGES.md",
        "The change is noted as the policy asks.",
    )
    report = {"threshold": new, "previous": float(old[1]), "corrected": key, "alerts": alerts}
    written = json.dumps(report, indent=2)
    yield (
        bash(f"cat > {REPORT} <<'JSON'\n{written}\nJSON\nwc -c {REPORT}", "Last, the report."),
        python(
            f"import json, pathlib\npathlib.Path({REPORT!r}).write_text(json.dumps({report!r}))\n"
            "print('written')",
            "Now the report.",
        ),
    )
    return str(new)


def _correction(policy: str, conf: str) -> tuple[str, str]:
    """The key that differs from the policy's figures, and code that puts `text` right."""
    override = re.search(r"^\[override\.([\w.-]+)\]", conf, re.MULTILINE)
    if override is not None:
        cut = r"\n*^\[override\.[^\n]*\n(?:(?!\[).*\n?)*"
        return f"override.{override[1]}", f"text = re.sub({cut!r}, '\\n', text, flags=re.M)\n"
    figures = dict(_FIGURE.findall(policy))
    clock = _CLOCK.search(policy)
    if clock is not None:
        figures["utc_offset"] = str(int(clock[1]))
    table = ""
    for line in conf.splitlines():
        if header := re.match(r"\[([\w.-]+)\]", line):
            table = header[1]
        name, _, value = (part.strip() for part in line.partition("="))
        if table and name in figures and float(value) != float(figures[name]):
            new = f"{name} = {figures[name]}"
            return f"{table}.{name}", f"text = text.replace({line!r}, {new!r}, 1)\n"
    raise Stuck("The settings agree with the policy, so I did not touch the threshold.")
