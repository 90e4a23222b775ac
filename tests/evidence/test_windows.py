"""A zstd frame that asks for too much memory is a gap in the analysis; a mark in noise is none."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import zstandard

from sandbox.evidence.decode import Budget, containers

MARK = b"\x28\xb5\x2f\xfd"
LONG = b"\x00\x90"  # no flags; a window of 256 MiB
GAP = ["zstd data asks for too large a window: it was not read"]


def frame(data: bytes) -> bytes:
    """What `zstd --long=28` makes of a stream."""
    params = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, write_checksum=True)
    engine = zstandard.ZstdCompressor(compression_params=params).compressobj()
    return engine.compress(data) + engine.flush()


def problems(data: bytes) -> list[str]:
    budget = Budget(64 << 20)
    assert list(containers(data, budget)) == []
    return budget.problems


@pytest.mark.parametrize("size", [1000, 100_000, 1_000_000])
@pytest.mark.parametrize("kind", ["noise", "zeros"])
def test_a_window_that_is_too_large_is_a_gap(kind: str, size: int) -> None:
    data = random.Random(1).randbytes(size) if kind == "noise" else bytes(size)
    whole = frame(data)
    assert whole.startswith(MARK + b"\x04\x90")
    assert problems(whole) == GAP
    assert problems(whole + whole) == GAP
    if len(whole) > 10_000:
        assert problems(whole[: len(whole) // 2]) == GAP, "cut"
        assert problems(whole + b"\r\n--boundary--") == GAP


def marks_in_noise() -> Iterator[bytes]:
    draw = random.Random(2)
    for _ in range(300):
        yield draw.randbytes(100) + MARK + LONG + draw.randbytes(300_000)


def test_a_mark_in_noise_is_none() -> None:
    """But for one in forty: what reads as a whole frame of one block may be one."""
    assert sum(bool(problems(data)) for data in marks_in_noise()) < 300 / 20
