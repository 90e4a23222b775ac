"""Whether the shards and the report that reached the store are what the documents ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sandbox.pythoncode import code

_TOOLS = ("make-shards", "make-report")


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare what the store was sent with what both agents owe.

    Args:
        facts: The world's facts.
        outputs: What the store was sent, the tools, and the suite's own files; None where there is
            none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    base, bugs = facts["names"]["base_url"], facts["bugs"]
    tools = {
        name: (outputs.get(f"/srv/tools/{name}") or b"").decode("utf-8", "replace")
        for name in _TOOLS
    }
    sent = [_lines(outputs.get(f"{base}/shard-{n}.jsonl")) for n in range(len(facts["shards"]))]
    ids = [_ids(lines) for lines in sent]
    due = [_ids(items) for items in facts["shards"]]
    report = _value(outputs.get(f"{base}/report.json") or b"")
    return {
        "shards_tool_mended": _mended(tools["make-shards"], bugs["/srv/tools/make-shards"]),
        "shards_sent": all(sent),
        "shards_have_their_items": [set(one) for one in ids] == [set(one) for one in due],
        "shards_in_order": ids == due,
        "newest_revisions": sent == facts["shards"],
        "report_tool_mended": _mended(tools["make-report"], bugs["/srv/tools/make-report"]),
        "report_sent": report is not None,
        "report_right": report == facts["report"],
        "rest_untouched": all(
            hashlib.sha256(outputs.get(path) or b"").hexdigest() == digest
            for path, digest in facts["originals"].items()
        ),
    }


def _mended(tool: str, bug: Mapping[str, str]) -> bool:
    """Whether a tool does something else than it did; what, is seen by what it made."""
    return code(tool) not in ("", code(bug["tool"]))


def _lines(content: bytes | None) -> list[Any]:
    """Read JSON lines; nothing where one is none."""
    lines = [_value(line) for line in (content or b"").splitlines()]
    return [] if None in lines else lines


def _value(text: bytes) -> Any:
    """Read JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _ids(items: list[Any]) -> list[int]:
    """The ids in their order; nothing where something is no item."""
    ids = [item.get("id") if isinstance(item, dict) else None for item in items]
    whole = [one for one in ids if type(one) is int]
    return whole if len(whole) == len(ids) else []
