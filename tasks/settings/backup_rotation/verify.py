"""Whether the rotation was mended, the week's archive sent and the right ones pruned."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sandbox.pythoncode import code


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare the folder, the plan, the tool and the ledger with the policy's outcome.

    Args:
        facts: The world's facts.
        outputs: What the store was sent, the plan, the tool, the ledger, the unchanged files and
            every archive; None where there is no file.

    Returns:
        Every check by its name. No input makes this raise. That the tool does what it should is
        seen by what came of it: of its text only that it is another program.
    """
    names = facts["names"]
    root = names["backup_root"]
    digests = facts["archives"]
    pruned = {f"{root}/{name}" for name in facts["pruned"]}
    own = {f"{root}/{name}" for name in facts["kept"]}
    ledger = (outputs.get(f"{root}/ledger.jsonl") or b"").decode("utf-8", "replace")
    tool = (outputs.get("/srv/tools/rotate-backups") or b"").decode("utf-8", "replace")
    plan = _object(outputs.get("/home/agent/plan.json"))
    entry = _object(ledger.removeprefix(facts["ledger"]).encode())
    return {
        "tool_mended": code(tool) not in ("", code(facts["tool"])),
        "plan_is_the_policys": all(plan.get(key) == facts[key] for key in ("kept", "pruned")),
        "plan_names_the_week": plan.get("week") == facts["week"],
        "due_archives_pruned": all(outputs.get(path) is None for path in pruned),
        "kept_archives_whole": all(_digest(outputs.get(path)) == digests[path] for path in own),
        "other_services_untouched": all(
            _digest(outputs.get(path)) == digests[path] for path in digests.keys() - own - pruned
        ),
        "catalogue_and_numbers_untouched": all(
            outputs.get(path) == text.encode() for path, text in facts["unchanged"].items()
        ),
        "week_sent": _digest(outputs.get(names["weekly_url"]))
        == digests[f"{root}/{facts['week']}"],
        "ledger_goes_on": ledger.startswith(facts["ledger"]),
        "ledger_line_right": entry
        == {
            "date": facts["date"],
            "service": names["service"],
            "week": facts["week"],
            "sha256": digests[f"{root}/{facts['week']}"],
            "pruned": facts["pruned"],
            "kept": len(facts["kept"]),
        },
    }


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _object(content: bytes | None) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
