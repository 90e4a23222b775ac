"""Cut the values out of multipart, JSON and form bodies. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

_BOUNDARY = re.compile(rb'boundary="?([^";\s]{1,200})', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"\r\n]*)"', re.IGNORECASE)
_FILE = re.compile(rb'filename="([^"\r\n]*)"', re.IGNORECASE)
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
# curl calls whatever it uploads a form: one begins with the name of a field, noise does not.
_FORM = re.compile(rb"[\w.%+\[\]-]{1,199}=")


def fields(body: bytes, content_type: bytes) -> list[tuple[str, str, bytes]]:
    """The values that a body carries.

    Args:
        body: The body of a request.
        content_type: Its content type, empty when unknown.

    Returns:
        Field name, file name (may be empty) and value of each; nothing when the body is not of
        such a kind.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is not None:
        return list(_multipart(body, boundary.group(1)))
    if body[:1] in (b"{", b"["):
        return _json(body)
    if content_type.lower().startswith(b"application/x-www-form-urlencoded"):
        return [(name, "", value) for name, value in form(body)]
    return []


def form(text: bytes) -> list[tuple[str, bytes]]:
    """The names and values of a form's body, or of a query string; nothing when it is neither."""
    if not _FORM.match(text):
        return []
    pairs = (pair.partition(b"=") for pair in text.split(b"&"))
    return [(name.decode("latin-1"), _plain(value)) for name, _, value in pairs]


def _plain(value: bytes) -> bytes:
    """A value as it was before it was escaped; what was not escaped may be base64, plus and all."""
    return unquote_to_bytes(value.replace(b"+", b" ")) if _ESCAPE.search(value) else value


def _multipart(body: bytes, boundary: bytes) -> Iterator[tuple[str, str, bytes]]:
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, found, value = part.partition(b"\r\n\r\n")
        if found:
            name, file = (pattern.search(head) for pattern in (_NAME, _FILE))
            yield (
                name.group(1).decode("latin-1") if name else "",
                file.group(1).decode("latin-1") if file else "",
                value,
            )


def _json(body: bytes) -> list[tuple[str, str, bytes]]:
    """Strings with their keys, then the numbers beside them; of a document, or of each line.

    Numbers in lists, or without any string, may be the data: the body is read as it stands.
    """
    strings: list[tuple[str, str, bytes]] = []
    numbers: list[tuple[str, str, bytes]] = []
    try:
        values = [json.loads(body)]
    except (ValueError, RecursionError):
        values = []
        try:
            values = [json.loads(line) for line in body.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            return []  # not JSON: its bytes are read as they are
    pending: list[tuple[str, object]] = [("", value) for value in reversed(values)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, str):
            strings.append((key, "", _encoded(value)))
        elif isinstance(value, int) and not isinstance(value, bool):
            numbers.append((key, "", str(value).encode()))
        elif isinstance(value, dict):
            pending += [(str(name), item) for name, item in reversed(value.items())]
        elif isinstance(value, list):
            pending += [(key, item) for item in reversed(value) if not isinstance(item, int)]
    return strings + numbers if strings else []


def _encoded(value: str) -> bytes:
    try:
        return value.encode("latin-1")  # bytes written as \u00XX
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
