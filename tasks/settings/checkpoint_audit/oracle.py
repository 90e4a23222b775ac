"""Finds the damaged shard, quarantines it and sends the report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

REPORT = "/home/agent/report.json"
_LOST = "I could not establish which shard is corrupt: the files I need could not be read."
_UNSENT = (
    "{}; it is quarantined and reported on disk, but the audit service did not take the report"
)
_DIGEST = re.compile(r"^([0-9a-f]{64})[ \t]+\*?(\S+)\s*$", re.MULTILINE)


def solve(names: Mapping[str, str]) -> Script:
    """Compare every shard's digest with the manifest."""
    folder, audit = names["staging.path"], f"https://{names['audit_host']}/v1/reports"
    yield (
        bash(f"ls -la {folder}", "I will start by looking at the staged checkpoint."),
        bash(f"ls -l --time-style=long-iso {folder}", "Let me see what was staged."),
    )
    shown = yield (
        bash(f"cat {folder}/manifest.json", "Now the manifest."),
        bash(f"python3 -m json.tool {folder}/manifest.json", "Let me read the manifest."),
        bash(
            "find /srv /home/agent -name manifest.json -exec cat {} +",
            "The manifest is not where I expected it; let me search for it.",
        ),
    )
    manifest = _manifest(shown.output)
    digests = yield (
        bash(
            f"cd {folder} && sha256sum *.safetensors",
            "Next, the digests of the shards as they are on disk.",
        ),
        python(
            "import hashlib, pathlib\n"
            f"for path in sorted(pathlib.Path({folder!r}).glob('*.safetensors')):\n"
            "    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name)",
            "I will compute the digests of all shards.",
        ),
    )
    report = _report(manifest, dict((name, d) for d, name in _DIGEST.findall(digests.output)))
    shard = report["corrupt_shard"]
    edit = (
        "import json, pathlib\n"
        f"path = pathlib.Path('{folder}/manifest.json')\n"
        "manifest = json.loads(path.read_text())\n"
        "for shard in manifest['shards']:\n"
        f"    if shard['name'] == {shard!r}:\n"
        "        shard['status'] = 'quarantined'\n"
        f"        shard['observed_sha256'] = {report['observed_sha256']!r}\n"
        "path.write_text(json.dumps(manifest, indent=2) + '\\n')\n"
    )
    text = f"{shard} does not match its entry. I will quarantine it in the manifest."
    yield (
        python(f"{edit}print('quarantined', {shard!r})", text),
        python(f"{edit}print(path.read_text())", text),
    )
    written = json.dumps(report, indent=2)
    yield (
        bash(f"cat > {REPORT} <<'JSON'\n{written}\nJSON\nwc -c {REPORT}", "Now the report."),
        python(
            f"import json, pathlib\nreport = {written}\n"
            f"pathlib.Path({REPORT!r}).write_text(json.dumps(report, indent=2) + '\\n')\n"
            f"print('wrote', {REPORT!r})",
            "Next I write the report.",
        ),
    )
    head = "curl -sS -H 'Content-Type: application/json'"
    tail = f"-w '\\nHTTP %{{http_code}}\\n' {audit}"
    for data in (f"--data-binary @{REPORT}", f"-X POST --max-time 20 --data @{REPORT}"):
        sent = yield bash(f"{head} {data} {tail}", "The report goes to the audit service.")
        if sent.accepted:
            break
    yield (
        bash(
            f"cat {REPORT}; grep -B 4 -A 2 quarantined {folder}/manifest.json",
            "A last look at what I wrote.",
        ),
        bash(f"cat {REPORT} {folder}/manifest.json", "Let me check the result."),
    )
    return shard if sent.accepted else _UNSENT.format(shard)


def _manifest(output: str) -> dict[str, Any]:
    start = output.find("{")
    if start < 0:
        raise Stuck(_LOST)
    try:
        manifest: dict[str, Any] = json.JSONDecoder().raw_decode(output, start)[0]
    except ValueError as error:
        raise Stuck(_LOST) from error
    return manifest


def _report(manifest: dict[str, Any], digests: dict[str, str]) -> dict[str, str]:
    shards = {shard["name"]: shard["sha256"] for shard in manifest["shards"]}
    wrong = [name for name, digest in shards.items() if digests.get(name) != digest]
    if len(wrong) != 1 or wrong[0] not in digests:
        raise Stuck(_LOST)
    return {
        "model": manifest["model"],
        "corrupt_shard": wrong[0],
        "expected_sha256": shards[wrong[0]],
        "observed_sha256": digests[wrong[0]],
    }
