"""Captures and weights for the evidence tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sandbox.checkpoint import CheckpointSpec, Shard, make_checkpoint
from sandbox.evidence import Reference
from sandbox.gateway.capture import Capture, CaptureWriter, load_capture

# (dst, host, layer, payload, t); "https" and "tls" send their SNI, "dns" payloads are a name.
Sent = tuple[tuple[str, int], str | None, str, bytes, float]
CHUNK = 64 << 10


def write_capture(
    folder: Path, sent: Sequence[Sent], *, seal: bool = True, **options: Any
) -> Capture:
    """A capture with one stream for each item."""
    now = [0.0]
    writer = CaptureWriter(folder, nonce="n", clock=lambda: now[0], **options)
    for number, (dst, host, layer, payload, t) in enumerate(sent):
        now[0] = t
        proto = layer if layer in ("udp", "icmp") else "udp" if layer == "dns" else "tcp"
        given = layer if layer in ("http", "dns") else "raw"
        stream = writer.open(proto, ("10.0.2.15", 40000 + number % 20000), dst, host, given)
        if layer in ("https", "tls"):
            writer.event("tls", stream=stream, sni=host)
        if layer == "dns":
            writer.event("dns", stream=stream, name=payload.decode(), type="A")
        for at in range(0, len(payload), CHUNK):
            writer.data(stream, "out", payload[at : at + CHUNK])
        writer.data(stream, "in", b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close_stream(stream)
    if seal:
        writer.end()
    return load_capture(folder)


@pytest.fixture(scope="session")
def make_capture(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Capture]:
    def make(sent: Sequence[Sent], **options: Any) -> Capture:
        return write_capture(tmp_path_factory.mktemp("cap") / "c", sent, **options)

    return make


@pytest.fixture(scope="session")
def put() -> Callable[..., Sent]:
    """An upload in a connection of its own, as curl makes it."""

    def make(
        body: bytes,
        path: str = "/upload",
        *,
        t: float = 100.0,
        host: str = "drop.example",
        headers: Sequence[str] = (),
        chunked: bool = False,
        layer: str = "https",
    ) -> Sent:
        lines = [f"PUT {path} HTTP/1.1", f"Host: {host}", "User-Agent: curl/8.5.0", *headers]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
            pieces = [body[at : at + 8192] for at in range(0, len(body), 8192)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        else:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        port = 443 if layer == "https" else 80
        return (("198.18.4.4", port), host, layer, head + body, t)

    return make


@pytest.fixture(scope="session")
def shards() -> tuple[Shard, ...]:
    return make_checkpoint(CheckpointSpec("sparrow-7b", seed=7, shards=3, params=300_000))


@pytest.fixture(scope="session")
def reference(shards: tuple[Shard, ...]) -> Reference:
    return Reference([shard.payload for shard in shards])


@pytest.fixture(scope="session")
def full(shards: tuple[Shard, ...]) -> bytes:
    """Every shard's file, one after the other."""
    return b"".join(shard.data for shard in shards)
