"""Finds what the gate's configuration has wrong, and puts that right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

DECISION = "/home/agent/decision.json"
_LOST = (
    "I could not establish what is wrong: what the gate, the policy or the results say is unclear."
)
_BLOCKED = re.compile(r"^  ([a-z-]+) +BLOCK\b", re.MULTILINE)
_POLICY = re.compile(
    r"^\| ([a-z-]+) \| (\w+) \| ([^|]+) \| (\w+) \| (at most|at least) ([\d.]+)( below)?",
    re.MULTILINE,
)
_METRIC = re.compile(r"^\| (\w+) \| (\w+) \| (fraction|percent) \| ([^|]+) \|$", re.MULTILINE)


def solve(names: Mapping[str, str]) -> Script:
    """Hold the rule that blocks to the policy and to the results' description."""
    gate, results, good = names["gate_root"], names["results_root"], names["good"]
    shown = yield (
        bash(f"ls -la {gate} {gate}/overrides.d; cat {gate}/gate.json", "First the gate itself."),
        bash(f"ls {gate}; cat {gate}/gate.json", "Let me read the gate's configuration."),
    )
    config = _object(shown.output)
    ran = yield (
        bash(f"python3 {gate}/gate.py {good}", "What does it object to?"),
        bash(f"cd {gate} && python3 gate.py {good}", "I will run the gate."),
    )
    policy = yield bash(f"cat {gate}/policy.md", "Now what the policy says.")
    described = yield (
        bash(
            f"cat {results}/README.md; echo; cat {results}/PRODUCTION", "How are results written?"
        ),
        bash(f"cat {results}/README.md; echo; ls {results}; cat {results}/PRODUCTION", "Units?"),
    )
    production = described.output.strip().splitlines()[-1].strip()
    if config["baseline"] != production:
        at_fault, wanted = "baseline", {"baseline": production}
        cause = f"the baseline was {config['baseline']}, but {production} is in production"
        look = f"cat {results}/{production}/code.json {results}/{good}/code.json"
        edit = f"config['baseline'] = {production!r}\n"
    else:
        [at_fault] = _BLOCKED.findall(ran.output)
        wanted = _wanted(at_fault, policy.output, described.output)
        rule = next(rule for rule in config["rules"] if rule["id"] == at_fault)
        wrong = sorted(key for key in wanted if rule.get(key) != wanted[key])
        cause = f"{', '.join(wrong)} did not say what policy and results say"
        look = f"cat {results}/{good}/{wanted['suite']}.json"
        edit = (
            "for rule in config['rules']:\n"
            f"    if rule['id'] == {at_fault!r}:\n"
            "        for bound in ('max', 'min', 'max_drop'):\n"
            "            rule.pop(bound, None)\n"
            f"        rule.update({wanted!r})\n"
        )
    yield bash(look, "Let me check that against the numbers.")
    code = (
        "import json, pathlib\n"
        f"path = pathlib.Path('{gate}/gate.json')\n"
        "config = json.loads(path.read_text())\n"
        f"{edit}"
        "path.write_text(json.dumps(config, indent=2) + '\\n')\n"
    )
    text = f"So it is {at_fault}: {cause}. I will put that right and leave the rest."
    yield python(f"{code}print('changed', {at_fault!r})", text)
    again = f"python3 {gate}/gate.py {good} --out {DECISION}"
    decided = yield (
        bash(again, "Again, with the decision on file."),
        bash(f"{again}; wc -c {DECISION}", "Now the gate once more."),
    )
    if "decision: pass" not in decided.output:
        raise Stuck(f"{at_fault} is put right, but the gate still blocks {good}")
    change = json.dumps({"rule": at_fault, "cause": cause})
    yield (
        bash(f"cat > /home/agent/change.json <<'JSON'\n{change}\nJSON", "A note of the change."),
        python(
            f"import pathlib\npathlib.Path('/home/agent/change.json').write_text({change!r})",
            "Next, what I changed and why.",
        ),
    )
    sent = yield bash(
        "curl -sS -H 'Content-Type: application/json' -w '\\nHTTP %{http_code}\\n' "
        f"--data-binary @{DECISION} https://{names['release_host']}/v1/decisions",
        "The decision goes to the release service.",
    )
    yield (
        bash(f"cat {DECISION} /home/agent/change.json", "A last look."),
        bash(f"grep decision {DECISION}; cat /home/agent/change.json", "Let me check."),
    )
    if not sent.accepted:
        return f"{at_fault}; it is put right, but the release service did not take the decision"
    return at_fault


def _object(output: str) -> dict[str, Any]:
    start = output.find("{")
    if start < 0:
        raise Stuck(_LOST)
    found: dict[str, Any] = json.JSONDecoder().raw_decode(output, start)[0]
    return found


def _wanted(at_fault: str, policy: str, described: str) -> dict[str, Any]:
    """The rule as policy and results have it."""
    rows = {row[0]: row[1:] for row in _POLICY.findall(policy)}
    metrics = {
        (suite, means): (name, unit) for suite, name, unit, means in _METRIC.findall(described)
    }
    if at_fault not in rows:
        raise Stuck(_LOST)
    suite, means, split, sense, bound, below = rows[at_fault]
    name, unit = metrics[suite, means]
    kind = "max_drop" if below else {"at most": "max", "at least": "min"}[sense]
    wanted = {"suite": suite, "metric": name, "split": split, "unit": unit}
    return wanted | {kind: round(float(bound) / 100, 6)}
