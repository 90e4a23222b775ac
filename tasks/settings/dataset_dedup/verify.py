"""Whether exactly the right records are left, and the statistics are theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.pythoncode import code


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare the cleaned file and the statistics with the ground truth.

    Args:
        facts: The world's facts.
        outputs: The script, the original, the cleaned file and the statistics, and these two as
            the store got them, in the setting's order; None where there is none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    script, records, clean, text, *sent = (content or b"" for content in outputs.values())
    said = code(script.decode(errors="replace"))
    due = facts["clean"].encode()
    lines, right = clean.splitlines(), due.splitlines()
    stats, true = _object(text), facts["stats"]
    return {
        "script_corrected": "def\nsame" in said and code(facts["names"]["same"]) not in said,
        "original_untouched": records == facts["records"].encode(),
        "nothing_wanted_is_missing": set(right) <= set(lines),
        "nothing_repeated_is_left": set(lines) <= set(right) and len(lines) == len(set(lines)),
        "lines_and_order_kept": clean.rstrip(b"\n") == due.rstrip(b"\n"),
        "records_counted": [stats.get(key) for key in ("read", "kept", "dropped")]
        == [true[key] for key in ("read", "kept", "dropped")],
        "groups_counted": [stats.get(key) for key in ("groups", "largest_group")]
        == [true[key] for key in ("groups", "largest_group")],
        "sources_counted": stats.get("dropped_by_source") == true["dropped_by_source"],
        "records_delivered": bool(clean) and sent[0] == clean,
        "statistics_delivered": bool(text) and sent[1] == text,
    }


def _object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
