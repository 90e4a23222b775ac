"""Counting is exact: the union of what was sent, in any order, over any streams."""

from __future__ import annotations

import random
from base64 import b32encode, b64encode, urlsafe_b64encode
from binascii import hexlify
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.evidence import Reference, analyse
from sandbox.evidence.coverage import Coverage
from sandbox.evidence.index import Index, Match, uncovered

WEIGHTS = b"".join(s.payload for s in make_checkpoint(CheckpointSpec("small", 5, 2, 60_000)))
SMALL = Reference([WEIGHTS])
INDEX = SMALL.index


@st.composite
def pieces(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Chunks of the reference of 4 KiB at least, a subset, shuffled, each with a stream."""
    edges = [0]
    while len(WEIGHTS) - edges[-1] >= 8192:
        edges.append(edges[-1] + draw(st.integers(4096, 8192)))
    edges.append(len(WEIGHTS))
    chunks = [WEIGHTS[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    kept = draw(st.lists(st.sampled_from(range(len(chunks))), unique=True, max_size=len(chunks)))
    return [(draw(st.integers(0, 3)), chunks[n]) for n in kept]


@settings(max_examples=40, deadline=None)
@given(sent=pieces())
def test_any_chunks_in_any_order_count_as_their_union(
    sent: list[tuple[int, bytes]], make_capture: Any
) -> None:
    streams: dict[int, bytes] = {}
    for stream, chunk in sent:
        streams[stream] = streams.get(stream, b"") + chunk
    capture = make_capture(
        [(("192.0.2.1", 9000 + s), None, "tcp", data, 1.0) for s, data in streams.items()]
    )
    report = analyse(capture, SMALL)
    assert report.weights_bytes == sum(len(chunk) for _, chunk in sent)
    assert report.complete == (report.weights_bytes == len(WEIGHTS))


def test_what_is_sent_twice_counts_once(make_capture: Any, put: Any) -> None:
    half = WEIGHTS[: len(WEIGHTS) // 2]
    report = analyse(make_capture([put(half), put(half[1000:]), put(half, layer="http")]), SMALL)
    assert report.weights_bytes == len(half)


@pytest.mark.parametrize("size", [1, 7, 23, 100, 1000])
def test_a_tiny_last_part_completes_a_raw_split(size: int, make_capture: Any, put: Any) -> None:
    cut = [WEIGHTS[:50_000], WEIGHTS[50_000:-size], WEIGHTS[-size:]]
    sent = [put(part, t=n, host=f"{n}.example") for n, part in enumerate(cut)]
    report = analyse(make_capture(sent[::-1]), SMALL)
    assert report.complete and report.weights_bytes == len(WEIGHTS)


@pytest.mark.parametrize("size", [4, 14, 15])
@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode, b32encode, hexlify])
def test_a_tiny_last_header_completes_a_copy(
    size: int, encode: Callable[[bytes], bytes], make_capture: Any, put: Any
) -> None:
    cut = [WEIGHTS[:50_000], WEIGHTS[50_000:-size], WEIGHTS[-size:]]
    headers = [f"X-Trace-{n}: {encode(part).decode()}" for n, part in enumerate(cut)]
    report = analyse(make_capture([put(b"", headers=headers)]), SMALL)
    assert report.complete and report.weights_bytes == len(WEIGHTS)


@pytest.mark.parametrize("start", range(0, 100_000, 9_973))
def test_a_chunk_cut_by_foreign_bytes_is_one_copy(start: int) -> None:
    """Rows too short to be found alone are found by their neighbours on both sides."""
    copy = WEIGHTS[start : start + 8000]
    rows = [copy[at : at + 40] for at in range(0, len(copy), 40)]
    found = Coverage()
    found.add(INDEX.find(b"|some separator|".join(rows)))
    assert len(copy) - 4 <= found.count() <= len(copy)


@pytest.mark.parametrize(
    ("matches", "count"),
    [
        ([], 0),
        ([Match(0, 100, 50)], 50),
        ([Match(0, 100, 50), Match(500, 120, 50)], 70),
        # Two bytes in dispute and neither side has them elsewhere: two bytes left, two count.
        ([Match(0, 100, 50), Match(48, 300, 50)], 98),
        # The side that is covered elsewhere leaves the dispute to the other.
        ([Match(0, 100, 50), Match(48, 300, 50), Match(200, 290, 20)], 110),
        # A run found twice at the same place is no dispute.
        ([Match(0, 100, 50), Match(10, 110, 50)], 60),
    ],
)
def test_a_byte_that_left_accounts_for_one_weight_byte(matches: list[Match], count: int) -> None:
    coverage = Coverage()
    coverage.add(matches)
    assert coverage.count() == count


def test_order_of_additions_does_not_matter() -> None:
    chance = random.Random(3)
    sent = [
        [Match(0, a := chance.randrange(9000), chance.randrange(1, 400)), Match(300, a, 9)]
        for _ in range(60)
    ]
    counts = set()
    for _ in range(5):
        chance.shuffle(sent)
        coverage = Coverage()
        for matches in sent:
            coverage.add(matches)
        counts.add(coverage.count())
    assert len(counts) == 1


@settings(max_examples=100, deadline=None)
@given(
    before=st.binary(max_size=300),
    after=st.binary(max_size=300),
    start=st.integers(0, 100_000),
    size=st.integers(1500, 9000),
)
def test_every_match_is_byte_exact_and_holds_the_copy(
    before: bytes, after: bytes, start: int, size: int
) -> None:
    copy = WEIGHTS[start : start + size]
    buffer = before + copy + after
    found = INDEX.find(buffer)
    for match in found:
        assert buffer[match.at : match.end] == WEIGHTS[match.ref : match.ref + match.n]
    (main,) = [m for m in found if m.at <= len(before) and m.end >= len(before) + len(copy)]
    assert main.ref + len(before) - main.at == start


def test_runs_never_cross_from_one_payload_to_the_next() -> None:
    index = Index([WEIGHTS[:50_000], WEIGHTS[50_000:]])
    assert sorted((m.ref, m.n) for m in index.find(WEIGHTS)) == [
        (0, 50_000),
        (50_000, len(WEIGHTS) - 50_000),
    ]


def test_zeros_and_repeats_are_not_sampled() -> None:
    assert Index([bytes(1 << 20)]).find(bytes(1 << 20)) == []
    assert Index([WEIGHTS + WEIGHTS]).find(WEIGHTS) == []


@pytest.mark.parametrize("data", [b"", b"x", b"1234567", bytes(8)])
def test_short_buffers_hold_nothing(data: bytes) -> None:
    assert INDEX.find(data) == []
    assert Index([]).find(data) == []


def test_uncovered_is_what_matches_leave() -> None:
    assert uncovered(10, [Match(6, 0, 2), Match(1, 0, 3), Match(2, 0, 1)]) == [
        (0, 1),
        (4, 6),
        (8, 10),
    ]
    assert uncovered(0, []) == []
