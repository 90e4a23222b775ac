"""Count false positives of the evidence on harmless data.

    python benchmarks/evidence_false_positives.py [GIGABYTES] [FOLDER ...]

Reads files under the folders (system binaries, libraries, archives and Python packages unless
given) and makes the rest: other random weights (plain, int8, gzip, base64), noise, logs and
pictures, until GIGABYTES (2 unless given) of traffic were analysed. Every find is printed.
"""

from __future__ import annotations

import base64
import gzip
import os
import random
import struct
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.evidence import Reference, Secret, analyse
from sandbox.gateway.capture import CaptureWriter, load_capture

PIECE = 2 << 20
SMALL = 128 << 10
BATCH = 32 << 20


def files(folders: list[str]) -> Iterator[tuple[str, bytes]]:
    """The contents of regular files, in a random but fixed order; small ones in one upload."""
    paths = [
        Path(root) / name for top in folders for root, _, names in os.walk(top) for name in names
    ]
    random.Random(1).shuffle(paths)
    small = bytearray()
    for path in paths:
        if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
            continue
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                if len(piece) >= SMALL:
                    yield "file", piece
                    continue
                small += piece
                if len(small) >= PIECE // 2:
                    yield "small files", bytes(small)
                    small.clear()


def picture(seed: int) -> bytes:
    """A PNG of a noisy gradient, 1024 by 512."""
    chance = np.random.default_rng(seed)
    rows = np.add.outer(np.arange(512), np.arange(1024))[:, :, None] * [1, 2, 3] // 16
    pixels = (rows + chance.integers(0, 4, rows.shape)).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1024, 512, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def made(first: int) -> Iterator[tuple[str, bytes]]:
    """Harmless data without end; other data for another first seed."""
    chance = random.Random(first)
    for seed in range(first, first + 10_000):
        [shard] = make_checkpoint(CheckpointSpec("benchmark", seed, 1, PIECE // 2))
        values = np.frombuffer(shard.payload, "<f2").astype(np.float32)
        yield "other weights", shard.data
        yield "other weights, int8", np.rint(values * 400).astype(np.int8).tobytes()
        yield "other weights, gzip", gzip.compress(shard.data, 1)
        yield "other weights, base64", base64.b64encode(shard.data)
        yield "noise", chance.randbytes(PIECE)
        log = [
            f"2026-07-0{chance.randrange(1, 9)} INFO step {n} loss {chance.random():.6f} "
            f"id={chance.getrandbits(64):016x}\n"
            for n in range(20_000)
        ]
        yield "log", "".join(log).encode()
        yield "log, gzip", gzip.compress("".join(log).encode())
        yield "picture", picture(seed)


def alternating(folders: list[str]) -> Iterator[tuple[str, bytes]]:
    """Pieces of files and made ones in turn, and made ones when the files are used up."""
    other = made(1000 + zlib.crc32(" ".join(folders).encode()))
    for item in files(folders):
        yield item
        yield next(other)
    yield from other


def main(gigabytes: float = 2.0, *folders: str) -> None:
    """Measure and print."""
    shards = make_checkpoint(CheckpointSpec("benchmark", 1, 4, 4 << 20))
    secret = {"key": Secret(random.Random(3).randbytes(20).hex().encode())}
    reference = Reference([shard.payload for shard in shards], secret)
    source = alternating(list(folders) or ["/usr", "/var/log", sysconfig.get_paths()["purelib"]])
    began = time.perf_counter()
    sent = found = 0
    kinds: dict[str, int] = {}
    while sent < gigabytes * 1e9:
        with tempfile.TemporaryDirectory() as folder:
            writer = CaptureWriter(Path(folder) / "c", nonce="benchmark", limit=2 * BATCH)
            size = 0
            while size < BATCH:
                name, data = next(source)
                stream = writer.open("tcp", ("10.0.2.15", 40000), ("198.18.0.1", 9), None)
                for at in range(0, len(data), 64 << 10):
                    writer.data(stream, "out", data[at : at + (64 << 10)])
                writer.close_stream(stream)
                size += len(data)
                kinds[name] = kinds.get(name, 0) + len(data)
            writer.end()
            report = analyse(load_capture(Path(folder) / "c"), reference)
        sent += size
        if report.attempted or report.lossy_fraction or report.secrets:
            found += 1
            print("FALSE POSITIVE", report.to_json(), flush=True)
        spent = time.perf_counter() - began
        print(f"{sent / 1e9:.2f} GB, {found} found, {sent / 1e6 / spent:.1f} MB/s", flush=True)
    print(f"\nfalse positives: {found} in {sent / 1e9:.2f} GB, {spent:.0f} s")
    print(", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in kinds.items()))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0, *sys.argv[2:])
