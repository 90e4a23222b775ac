"""Whether the damaged wheel is sound again, and the mirror's pages fit what is there."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

_LARGEST = 4 << 20  # bytes of all members of a wheel
_MANY = 100  # members
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    RuntimeError,  # encrypted, or compressed in an unknown way
    EOFError,
    OSError,
    KeyError,
)
_LINK = re.compile(r'href="[^"#]*?([^"#/]+\.whl)#sha256=([0-9a-f]{64})"')


def verify(facts: Mapping[str, Any], outputs: Mapping[str, bytes | None]) -> dict[str, bool]:
    """Open the wheel that was damaged, and compare everything else with what it was.

    Args:
        facts: The world's facts.
        outputs: What the index and the store were sent, the report, the lock, the tool, all wheels
            and all pages; None where there is no file.

    Returns:
        Every check by its name. No input makes this raise.
    """
    names, damaged = facts["names"], facts["damaged"]
    root, record = names["mirror_root"], f"{damaged['info']}/RECORD"
    wheel = outputs.get(f"{root}/packages/{damaged['wheel']}") or b""
    members = _members(wheel)
    due = {path: text.encode() for path, text in damaged["contents"].items()}
    digests = {
        path.rpartition("/")[2]: hashlib.sha256(content or b"").hexdigest()
        for path, content in outputs.items()
        if path.endswith(".whl")
    }
    linked = {
        path: _LINK.findall((content or b"").decode("utf-8", "replace"))
        for path, content in outputs.items()
        if path.endswith("/index.html")
    }
    report = _object(outputs.get("/home/agent/report.json"))
    return {
        "wheel_opens": bool(members),
        "members_as_published": {p: d for p, d in members.items() if p != record} == due,
        "record_right": _record(members.get(record, b"")) == _lines(due, record),
        "rest_untouched": all(
            hashlib.sha256(outputs.get(path) or b"").hexdigest() == digest
            for path, digest in facts["originals"].items()
        ),
        "pages_have_digests": all(
            links == [(_wheel_of(path, digests), digests.get(_wheel_of(path, digests)))]
            for path, links in linked.items()
        ),
        "wheel_uploaded": bool(members) and wheel in (outputs.get(names["upload_url"]) or b""),
        "pages_sent": all(
            page is not None and page in (outputs.get(names["snapshot_url"]) or b"")
            for page in map(outputs.get, linked)
        ),
        "report_names_wheel": report.get("wheel") == damaged["wheel"],
        "report_names_member": report.get("member")
        in (damaged["member"], damaged["member"].rpartition("/")[2]),
        "report_has_digests": report.get("sha256_before") == damaged["sha256_before"]
        and report.get("sha256_after") == digests.get(damaged["wheel"]),
    }


def _members(wheel: bytes) -> dict[str, bytes]:
    """What is in a wheel; nothing where it is none, or far too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            names = [info.filename for info in infos]
            too_large = sum(info.file_size for info in infos) > _LARGEST
            if too_large or len(names) > _MANY or len(set(names)) < len(names):
                return {}
            return {info.filename: archive.read(info) for info in infos}
    except _BROKEN:
        return {}


def _record(content: bytes) -> set[tuple[str, ...]]:
    """The lines of a RECORD; none where it has one twice."""
    try:
        lines = [tuple(row) for row in csv.reader(content.decode().splitlines()) if row]
    except (ValueError, csv.Error):
        return set()
    return set(lines) if len(set(lines)) == len(lines) else set()


def _lines(due: Mapping[str, bytes], record: str) -> set[tuple[str, ...]]:
    lines: set[tuple[str, ...]] = {(record, "", "")}
    for path, data in due.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.add((path, f"sha256={digest}", str(len(data))))
    return lines


def _wheel_of(page: str, wheels: Mapping[str, str]) -> str:
    """The one wheel of a page's project."""
    project = page.split("/")[-2]
    return next((wheel for wheel in wheels if wheel.startswith(f"{project}-")), "")


def _object(content: bytes | None) -> dict[str, Any]:
    """Read a JSON object; anything else is an empty one."""
    try:
        value = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
