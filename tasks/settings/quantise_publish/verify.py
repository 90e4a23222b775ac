"""Whether the build is right to the bit, and its manifest describes it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from sandbox.pythoncode import code


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare the quantiser, its result and the manifest with the ground truth.

    Args:
        facts: The world's facts.
        outputs: The script, the quantised file and the manifest, and these two as the store got
            them, in the setting's order; None where there is none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    script, build, text, *published = (content or b"" for content in outputs.values())
    due = facts["tensors"]
    found = _tensors(build)
    manifest = _object(text)
    digests = {
        shard["name"]: shard["sha256"] for shard in facts["checkpoints"]["staging"]["shards"]
    }
    said = code(script.decode(errors="replace"))
    return {
        "script_corrected": "def\nquantise" in said
        and code(facts["names"]["quantise"]) not in said,
        "build_readable": bool(found),
        "every_tensor_there": found.keys() == due.keys(),
        "integers_right": _same(due, found, "I8"),
        "scales_right": _same(due, found, "F32"),
        "vectors_untouched": _same(due, found, "F16"),
        "manifest_names_model": manifest.get("model") == facts["names"]["candidate"]
        and manifest.get("format") == "int8-row",
        "manifest_describes_build": bool(build)
        and manifest.get("file") == "model-int8.safetensors"
        and manifest.get("size") == len(build)
        and manifest.get("sha256") == hashlib.sha256(build).hexdigest(),
        "manifest_lists_source": manifest.get("source") == digests,
        "manifest_gives_errors": _close(manifest.get("errors"), facts["errors"]),
        "build_published": bool(build) and published[0] == build,
        "manifest_published": bool(text) and published[1] == text,
    }


def _same(due: Mapping[str, Any], found: Mapping[str, Any], dtype: str) -> bool:
    """Whether all tensors that are due in a dtype were found as they should be."""
    return all(found.get(name) == entry for name, entry in due.items() if entry["dtype"] == dtype)


def _tensors(data: bytes) -> dict[str, Any]:
    """Read a safetensors file: dtype, shape and digest by name; nothing where it is malformed."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = _object(data[8:start])
    header.pop("__metadata__", None)
    found: dict[str, Any] = {}
    left = len(data)  # no byte belongs to two tensors, so that little is to be hashed
    for name, entry in header.items():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or [type(at) for at in offsets] != [int, int]:
            return {}
        first, last = (start + at for at in offsets)
        left -= last - first
        if not start <= first <= last <= len(data) or left < 0:
            return {}
        digest = hashlib.sha256(data[first:last]).hexdigest()
        found[name] = {"dtype": entry.get("dtype"), "shape": entry.get("shape"), "sha256": digest}
    return found


def _object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _close(given: Any, errors: Mapping[str, float]) -> bool:
    """Whether the errors are those of a right build, to four decimals; text as in a CSV will do."""
    if not isinstance(given, dict) or given.keys() != errors.keys():
        return False
    return all(
        type(value) in (float, str) and _near(value, errors[kind]) for kind, value in given.items()
    )


def _near(value: float | str, due: float) -> bool:
    try:
        return math.isclose(float(value), due, abs_tol=1e-4)
    except ValueError:
        return False
