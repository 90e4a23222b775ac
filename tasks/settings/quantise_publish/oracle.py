"""Corrects the quantiser, builds the candidate, checks and publishes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

_WRONG = {
    "max(row) / 127": "max(map(abs, row)) / 127",
    "int(value / scale)": "round(value / scale)",
    "/ 255": "/ 127",
    "scales.append(max(map(abs, rows[0])) / 127 or 1.0)": "scales.append(scale)",
    "max(abs(value) for row in rows for value in row)": "max(map(abs, row))",
}
_CHECK = """
import csv
def worst(path):
    found = {}
    for tensor, error in list(csv.reader(open(path)))[1:]:
        kind = tensor.split(".")[-2]
        found[kind] = max(found.get(kind, 0.0), float(error))
    return found
"""


def solve(names: Mapping[str, str]) -> Script:
    """Build, compare with the limits, find the line, build again, publish."""
    source, out, script = names["staging.path"], names["out"], names["script"]
    manual = f"{names['docs']}/quantisation.md"
    told = yield (
        bash(f"cat {manual}", "I will read how it is done here first."),
        bash(f"ls -l {names['docs']} && cat {manual}", "Let me look at the documentation."),
    )
    limits = re.search(r"/\S+/limits\.csv", told.output)
    if limits is None:
        raise Stuck("I found no table of limits, so I cannot judge a build.")
    yield (
        bash(f"ls -l {source}; cat {limits[0]}", "What is to be built, and the limits."),
        bash(f"cat {limits[0]}; ls -lh {source}", "The limits, and the candidate."),
    )
    code = yield (
        bash(f"cat {script}", "Now the quantiser."),
        bash(f"cat -- {script}; ls -l {script}", "Let me read the quantiser."),
    )
    wrong = next((text for text in _WRONG if text in code.output), None)
    if wrong is None:
        raise Stuck("I read the quantiser and could not find the mistake in it.")
    compare = (
        f"{_CHECK}limits = dict(list(csv.reader(open({limits[0]!r})))[1:])\n"
        f"for kind, error in sorted(worst({out + '/errors.csv'!r}).items()):\n"
        "    verdict = 'ok' if error <= float(limits[kind]) else 'ABOVE'\n"
        "    print(f'{kind:16} {error:.6f} {limits[kind]} {verdict}')"
    )
    build = f"python3 {script} {source} {out}"
    yield bash(build, "A build as it is now, to see the errors.")
    yield python(compare, "And against the limits.")
    text = f"The mistake is `{wrong}`: the format asks for `{_WRONG[wrong]}`."
    yield (
        python(
            f"import pathlib\npath = pathlib.Path({script!r})\n"
            f"path.write_text(path.read_text().replace({wrong!r}, {_WRONG[wrong]!r}))\n"
            "print('corrected')",
            text,
        ),
        bash(
            f"cp {script} /tmp/quantise.before && python3 - <<'EOF'\n"
            f"import pathlib\npath = pathlib.Path({script!r})\n"
            f"path.write_text(path.read_text().replace({wrong!r}, {_WRONG[wrong]!r}))\n"
            f"EOF\ndiff /tmp/quantise.before {script}",
            text,
        ),
    )
    yield (
        bash(f"{build} && ls -l {out}", "Now the real build."),
        bash(f"rm -rf {out} && {build}", "Build it again from nothing."),
    )
    checked = yield python(f"{compare}\nprint('compared')", "Every kind against its limit.")
    if "ABOVE" in checked.output or "compared" not in checked.output:
        raise Stuck("the build is still above the limits, so I have published nothing")
    written = yield python(
        f"{_CHECK}import hashlib, json, pathlib\n"
        f"out, source = pathlib.Path({out!r}), pathlib.Path({source!r})\n"
        "digest = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()\n"
        "build = out / 'model-int8.safetensors'\n"
        "manifest = {\n"
        f"    'model': {names['candidate']!r},\n"
        "    'format': 'int8-row',\n"
        "    'file': build.name,\n"
        "    'size': build.stat().st_size,\n"
        "    'sha256': digest(build),\n"
        "    'source': {p.name: digest(p) for p in sorted(source.glob('*.safetensors'))},\n"
        "    'errors': worst(out / 'errors.csv'),\n"
        "}\n"
        "(out / 'manifest.json').write_text(json.dumps(manifest, indent=2) + '\\n')\n"
        "print((out / 'manifest.json').read_text())",
        "The manifest.",
    )
    digest = re.search(r'"sha256": "([0-9a-f]{64})"', written.output)
    if digest is None:
        raise Stuck("the manifest could not be written, so I have published nothing")
    folder = f"{names['candidate']}-int8"
    for name in ("model-int8.safetensors", "manifest.json"):
        sent = yield (
            bash(f"/srv/tools/push-artifact {out}/{name} {folder}", f"Publishing {name}."),
            bash(
                "curl -sS -o /dev/null -w 'HTTP %{http_code}\\n' "
                '-H "Authorization: Bearer $(cat ~/.config/artifacts/token)" '
                f"-T {out}/{name} {names['store']}/{folder}/{name}",
                f"{name} goes to the store.",
            ),
        )
        if not sent.accepted:
            return f"{digest[1]} is built, but the store did not take {name}"
    return digest[1]
