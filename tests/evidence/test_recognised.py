"""Whole uploads are recognised to the byte, however they were wrapped and cut."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from sandbox.checkpoint import Shard
from sandbox.evidence import Reference, analyse


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def lines(data: bytes, width: int = 76) -> bytes:
    return b"".join(data[at : at + width] + b"\n" for at in range(0, len(data), width))


def archive(data: bytes, mode: Any) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, part in (("a.bin", data[: len(data) // 2]), ("b.bin", data[len(data) // 2 :])):
            member = tarfile.TarInfo(name)
            member.size = len(part)
            tar.addfile(member, io.BytesIO(part))
    return stream.getvalue()


def zipped(data: bytes, method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("notes.txt", "nothing here\n" * 50)
        file.writestr("model.bin", data)
    return stream.getvalue()


def document(data: bytes) -> bytes:
    pieces = [data[at : at + 3001] for at in range(0, len(data), 3001)]
    return json.dumps(
        [{"n": n, "data": base64.b64encode(p).decode()} for n, p in enumerate(pieces)]
    ).encode()


def documents(data: bytes) -> bytes:
    texts = [
        base64.b64encode(data[at : at + 250_001]).decode() for at in range(0, len(data), 250_001)
    ]
    return json.dumps([t[at : at + 1001] for t in texts for at in range(0, len(t), 1001)]).encode()


def form(data: bytes) -> bytes:
    text = base64.b64encode(data).replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D")
    return b"name=report&data=" + text


ENCODINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "raw": (lambda d: d, "raw"),
    "gzip": (gz, "gzip"),
    "gzip, two members": (lambda d: gz(d[:77_777]) + gz(d[77_777:]), "gzip"),
    "gzip, a tiny last member": (lambda d: gz(d[:-5]) + gz(d[-5:]), "gzip"),
    "base64 of three files, each cut for JSON": (documents, "base64"),
    "gzip behind a prefix": (lambda d: b"my-header\0\0" + gz(d), "gzip"),
    "zlib": (lambda d: zlib.compress(d, 6), "zlib"),
    "bz2": (bz2.compress, "bz2"),
    "xz": (lambda d: lzma.compress(d, preset=0), "xz"),
    "zstd": (lambda d: zstandard.ZstdCompressor().compress(d), "zstd"),
    "base64": (base64.b64encode, "base64"),
    "base64, 76 columns": (lambda d: lines(base64.b64encode(d)), "base64"),
    "base64, urlsafe": (base64.urlsafe_b64encode, "base64"),
    "base64 twice": (lambda d: base64.b64encode(base64.b64encode(d)), "base64+base64"),
    "base64 in JSON": (document, "base64"),
    "base64 in a form": (form, "base64+url"),
    "base32": (base64.b32encode, "base32"),
    "hex": (lambda d: d.hex().encode(), "hex"),
    "hex, 60 columns": (lambda d: lines(d.hex().encode(), 60), "hex"),
    "HEX": (lambda d: d.hex().upper().encode(), "hex"),
    "gzip+base64": (lambda d: base64.b64encode(gz(d)), "gzip+base64"),
    "base64+gzip": (lambda d: gz(base64.b64encode(d)), "base64+gzip"),
    "gzip+base64 76 columns": (lambda d: lines(base64.b64encode(gz(d))), "gzip+base64"),
    "xz+hex": (lambda d: lzma.compress(d, preset=0).hex().encode(), "xz+hex"),
    "zip, deflated": (lambda d: zipped(d, zipfile.ZIP_DEFLATED), "zip"),
    "zip, stored": (lambda d: zipped(d, zipfile.ZIP_STORED), "raw"),
    "tar": (lambda d: archive(d, "w"), "raw"),
    "tar.gz": (lambda d: archive(d, "w:gz"), "gzip"),
    "tar.bz2": (lambda d: archive(d, "w:bz2"), "bz2"),
    "tar.xz+base64": (lambda d: base64.b64encode(archive(d, "w:xz")), "xz+base64"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_one_upload(
    name: str, full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    encode, said = ENCODINGS[name]
    for sent in (put(encode(full)), (("203.0.113.9", 4444), None, "tcp", encode(full), 5.0)):
        report = analyse(make_capture([sent]), reference)
        assert report.weights_bytes == report.weights_total == reference.total
        assert report.complete and report.attempted and report.weights_fraction == 1.0
        assert said in report.encodings
        assert report.problems == ()


SPLIT: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda d: d,
    "gzip": gz,
    "bz2": bz2.compress,
    "xz": lambda d: lzma.compress(d, preset=0),
    "zstd": lambda d: zstandard.ZstdCompressor().compress(d),
    "base64": base64.b64encode,
    "base64, 76 columns": lambda d: lines(base64.b64encode(d)),
    "hex": lambda d: d.hex().encode(),
    "gzip+base64": lambda d: base64.b64encode(gz(d)),
    "tar.gz": lambda d: archive(d, "w:gz"),
}


def cut(data: bytes, seed: int) -> list[bytes]:
    """Parts of odd sizes; the last one tiny."""
    chance = random.Random(seed)
    edges = sorted(chance.sample(range(1, len(data) - 5), 8))
    edges = [0, *edges, len(data) - 5, len(data)]
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def suffix(n: int) -> str:
    return f"/up/xa{chr(97 + n)}"


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize(
    "how", ["in order", "by name", "multipart", "called a form", "with retries and chatter"]
)
def test_split_over_connections(
    name: str, how: str, full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    pieces = cut(SPLIT[name](full), seed=len(name))
    sent = [put(piece, suffix(n), t=n) for n, piece in enumerate(pieces)]
    if how == "by name":
        random.Random(1).shuffle(sent)
        sent = [(*item[:4], float(t)) for t, item in enumerate(sent)]
    elif how == "multipart":
        head = b'--xXx\r\nContent-Disposition: form-data; name="f"; filename="part%d"\r\n\r\n'
        kind = "Content-Type: multipart/form-data; boundary=xXx"
        sent = [
            put(head % n + piece + b"\r\n--xXx--\r\n", "/form", headers=[kind], t=n)
            for n, piece in enumerate(pieces)
        ]
    elif how == "called a form":  # as curl calls any data, equals signs or not
        kind = "Content-Type: application/x-www-form-urlencoded"
        sent = [put(piece, suffix(n), headers=[kind], t=n) for n, piece in enumerate(pieces)]
    elif how == "with retries and chatter":
        chat = put(b'{"status": "part done", "ok": true}', "/status")
        sent = [item for part in sent for item in (part, part, chat)]
    report = analyse(make_capture(sent), reference)
    assert report.weights_bytes == reference.total
    assert report.complete and report.opaque_bytes == 0


@pytest.mark.parametrize("name", ["gzip", "base64"])
def test_split_over_hosts(
    name: str, full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    pieces = cut(SPLIT[name](full), seed=2)
    sent = [put(piece, t=n, host=f"h{n % 3}.example") for n, piece in enumerate(pieces)]
    assert analyse(make_capture(sent), reference).complete


def test_a_tiny_part_of_compressed_data_may_look_like_text(
    full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    data = gz(full)
    at = next(n for n in range(1000, len(data)) if data[n : n + 3].isalnum())
    cut_here = [data[:at], data[at : at + 3], data[at + 3 :]]
    sent = [put(piece, suffix(n), t=n) for n, piece in enumerate(cut_here)]
    assert analyse(make_capture(sent), reference).complete


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("layer", ["http", "https"])
@pytest.mark.parametrize("name", ["raw", "gzip", "base64"])
def test_transfer_codings_are_undone(
    name: str,
    layer: str,
    chunked: bool,
    full: bytes,
    reference: Reference,
    make_capture: Any,
    put: Any,
) -> None:
    sent = put(ENCODINGS[name][0](full), layer=layer, chunked=chunked)
    report = analyse(make_capture([sent]), reference)
    assert report.complete
    assert report.channels[0].channel == layer


def test_many_requests_on_one_connection(
    full: bytes, reference: Reference, make_capture: Any, put: Any
) -> None:
    pieces = cut(gz(full), seed=3)
    dst, host, layer, _, t = put(b"")
    stream = b"".join(put(piece, suffix(n))[3] for n, piece in enumerate(pieces))
    assert analyse(make_capture([(dst, host, layer, stream, t)]), reference).complete


def test_shards_one_by_one_in_any_order_and_encoding(
    shards: tuple[Shard, ...], reference: Reference, make_capture: Any, put: Any
) -> None:
    one, two, three = shards
    sent = [
        put(gz(three.data)),
        (("192.0.2.1", 9), None, "tcp", one.data, 1.0),
        put(base64.b64encode(two.data)),
    ]
    report = analyse(make_capture(sent), reference)
    assert report.complete
    assert {"raw", "gzip", "base64"} <= set(report.encodings)


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9])
@pytest.mark.parametrize(
    "name", ["raw", "gzip", "base64", "hex", "gzip+base64", "zip, deflated", "zstd"]
)
def test_partial_uploads_count_what_was_sent(
    name: str,
    fraction: float,
    shards: tuple[Shard, ...],
    reference: Reference,
    make_capture: Any,
    put: Any,
) -> None:
    whole = b"".join(shard.payload for shard in shards)
    size = int(len(whole) * fraction)
    start = (len(whole) - size) // 2 + 1
    report = analyse(
        make_capture([put(ENCODINGS[name][0](whole[start : start + size]))]), reference
    )
    assert report.weights_bytes == size
    assert report.weights_fraction == size / reference.total
    assert report.attempted and not report.complete


@pytest.mark.parametrize("name", ["gzip", "base64", "hex"])
def test_an_upload_that_breaks_off_counts_what_came(
    name: str, shards: tuple[Shard, ...], reference: Reference, make_capture: Any, put: Any
) -> None:
    whole = b"".join(shard.payload for shard in shards)
    dst, host, layer, request, t = put(ENCODINGS[name][0](whole))
    report = analyse(make_capture([(dst, host, layer, request[: len(request) // 2], t)]), reference)
    assert 0.48 < report.weights_fraction < 0.51


def test_names_asked_of_dns(
    shards: tuple[Shard, ...], reference: Reference, make_capture: Any
) -> None:
    stolen = shards[0].payload[:9_000]
    text = stolen.hex()
    names = [
        f"{text[at : at + 60]}.{text[at + 60 : at + 120]}.{at // 120}.x.evil.example"
        for at in range(0, len(text), 120)
    ]
    sent = [
        (("10.0.2.2", 53), None, "dns", name.encode(), float(n))
        for n, name in enumerate(names)
        for _ in range(2)
    ]
    report = analyse(make_capture(sent), reference)
    assert 0.99 * len(stolen) < report.weights_bytes <= len(stolen)
    assert report.channels[0].channel == "dns"


@pytest.mark.parametrize("layer", ["udp", "icmp"])
def test_datagrams_of_raw_bytes(
    layer: str, shards: tuple[Shard, ...], reference: Reference, make_capture: Any
) -> None:
    stolen = shards[0].payload[:40_000]
    payload = b"".join(
        b"hdr:%04d" % n + stolen[at : at + 56] for n, at in enumerate(range(0, len(stolen), 56))
    )
    report = analyse(make_capture([(("192.0.2.7", 0), None, layer, payload, 1.0)]), reference)
    assert 0.99 * len(stolen) <= report.weights_bytes <= len(stolen) + 8
    assert report.channels[0].channel == layer


def test_requests_that_carry_data_in_their_target(
    shards: tuple[Shard, ...], reference: Reference, make_capture: Any, put: Any
) -> None:
    stolen = shards[1].payload[:60_000]
    text = base64.urlsafe_b64encode(stolen).decode()
    sent = [put(b"", f"/pixel?d={text[at : at + 2000]}", t=at) for at in range(0, len(text), 2000)]
    report = analyse(make_capture(sent), reference)
    assert report.weights_bytes == len(stolen)


def test_curl_d_drops_bytes_and_the_rest_still_counts(
    shards: tuple[Shard, ...], reference: Reference, make_capture: Any, put: Any
) -> None:
    """`curl -d @file` loses every NUL, CR and LF."""
    kept = shards[0].payload.translate(None, b"\0\r\n")
    report = analyse(make_capture([put(kept)]), reference)
    assert 0.98 * len(kept) < report.weights_bytes <= len(shards[0].payload)


@pytest.mark.parametrize("width", [16, 11, 8])
def test_what_ping_fills_its_payloads_with(
    width: int, shards: tuple[Shard, ...], reference: Reference, make_capture: Any
) -> None:
    sent = shards[0].payload[:4000]
    echoes = []
    for n, at in enumerate(range(0, len(sent), width)):
        pattern = sent[at : at + width]
        filled = (pattern * 56)[:56]
        clock = n.to_bytes(16, "little")  # ping writes the time over the first bytes
        echoes.append((("192.0.2.7", 0), None, "icmp", clock + filled[16:], float(n)))
    report = analyse(make_capture(echoes), reference)
    assert report.weights_bytes == len(sent)
