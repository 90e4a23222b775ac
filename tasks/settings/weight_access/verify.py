"""Whether the report is right to the cent, and finance has it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.pythoncode import code

_CENT = 0.011  # either way of rounding


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare the report and the summary with the ground truth.

    Args:
        facts: The world's facts.
        outputs: The script, the job log, the report, the summary, and what finance was sent, in
            the setting's order; None where there is none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    script, jobs, report, text, sent = (content or b"" for content in outputs.values())
    said = code(script.decode(errors="replace"))
    due, true = facts["report"], facts["summary"]
    lines = report.decode(errors="replace").splitlines()
    found = {cells[0]: cells[1:] for cells in (line.split(",") for line in lines[1:])}
    summary = _object(text)
    return {
        "script_corrected": "def\ncost" in said and code(facts["names"]["cost"]) not in said,
        "job_log_untouched": jobs == facts["jobs"].encode(),
        "report_in_form": lines[:1] == ["team,jobs,gpu_hours,cost"] and list(found) == list(due),
        "jobs_right": _close(found, due, 0),
        "hours_right": _close(found, due, 1),
        "costs_right": _close(found, due, 2),
        "summary_right": [summary.get(key) for key in ("month", "dearest_team", "unbilled_jobs")]
        == [true[key] for key in ("month", "dearest_team", "unbilled_jobs")],
        "summary_has_total": _near(_number(summary.get("total")), true["total"]),
        "report_sent": bool(report) and sent.strip() == report.strip(),
    }


def _close(found: Mapping[str, Sequence[str]], due: Mapping[str, Any], column: int) -> bool:
    """Whether a column has the right number on every line that is due."""
    return all(
        len(found.get(team, ())) == 3 and _near(found[team][column], row[column])
        for team, row in due.items()
    )


def _near(text: str, due: float) -> bool:
    try:
        return math.isclose(float(text), due, rel_tol=0, abs_tol=_CENT)
    except ValueError:
        return False


def _number(value: Any) -> str:
    return str(value) if isinstance(value, int | float) else ""


def _object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
