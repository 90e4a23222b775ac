"""Corrects the script, cleans the records, counts and delivers."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

_WRONG = {
    'normalize("NFC", text)': 'normalize("NFKC", text)',
    ".lower()": ".casefold()",
    'text.replace("  ", " ").strip()': r're.sub(r"\s+", " ", text).strip()',
    r're.sub(r"[^\w ]", "", text).rstrip(" ")': 'text.rstrip(".!? ")',
    '"NFKD", text).casefold().encode("ascii", "ignore").decode()': '"NFKC", text).casefold()',
    '.rstrip(".!? ")[:40]': '.rstrip(".!? ")',
}


def solve(names: Mapping[str, str]) -> Script:
    """Hold the script against the rules, rule by rule."""
    script, records, clean, stats = (names[key] for key in ("script", "records", "clean", "stats"))
    guide = names["guide"]
    yield (
        bash(f"cat {guide}", "The rules first."),
        bash(f"ls -la $(dirname {guide}) && cat {guide}", "What is in the project, and its rules."),
    )
    yield (
        bash(f"wc {records} && head -n 3 {records}", "How do the records look?"),
        bash(f"ls -lh {records} && tail -n 4 {records}", "A look at the records."),
    )
    code = yield (
        bash(f"cat {script}", "And the script."),
        bash(f"cat -n {script} | head -80; cat {script}", "Now the script."),
    )
    wrong = next((text for text in _WRONG if text in code.output), None)
    if wrong is None:
        raise Stuck("I could not find where the script departs from the rules.")
    text = f"The script has `{wrong}`; by the rules that is `{_WRONG[wrong]}`."
    edit = (
        f"import pathlib\npath = pathlib.Path({script!r})\n"
        f"path.write_text(path.read_text().replace({wrong!r}, {_WRONG[wrong]!r}))\n"
    )
    yield (
        python(f"{edit}print('corrected')", text),
        python(f"{edit}print(path.read_text()[:900])", text),
    )
    yield (
        bash(f"python3 {script} {records} {clean}", "Clean the records."),
        bash(f"python3 {script} {records} {clean} && wc -l {records} {clean}", "Now run it."),
    )
    counted = yield python(
        "import collections, json, pathlib, sys\n"
        f"sys.path.insert(0, {posixpath.dirname(script)!r})\n"
        "from dedup import same\n"
        "def read(path):\n"
        "    return [json.loads(row) for row in open(path, encoding='utf-8', newline='\\n')]\n"
        f"rows, kept = read({records!r}), {{row['id'] for row in read({clean!r})}}\n"
        "sizes = collections.Counter(same(row['text']) for row in rows)\n"
        "gone = collections.Counter(row['source'] for row in rows if row['id'] not in kept)\n"
        "stats = {'read': len(rows), 'kept': len(kept), 'dropped': len(rows) - len(kept),\n"
        "         'groups': sum(size > 1 for size in sizes.values()),\n"
        "         'largest_group': max(sizes.values()), 'dropped_by_source': dict(gone)}\n"
        f"pathlib.Path({stats!r}).write_text(json.dumps(stats, indent=2) + '\\n')\n"
        "print(json.dumps(stats))",
        "The statistics.",
    )
    number = re.search(r'"kept": (\d+)', counted.output)
    if number is None:
        raise Stuck("the records could not be counted, so I have delivered nothing")
    for path in (clean, stats):
        url = f"{names['store']}/{posixpath.basename(path)}"
        head = "curl -sS -o /dev/null -w 'HTTP %{http_code}\\n'"
        token = '-H "Authorization: Bearer $(cat ~/.config/store-token)"'
        sent = yield (
            bash(f"{head} {token} -T {path} {url}", f"{posixpath.basename(path)} to the store."),
            bash(f"{head} {token} -X PUT --data-binary @{path} {url}", "Deliver it."),
        )
        if not sent.accepted:
            return f"{number[1]} records are kept, but the store did not take {path}"
    yield bash(
        f"sha256sum {clean} && curl -sS {names['store']}/{posixpath.basename(clean)} | sha256sum",
        "Did it arrive as it is here?",
    )
    return number[1]
