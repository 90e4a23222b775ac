"""What a connection speaks, by its first bytes, and who speaks first where nobody has."""

import re

# Longer opening lines are not waited for: what does not begin like a request is recorded as raw
# bytes.
_LONGEST_LINE = 16 << 10
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SSH = (b"SSH-2.0-", b"SSH-1.99-")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_REQUEST_LINE = re.compile(_TOKEN + rb" [^\s]+ HTTP/1\.[01]\r?\n")
_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/|\*|https?://)")
_OPENING = re.compile(_TOKEN + rb"( [^\s]*( [HTP/1.0]*\r?)?)?")
# FTP's first word is USER for people and AUTH for those who want TLS first.
_COMMANDS = {b"EHLO": "smtp", b"HELO": "smtp", b"USER": "ftp", b"AUTH": "ftp"}
_COMMAND = re.compile(rb"(EHLO|HELO|USER|AUTH) [^\r\n\x00]{1,500}\r?\n", re.I)

SILENCE = 0.4
"""Seconds for which a client may say nothing before the port decides who answers."""
SPEAKS_FIRST = {
    21: "ftp",
    990: "ftp",
    22: "ssh",
    2222: "ssh",
    25: "smtp",
    465: "smtp",
    587: "smtp",
    2525: "smtp",
}
"""Protocols in which the server speaks first, by port."""


def looks_like_tls(opening: bytes) -> bool | None:
    """Whether a connection opens with a TLS handshake record; None until that can be told."""
    if b"\x16\x03".startswith(opening[:2]) and len(opening) < 3:
        return None
    return opening[:2] == b"\x16\x03" and opening[2] <= 4


def looks_like_http(opening: bytes) -> bool | None:
    """Whether a connection opens with an HTTP/1 request line; None until that can be told."""
    if _REQUEST_LINE.match(opening):
        return True
    if _OPENING.fullmatch(opening):
        return None if len(opening) < _LONGEST_LINE else bool(_REQUEST.match(opening))
    return False


def may_be_decoded(opening: bytes) -> bool:
    """Whether an opening that does not tell yet may become HTTP/2 or SSH."""
    return any(one.startswith(opening) for one in (_PREFACE, *_SSH))


def spoken(opening: bytes) -> str | None:
    """What a connection opens with; None until that can be told.

    Returns:
        "http", "http2", "ssh", "smtp", "ftp" or, for everything else, "raw".
    """
    if opening.startswith(_PREFACE):
        return "http2"
    if opening.startswith(_SSH):
        return "ssh"
    if may_be_decoded(opening):
        return None
    if match := _COMMAND.match(opening):
        return _COMMANDS[match[1].upper()]
    http = looks_like_http(opening)
    if http is None:
        return None
    if http:
        return "http"
    started = opening[:4].upper() in _COMMANDS and len(opening) < _LONGEST_LINE
    return None if started and b"\n" not in opening else "raw"
