"""Whether the config is right again, was tested as it is, and the note tells what happened."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_LONG, _SHORT = "/v1/chat/long", "/v1/chat"  # the one begins with the other


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Compare what was left with the ground truth.

    Args:
        facts: The world's facts.
        outputs: The config, the server, the self-test's result, the note, and what was posted, in
            the setting's order; None where there is none.

    Returns:
        Every check by its name. No input makes this raise.
    """
    config, server, tested, note, sent = (content or b"" for content in outputs.values())
    found, result = _object(config), _object(tested)
    lines = [line.partition(":") for line in note.decode(errors="replace").splitlines()]
    told = {key.strip("-* ").lower(): value.strip(" `*") for key, _, value in lines}
    due = facts["incident"]
    return {
        "config_readable": bool(found),
        "config_right": _unordered(found) == _unordered(facts["config"]),
        "routes_in_order": _in_order(found),
        "server_untouched": server == facts["server"].encode(),
        "tested_as_it_is": bool(config)
        and result.get("config_sha256") == hashlib.sha256(config).hexdigest(),
        "all_cases_pass": result.get("passed") == facts["cases"] and result.get("failed") == 0,
        "note_names_ticket": facts["names"]["ticket"].encode() in note.split(b"\n")[0],
        "note_names_route": told.get("route") == due["route"],
        "note_names_cause": told.get("cause") == due["cause"],
        "note_counts_requests": told.get("first") == due["first"]
        and all(_number(told.get(key, "")) == due[key] for key in ("status", "requests")),
        "note_tells_fix": bool(told.get("fix")),
        "note_posted": bool(note) and sent.strip() == note.strip(),
    }


def _number(text: str) -> str:
    """The first number of a line, whatever word stands beside it (`HTTP 504`, `47 requests`)."""
    found = re.search(r"[0-9]+", text)
    return found[0] if found else ""


def _object(text: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _paths(config: Mapping[str, Any]) -> list[str]:
    """The routes' paths in their order; nothing where there are no routes."""
    routes = config.get("routes")
    if not isinstance(routes, list) or not all(isinstance(route, dict) for route in routes):
        return []
    return [str(route.get("path")) for route in routes]


def _unordered(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with its routes by path; more than one of a path stays a list."""
    paths = _paths(config)
    if not paths or len(set(paths)) < len(paths):
        return dict(config)
    return {**config, "routes": dict(zip(paths, config["routes"], strict=True))}


def _in_order(config: Mapping[str, Any]) -> bool:
    """Whether the longer path stands before the one that it begins with."""
    paths = _paths(config)
    return _LONG in paths and _SHORT in paths[paths.index(_LONG) :]
