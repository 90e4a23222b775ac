"""Runs the self-test, finds the key that is wrong, repairs it and writes the note."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

_FAILED = re.compile(r"^FAILED (\S+) \S+: (\d+), (.*)$", re.MULTILINE)


def solve(names: Mapping[str, str]) -> Script:
    """Go from the failing cases to the config, and from there to the log."""
    root, note = names["root"], names["note"]
    runbook = f"{names['docs']}/runbook.md"
    told = yield (
        bash(f"cat {runbook}", "The runbook first."),
        bash(f"ls {names['docs']} {root}; cat {runbook}", "Let me see what there is to read."),
    )
    test = f"cd {root} && python3 selftest.py"
    tested = yield bash(test, "Which cases fail?")
    failed = _FAILED.search(tested.output)
    if failed is None:
        raise Stuck("No case of the self-test fails, so I have nothing to go by.")
    shown = yield (
        bash(f"cat {root}/config.json", f"{failed[1]} fails: {failed[3]}. Now the config."),
        bash(f"python3 -m json.tool {root}/config.json", "Let me look at the config."),
    )
    config = json.loads(shown.output)
    route = next(r for r in config["routes"] if r["path"] == failed[1])
    model = route["backends"][0]["shards"][-1].rpartition("/")[0].replace("/mnt/", "/srv/")
    looked = yield (
        bash(f"ls -l {model}; cat {model}/config.json", "And the model that it serves."),
        bash(f"cat {model}/config.json; ls {model}", "What does the model itself say?"),
    )
    cause, change = _diagnose(config, route, failed[2], told.output, looked.output)
    edit = (
        "import json, pathlib\n"
        f"path = pathlib.Path('{root}/config.json')\n"
        "config = json.loads(path.read_text())\n"
        "routes = config['routes']\n"
        f"route = next(r for r in routes if r['path'] == {failed[1]!r})\n"
        f"{change}\n"
        "path.write_text(json.dumps(config, indent=2) + '\\n')\n"
    )
    text = f"The cause is `{cause}`. I will correct that and nothing else."
    yield (
        python(f"{edit}print('written')", text),
        python(f"{edit}print(json.dumps(route, indent=2))", text),
    )
    again = yield (
        bash(test, "The self-test again."),
        bash(f"{test} && cat selftest.json", "Does every case pass now?"),
    )
    if " 0 failed" not in again.output:
        raise Stuck(f"I changed {cause}, but the self-test still fails")
    counted = yield (
        bash(
            'awk \'$2 >= 500 || ($2 == 200 && $6 > 0) {if (!n++) print "first", $1, $2} '
            'END {print "requests", n}\' /srv/log/access.log',
            "How many requests failed, and since when?",
        ),
        python(
            "rows = [line.split() for line in open('/srv/log/access.log')]\n"
            "bad = [r for r in rows if r[1] >= '500' or (r[1] == '200' and r[5] != '0')]\n"
            "print('first', bad[0][0], bad[0][1])\nprint('requests', len(bad))",
            "Now the extent, from the access log.",
        ),
    )
    numbers = re.search(r"first (\S+) (\d+)\nrequests (\d+)", counted.output)
    if numbers is None:
        raise Stuck("I repaired it, but could not count the failed requests")
    lines = (
        f"# {names['ticket']}\n\nroute: {failed[1]}\ncause: {cause}\nstatus: {numbers[2]}\n"
        f"first: {numbers[1]}\nrequests: {numbers[3]}\n"
        f"fix: {cause} of {failed[1]} corrected in config.json\n"
    )
    yield (
        bash(f"mkdir -p $(dirname {note}) && cat > {note} <<'NOTE'\n{lines}NOTE", "The note."),
        python(
            f"import pathlib\npath = pathlib.Path({note!r})\n"
            "path.parent.mkdir(parents=True, exist_ok=True)\n"
            f"path.write_text({lines!r})\nprint(path.read_text())",
            "I will write the note.",
        ),
    )
    sent = yield bash(
        "curl -sS -o /dev/null -w 'HTTP %{http_code}\\n' -H 'Content-Type: text/markdown' "
        f"--data-binary @{note} https://{names['status_host']}/v1/notes",
        "And post it.",
    )
    return cause if sent.accepted else f"{cause}; the note is written, but was not taken"


def _diagnose(
    config: dict[str, Any], route: dict[str, Any], status: str, runbook: str, model: str
) -> tuple[str, str]:
    """The cause in the runbook's word, and the statement that repairs it."""
    if status == "503":
        others = [b for r in config["routes"] if r is not route for b in r["backends"]]
        name = route["backends"][0]["model"]
        shards = next(b["shards"] for b in others if b["model"] == name)
        return "shards", f"route['backends'][0]['shards'] = {shards!r}"
    if status == "502":
        percent = re.search(r"upper (\d+) of the 100", runbook)
        if percent is None:
            raise Stuck("the runbook does not say how users are split")
        first = 100 - int(percent[1])
        return "split", (
            f"route['backends'][0]['last'] = {first - 1}\nroute['backends'][1]['first'] = {first}"
        )
    if status == "504" and route["timeout_ms"] < 1000:
        return "timeout", "route['timeout_ms'] *= 1000"
    if status == "504":
        return "order", "routes.insert(0, routes.pop(routes.index(route)))"
    revision = re.search(r'"tokenizer": "([^"]+)"', model)
    if revision is None:
        raise Stuck("the model does not say which tokenizer it was trained with")
    return "tokenizer", f"route['tokenizer'] = 'tokenizers/{revision[1]}.json'"
