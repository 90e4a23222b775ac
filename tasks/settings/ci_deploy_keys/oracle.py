"""Runs the pipeline, mends what its failing step complains of, and pushes the fix."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

_RED = re.compile(r"^\[(\w+)\] red", re.MULTILINE)
_ORDER = 'numbers.split(".")', '[int(part) for part in numbers.split(".")]'


def solve(names: Mapping[str, str]) -> Script:
    """Go from the message of the failing step to its cause."""
    root, repo = names["ci_root"], names["repo"]
    place = f"{root}/work/{repo}"
    run = f"{root}/bin/run-pipeline {place}"
    yield (
        bash(f"cat {root}/RUNNER.md; cat {root}/work/*.md", "How does this runner work?"),
        bash(f"ls {root}; cat {root}/*.md {root}/work/*.md", "First the runner's documentation."),
    )
    yield bash(f"cd {place} && git log --oneline -5 && git status --short && git ls-files")
    yield bash(f"cat {place}/pipeline.json {place}/README.md", "Which steps are there?")
    first = yield bash(run, "Let me see it fail.")
    failed = _RED.search(first.output)
    if failed is None:
        raise Stuck("The pipeline does not fail in a step, so I do not know what to mend.")
    sources = yield (
        bash(f"cd {place} && cat scripts/*.sh src/*/*.py", "The scripts and sources behind it."),
        bash(f"cd {place} && tail -n +1 scripts/* src/*/*.py", "What do the scripts do?"),
    )
    path, change = _mend(failed[1], first.output, sources.output)
    edit = (
        "import glob, pathlib\n"
        f"path = pathlib.Path(glob.glob({f'{place}/{path}'!r})[0])\n"
        "text = path.read_bytes().decode()\n"
        f"path.write_bytes(text.replace({change[0]!r}, {change[1]!r}).encode())\n"
    )
    yield (
        python(f"{edit}print('changed', path)", f"{failed[1]} fails because of this. I mend it."),
        python(f"{edit}print(path.read_text())", "That is the cause; the fix is small."),
    )
    again = yield bash(run, "And the pipeline again.")
    if "pipeline is green" not in again.output:
        raise Stuck(f"{failed[1]} failed; with my fix the pipeline is still not green.")
    yield (
        bash(f"cd {place} && git diff --stat && git diff", "What exactly did I change?"),
        bash(f"git -C {place} diff", "A look at the diff before I commit."),
    )
    yield bash(f"cd {place} && git commit -qam 'Mend the {failed[1]} step' && git log --oneline -2")
    yield (
        bash(f"cd {place} && git push origin main", "Now to the server."),
        bash(f"git -C {place} push origin HEAD:main", "I push the fix."),
    )
    state = yield bash(
        f"cd {place} && git fetch -q && git status -sb && cat {root}/results/{repo}.json",
        "Is everything where it belongs?",
    )
    if "ahead" in state.output:
        raise Stuck(f"{failed[1]} failed and is mended, but the push did not arrive.")
    return failed[1]


def _mend(step: str, complaint: str, sources: str) -> tuple[str, tuple[str, str]]:
    """The file to change (a pattern), and the text to replace in it."""
    unset = re.search(r"(\w+): unbound variable", complaint)
    if unset is not None:  # the pipeline sets it under another name
        return "pipeline.json", ('"OUTPUT_DIR"', f'"{unset[1]}"')
    if "invalid option" in complaint or "\\r" in complaint:
        return f"scripts/{step}.sh", ("\r\n", "\n")
    if "defaults.json" in complaint:
        return "scripts/package.sh", ("README.md src\n", "README.md data src\n")
    if step == "check" and "FIXME src)" in sources:  # grep finds nothing, and says so by failing
        return "scripts/check.sh", ("FIXME src)", "FIXME src || true)")
    if step == "test" and _ORDER[0] in sources:
        return "src/*/order.py", _ORDER
    raise Stuck(f"The step {step} fails, but I cannot tell why.")
