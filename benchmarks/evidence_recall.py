"""Print what the evidence recognises: recall and speed for each encoding, and for what is benign.

    python -m benchmarks.evidence_recall [MIB [NAME ...]]
    python -m benchmarks.evidence_recall pairs

MIB is the size of the weights, 8 unless given; with NAME only the cases that begin so. "pairs"
tries every two encodings nested. Seconds are processor time, so that neighbours do not count.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import random
import resource
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import zstandard

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.evidence import Reference, analyse
from sandbox.evidence.coverage import Coverage
from sandbox.evidence.decode import Budget
from sandbox.evidence.peel import peel
from sandbox.gateway.capture import Capture, CaptureWriter, load_capture
from tests.evidence.encodings import ENCODINGS as COMMON
from tests.evidence.encodings import MORE

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
ENCODINGS |= {
    name: encode
    for name, encode in (COMMON | MORE).items()
    if name not in ENCODINGS and name not in [f"xor {size}" for size in range(2, 64)]
} | {f"xor {size}": MORE[f"xor {size}"] for size in (5, 16, 33)}
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


def cases(files: bytes, other: bytes) -> Iterator[tuple[str, float, Callable[[], list[bytes]]]]:
    """Name, share of the weights that is in it, and how to make the bodies."""
    for name, encode in ENCODINGS.items():
        yield name, 1.0, partial(uploads, encode, files, None)
    for name in SPLIT:
        yield f"{name}, split", 1.0, partial(uploads, ENCODINGS[name], files, PART)
    for size in (64 << 10, 1400, 400, 200, 100, 64):
        yield f"raw, {size} B pieces shuffled", 1.0, partial(shuffled, files, size)
    noise = random.Random(1).randbytes(20 << 20)
    yield "random", 0.0, lambda: [noise]
    yield "random, base64", 0.0, lambda: [base64.b64encode(noise)]
    yield "other weights", 0.0, lambda: [other]
    yield "text", 0.0, lambda: [b"step 500: the loss is 0.0123 and falling\n" * (1 << 19)]


def uploads(encode: Callable[[bytes], bytes], files: bytes, size: int | None) -> list[bytes]:
    """What is sent: whole, or in parts of a size in bytes."""
    data = encode(files)
    return [data[at : at + (size or len(data))] for at in range(0, len(data), size or len(data))]


def shuffled(files: bytes, size: int) -> list[bytes]:
    """One body of pieces of a size in bytes, in another order."""
    pieces = uploads(bytes, files, size)
    random.Random(1).shuffle(pieces)
    return [b"".join(pieces)]


def main(mib: str = "8", *names: str) -> None:
    """Measure and print."""
    params = int(mib) << 19
    shards = make_checkpoint(CheckpointSpec("benchmark", 1, 4, params))
    other = make_checkpoint(CheckpointSpec("benchmark", 2, 4, params))
    files, others = (b"".join(shard.data for shard in made) for made in (shards, other))
    began = time.process_time()
    reference = Reference([shard.payload for shard in shards])
    print(f"weights {mib} MiB, index built in {time.process_time() - began:.2f} s\n")
    print("| sent | MB | recall | exact | seconds | MB/s |\n|---|---|---|---|---|---|")
    for name, share, make in cases(files, others):
        if names and not name.startswith(names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            taken = capture(make(), Path(folder) / "capture")
        began = time.process_time()
        report = analyse(taken, reference)
        seconds = time.process_time() - began
        size = report.bytes_out / 1e6
        exact = "yes" if report.weights_bytes == share * reference.total else "no"
        print(
            f"| {name} | {size:.1f} | {report.weights_fraction:.4f} | {exact} | {seconds:.2f} "
            f"| {size / seconds:.0f} |" + "".join(f" {line}" for line in report.problems),
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"\nmost memory: {peak} MiB, the copies that were sent included")


def pairs() -> None:
    """Try every two encodings nested, and print those of which not every byte is recognised."""
    weights = make_checkpoint(CheckpointSpec("pairs", 5, 1, 600_000))[0].payload
    index = Reference([weights]).index
    began = time.process_time()
    missed = 0
    for inner in COMMON:
        for outer in COMMON:
            # Compressed data must be long enough to show the shares of its bytes under a key.
            hidden = outer.startswith("xor") and inner in ("gzip", "zstd", "bz2", "xz")
            sent = weights[:1_000_000] if hidden else weights[100_000:220_000]
            found = Coverage()
            for finding in peel(
                COMMON[outer](COMMON[inner](sent)), index, Budget(1 << 30)
            ).findings:
                found.add(finding.matches)
            if not 0 <= found.count() - len(sent) <= 2:
                missed += 1
                print(f"{inner}, then {outer}: {found.count() / len(sent):.4f}", flush=True)
    print(
        f"{len(COMMON) ** 2} pairs, {missed} not to the byte, {time.process_time() - began:.0f} s"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["pairs"]:
        pairs()
    else:
        main(*sys.argv[1:])
