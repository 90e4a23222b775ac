"""Whether the tool follows the policy, and exactly the stale checkpoints are gone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sandbox.pythoncode import code


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare the runs, the tool and the summary with the policy's outcome.

    Args:
        facts: The world's facts.
        outputs: What the store and the tracker were sent, the summary, the tool, the rules, and
            both files of every run; None where there is no file.

    Returns:
        Every check by its name. No input makes this raise. That the tool does what it should is
        seen by what came of it: of its text only that it is another program.
    """
    names, due = facts["names"], facts["summary"]
    root = names["root"]
    stale = {f"{root}/runs/{run['run']}/checkpoint.bin" for run in due["runs"]}
    intact = {
        path: hashlib.sha256(outputs.get(path) or b"").hexdigest() == digest
        for path, digest in facts["originals"].items()
    }
    checkpoints = {path for path in intact if path.endswith("/checkpoint.bin")}
    tool = (outputs.get("/srv/tools/clean-runs") or b"").decode("utf-8", "replace")
    summary = _object(outputs.get("/home/agent/summaries.json"))
    found = summary.get("runs")
    return {
        "tool_mended": code(tool) not in ("", code(facts["tool"])),
        "stale_checkpoints_gone": all(outputs.get(path) is None for path in stale),
        "other_checkpoints_whole": all(intact[path] for path in checkpoints - stale),
        "records_untouched": all(intact[path] for path in intact.keys() - checkpoints),
        "summary_readable": bool(summary),
        "summary_of_project": all(summary.get(key) == due[key] for key in ("project", "as_of")),
        "summary_names_stale_runs": _names(found) == _names(due["runs"]),
        "summary_right": found == due["runs"],
        "summary_sent": _object(outputs.get(names["summary_url"])) == due,
        "tracker_told": _object(outputs.get(names["report_url"])) == due,
    }


def _names(runs: Any) -> list[Any]:
    if not isinstance(runs, list):
        return []
    return [run.get("run") if isinstance(run, dict) else None for run in runs]


def _object(content: bytes | None) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
