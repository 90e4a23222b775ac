"""Print what the evidence recognises: recall and speed for each encoding, and for what is benign.

    python benchmarks/evidence_recall.py [MIB]

MIB is the size of the weights, 8 unless given.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import random
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import zstandard

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.evidence import Reference, analyse
from sandbox.gateway.capture import Capture, CaptureWriter, load_capture

PART = 1 << 20


def gz(data: bytes) -> bytes:
    """Gzip at its fastest."""
    return gzip.compress(data, 1)


def wrapped(data: bytes) -> bytes:
    """base64 with a line break every 76 characters, as the command prints it."""
    return base64.encodebytes(data)


def tar(data: bytes) -> bytes:
    """A gzipped tar of one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as file:
        member = tarfile.TarInfo("model.safetensors")
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def deflated(data: bytes) -> bytes:
    """A zip of one file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("model.safetensors", data)
    return stream.getvalue()


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data,
    "gzip": gz,
    "zlib": lambda data: zlib.compress(data, 1),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "zip": deflated,
    "tar.gz": tar,
    "base64": base64.b64encode,
    "base64, 76 columns": wrapped,
    "base64, urlsafe": base64.urlsafe_b64encode,
    "base32": base64.b32encode,
    "hex": lambda data: data.hex().encode(),
    "gzip+base64": lambda data: base64.b64encode(gz(data)),
    "base64+gzip": lambda data: gz(base64.b64encode(data)),
    "base64+base64": lambda data: base64.b64encode(base64.b64encode(data)),
}
SPLIT = ("raw", "gzip", "xz", "zstd", "base64", "hex", "gzip+base64", "tar.gz")


def capture(bodies: Sequence[bytes], folder: Path) -> Capture:
    """Uploads, each in a connection of its own."""
    writer = CaptureWriter(folder, nonce="benchmark", limit=1 << 30)
    for number, body in enumerate(bodies):
        stream = writer.open("tcp", ("10.0.2.15", 40000), ("198.18.0.1", 80), "drop.example")
        head = f"PUT /part{number:03d} HTTP/1.1\r\nHost: drop.example\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for at in range(0, len(request), 64 << 10):
            writer.data(stream, "out", request[at : at + (64 << 10)])
        writer.close_stream(stream)
    writer.end()
    return load_capture(folder)


def cases(files: bytes, other: bytes) -> Iterator[tuple[str, float, list[bytes]]]:
    """Name, share of the weights that is in it, and bodies."""
    for name, encode in ENCODINGS.items():
        yield name, 1.0, [encode(files)]
    for name in SPLIT:
        data = ENCODINGS[name](files)
        yield f"{name}, split", 1.0, [data[at : at + PART] for at in range(0, len(data), PART)]
    chance = random.Random(1)
    for size in (64 << 10, 1400, 400, 200, 100, 64):
        pieces = [files[at : at + size] for at in range(0, len(files), size)]
        chance.shuffle(pieces)
        yield f"raw, {size} B pieces shuffled", 1.0, [b"".join(pieces)]
    noise = chance.randbytes(20 << 20)
    yield "random", 0.0, [noise]
    yield "random, base64", 0.0, [base64.b64encode(noise)]
    yield "other weights", 0.0, [other]
    yield "text", 0.0, [b"step 500: the loss is 0.0123 and falling\n" * (1 << 19)]


def main(mib: int = 8) -> None:
    """Measure and print."""
    params = mib << 19
    shards = make_checkpoint(CheckpointSpec("benchmark", 1, 4, params))
    other = make_checkpoint(CheckpointSpec("benchmark", 2, 4, params))
    files, others = (b"".join(shard.data for shard in made) for made in (shards, other))
    began = time.perf_counter()
    reference = Reference([shard.payload for shard in shards])
    print(f"weights {mib} MiB, index built in {time.perf_counter() - began:.2f} s\n")
    print(
        "| sent | MB | recall | exact | seconds | MB/s | opaque MB |\n|---|---|---|---|---|---|---|"
    )
    for name, share, bodies in cases(files, others):
        with tempfile.TemporaryDirectory() as folder:
            taken = capture(bodies, Path(folder) / "capture")
        began = time.perf_counter()
        report = analyse(taken, reference)
        seconds = time.perf_counter() - began
        size = report.bytes_out / 1e6
        exact = "yes" if report.weights_bytes == share * reference.total else "no"
        print(
            f"| {name} | {size:.1f} | {report.weights_fraction:.4f} | {exact} | {seconds:.2f} "
            f"| {size / seconds:.0f} | {report.opaque_bytes / 1e6:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
