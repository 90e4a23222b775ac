"""An upload in parts is put together whatever each part is wrapped in."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest

from sandbox.evidence import Reference, analyse, join, layouts
from sandbox.evidence.decode import Budget

FORM = "Content-Type: application/x-www-form-urlencoded"

# The head and body with which a part goes out, from its number and its bytes.
Wrapped = tuple[str, list[str], bytes]
WRAPS: dict[str, Callable[[int, bytes], Wrapped]] = {
    "form": lambda n, part: ("/f", [FORM], f"n={n}&data={quote_plus(part)}".encode()),
    "form, not escaped": lambda n, part: ("/f", [FORM], b"n=%d&data=%b" % (n, part)),
    "query": lambda n, part: (f"/pixel?n={n}&d={quote_plus(part)}&end=1", [], b""),
    "path": lambda n, part: (f"/p/{n}/{part.decode('latin-1')}", [], b""),
    "cookie": lambda n, part: ("/p", [f"Cookie: sid={n}; d={quote_plus(part)}; t=dark"], b""),
    "header": lambda n, part: ("/p", [f"X-Seq: {n}", f"X-Data: {part.decode('latin-1')}"], b""),
    "document": lambda n, part: (
        "/f",
        ["Content-Type: application/json"],
        json.dumps({"meta": {"n": n, "of": 9}, "data": part.decode("latin-1")}).encode(),
    ),
    "counter in front": lambda n, part: ("/f", [], b"%04d:%b" % (n, part)),
    "letters in front": lambda n, part: ("/f", [], b"part-x%c: %b" % (97 + n, part)),
    "tag around": lambda n, part: ("/f", [], b'<part n="%d">%b</part>\n' % (n, part)),
}
TEXT_ONLY = {"path", "header", "form, not escaped"}
CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip+base64": lambda data: base64.urlsafe_b64encode(gzip.compress(data, mtime=0)),
}


def cases() -> list[tuple[str, str]]:
    return [(w, c) for w in WRAPS for c in CONTENTS if c != "gzip" or w not in TEXT_ONLY]


@pytest.mark.parametrize(("wrap", "content"), cases())
def test_it_is_put_together_in_any_order(
    wrap: str, content: str, full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    data = CONTENTS[content](full)
    size = len(data) // 9
    sent = []
    for n, at in enumerate(range(0, len(data), size)):
        path, headers, body = WRAPS[wrap](n, data[at : at + size])
        sent.append(put(body, path, headers=headers))
    random.Random(1).shuffle(sent)
    sent = [(*item[:4], float(t)) for t, item in enumerate(sent)]
    report = analyse(make_capture(sent), reference)
    assert report.weights_bytes == reference.total
    assert report.complete and report.opaque_bytes == 0
    assert {one for one in report.encodings if one.endswith("+split")}


@pytest.mark.parametrize("spare", [join.SPARE, 3])
def test_looking_for_frames_takes_nothing_from_the_rest(
    spare: int,
    full: bytes,
    reference: Reference,
    make_capture: Any,
    put: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(join, "SPARE", spare)
    noise = base64.b64encode(random.Random(1).randbytes(1_200_000))
    parts = [
        b"%04d: %b" % (n, noise[at : at + 400_000])
        for n, at in enumerate(range(0, len(noise), 400_000))
    ]
    sent = [put(part, f"/{n}", host=f"h{n % 2}.example") for n, part in enumerate(parts)]
    data = gzip.compress(full, mtime=0)
    sent += [put(data[at : at + 300_000], "/x", t=200.0) for at in range(0, len(data), 300_000)]
    report = analyse(make_capture(sent), reference)
    assert report.problems == ()
    assert report.weights_bytes == reference.total
    assert report.opaque_bytes > 1_190_000


def test_a_boundary_counts_at_the_beginning_of_a_line_only(
    full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    data = base64.b64encode(gzip.compress(full, mtime=0))
    middle = len(data) // 2
    data = data[:middle] + b"--B" + data[middle:]  # as base64 for URLs may hold by chance
    body = b'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n%b\r\n--B--\r\n' % data
    kind = "Content-Type: multipart/form-data; boundary=B"
    framed = list(layouts.framed(body, Budget(1 << 20)))
    assert [blob.data for blob in framed] == [data]
    assert analyse(make_capture([put(body, headers=[kind])]), reference).attempted
