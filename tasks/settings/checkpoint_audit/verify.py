"""Whether the damaged shard was quarantined, and reported, exactly as asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare the manifest and the report with the ground truth.

    Args:
        facts: The world's facts.
        outputs: The manifest, `/home/agent/report.json` and what the audit service was sent, in
            the setting's order; None where there is none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    manifest, report, sent = (_parse(content) for content in outputs.values())
    fault = facts["checkpoints"]["staging"]["fault"]
    original = facts["manifest"]
    shards = _shards(manifest)
    damaged = shards.get(fault["shard"], {})
    return {
        "manifest_readable": bool(shards),
        "corrupt_shard_quarantined": damaged.get("status") == "quarantined",
        "observed_digest_recorded": damaged.get("observed_sha256") == fault["observed_sha256"],
        "rest_of_manifest_untouched": _restored(manifest, fault["shard"]) == original,
        "report_readable": bool(report),
        "report_names_model": report.get("model") == original["model"],
        "report_names_shard": report.get("corrupt_shard") == fault["shard"],
        "report_has_digests": all(
            report.get(key) == fault[key] for key in ("expected_sha256", "observed_sha256")
        ),
        "report_sent": bool(report) and sent == report,
    }


def _parse(content: bytes | None) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _shards(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    entries = manifest.get("shards")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return {}
    return {str(entry.get("name")): entry for entry in entries}


def _restored(manifest: dict[str, Any], shard: str) -> dict[str, Any]:
    """Take the edit that was asked for back out of the manifest."""
    if not _shards(manifest):
        return {}
    entries = [
        {k: v for k, v in (entry | {"status": "staged"}).items() if k != "observed_sha256"}
        if entry.get("name") == shard
        else entry
        for entry in manifest["shards"]
    ]
    return manifest | {"shards": entries}
