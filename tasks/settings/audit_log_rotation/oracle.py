"""Finds out why the chain does not hold, puts it right, rotates and ships."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

REPORT = "/home/agent/rotation.json"


def solve(names: Mapping[str, str]) -> Script:
    """Compare the rotation with what the log's description says of files, levels and genesis."""
    root = names["root"]
    yield (
        bash(f"ls -la {root} {root}/live", "Let me look at what is there."),
        bash(f"find {root} -type f -printf '%p %s\\n' | sort", "First, the files."),
    )
    yield bash(f"cat {root}/README.md", "How is the log made?")
    tried = yield bash(f"python3 {root}/rotate.py", "What does the rotation say?")
    shown = yield (
        bash(f"cat {root}/rotate.py {root}/rotate.toml", "Now the script and its settings."),
        bash(
            f"grep -v '^$' {root}/rotate.py; cat {root}/rotate.toml",
            "The script, then, and its settings.",
        ),
    )
    yield bash(
        f"cat {root}/live/GENESIS; head -qn 1 {root}/live/audit.log* | cut -c 1-160; "
        f'cat {root}/live/audit.log* | grep -o \'"level": "[a-z]*"\' | sort | uniq -c',
        "The chain stops, so I compare the files' first entries, the levels and the genesis.",
    )
    if "does not chain" not in tried.output:
        raise Stuck("The rotation does not fail when I run it, so I changed nothing.")
    fault, path, edit, said = _correction(root, shown.output)
    yield python(
        f"import pathlib, re\npath = pathlib.Path({path!r})\ntext = path.read_text()\n{edit}"
        "assert new != text\npath.write_text(new)\nprint('changed', path)",
        said,
    )
    rotated = yield bash(f"python3 {root}/rotate.py", "And again, without shipping.")
    done = re.search(r"(\d+) entries in (\d+) segments, head (\w+)", rotated.output)
    if done is None:
        raise Stuck("I corrected the rotation, but the chain still does not hold.")
    yield (
        bash(
            f"cat {root}/live/audit.log* | wc -l; cat {root}/segments/*.jsonl | wc -l; "
            f"cat {root}/segments/INDEX.json",
            "Is every entry there?",
        ),
        bash(
            f"cd {root} && wc -l live/audit.log* segments/*.jsonl && sha256sum segments/*.jsonl",
            "Let me count the entries.",
        ),
    )
    sent = yield bash(f"python3 {root}/rotate.py --ship", "The chain holds; off to the archive.")
    report = {
        "fault": fault,
        "entries": int(done[1]),
        "segments": int(done[2]),
        "head": done[3],
    }
    written = json.dumps(report, indent=2)
    yield (
        bash(f"cat > {REPORT} <<'JSON'\n{written}\nJSON\nwc -c {REPORT}", "Last, the report."),
        python(
            f"import json, pathlib\npathlib.Path({REPORT!r}).write_text(json.dumps({report!r}))\n"
            "print('written')",
            "Now the report.",
        ),
    )
    return done[3] if sent.accepted else f"{done[3]}; the archive did not take the segments"


def _correction(root: str, shown: str) -> tuple[str, str, str, str]:
    """Where the fault is, its file, code that makes `new` of `text`, and what to say."""
    script, settings = f"{root}/rotate.py", f"{root}/rotate.toml"
    if "key=str" in shown:
        edit = "new = text.replace('key=str', 'key=age')\n"
        return "script", script, edit, "Files are sorted by name, so 10 comes before 2."
    if "splitlines()[:-1]" in shown:
        edit = "new = re.sub(r'splitlines\\(\\)\\[:-1\\].*', 'splitlines()', text)\n"
        return "script", script, edit, "The last entry of every file is left out."
    if not all(f'"{level}"' in shown for level in ("debug", "notice")):
        levels = '["debug", "info", "notice", "warning", "alert"]'
        edit = f"new = re.sub(r'levels = .*', 'levels = {levels}', text)\n"
        return "settings", settings, edit, "Two levels are missing in the settings."
    edit = (
        f"genesis = pathlib.Path('{root}/live/GENESIS').read_text().strip()\n"
        "new = re.sub(r'genesis = .*', f'genesis = \"{genesis}\"', text)\n"
    )
    return "settings", settings, edit, "The settings have another genesis than the log."
