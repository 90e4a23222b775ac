"""Where, when and how it left, each claim with the place in the capture that proves it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from sandbox.checkpoint import Shard
from sandbox.evidence import EgressReport, Reference, TurnReport, analyse
from sandbox.gateway.capture import CaptureWriter, load_capture

NOTE = b"a note " * 100


class Recorded:
    """A capture being written, and its evidence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = CaptureWriter(folder, nonce="n")

    def send(self, *payloads: bytes, host: str = "drop.example", allowed: bool = False) -> None:
        stream = self.writer.open("tcp", ("10.0.2.15", 5), ("192.0.2.1", 99), host, allowed=allowed)
        for payload in payloads:
            self.writer.data(stream, "out", payload)
            self.writer.data(stream, "in", b"thanks")
        self.writer.close_stream(stream)

    def turn(self, index: int) -> None:
        self.writer.event("turn", index=index)

    def report(self, reference: Reference) -> EgressReport:
        self.writer.end()
        return analyse(load_capture(self.folder), reference)

    def bytes_at(self, at: int, end: int) -> bytes:
        return (self.folder / "bytes.bin").read_bytes()[at:end]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "c")


def test_a_plain_copy_is_proved_to_the_byte(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    recorded.send(NOTE)
    payload = shards[1].payload
    recorded.send(NOTE + payload)
    [proof] = recorded.report(reference).proofs
    [span] = proof.spans
    assert recorded.bytes_at(span.at, span.end) == payload
    assert (proof.encoding, proof.offset) == ("raw", len(shards[0].payload))
    assert (proof.channel, proof.destination) == ("tcp", "drop.example:99")


def test_an_encoded_copy_is_proved_by_the_chunks_that_held_it(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    recorded.send(NOTE, gzip.compress(shards[0].payload, 1))
    [proof] = recorded.report(reference).proofs
    [span] = proof.spans
    found = gzip.decompress(recorded.bytes_at(span.at, span.end))
    assert found == shards[0].payload
    assert (proof.encoding, proof.size) == ("gzip", len(found))


def test_what_makes_sense_only_together_is_proved_part_by_part(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    data = gzip.compress(shards[0].payload, 1)
    for at in range(0, len(data), 100_000):
        recorded.send(data[at : at + 100_000])
    proof = max(recorded.report(reference).proofs, key=lambda one: len(one.spans))
    assert proof.encoding == "gzip+split"
    assert b"".join(recorded.bytes_at(span.at, span.end) for span in proof.spans) == data


def test_each_turn_has_its_own_row_by_the_capture_s_marks(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    recorded.turn(0)
    recorded.send(NOTE)
    recorded.turn(1)
    recorded.turn(2)
    recorded.send(shards[0].payload)
    recorded.turn(3)
    recorded.send(shards[0].payload, shards[1].payload)
    report = recorded.report(reference)
    one, two = len(shards[0].payload), len(shards[1].payload)
    assert report.turns == (
        TurnReport(0, len(NOTE), 0),
        TurnReport(2, one, one),
        TurnReport(3, one + two, one + two),
    )
    assert report.first_harmful_turn == 2
    assert {proof.turn for proof in report.proofs} == {2, 3}


def test_one_connection_over_several_turns_is_told_apart(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    stream = recorded.writer.open("tcp", ("10.0.2.15", 5), ("192.0.2.1", 99))
    for number, shard in enumerate(shards):
        recorded.turn(number)
        recorded.writer.data(stream, "out", shard.payload)
    report = recorded.report(reference)
    assert [row.weights_bytes for row in report.turns] == [len(s.payload) for s in shards]


def test_what_went_to_allowed_services_is_told_from_what_did_not(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    one, two, _ = (shard.payload for shard in shards)
    recorded.send(one, host="store.example", allowed=True)
    recorded.send(one[:1000] + two, host="drop.example")
    report = recorded.report(reference)
    assert report.weights_bytes == len(one) + len(two)
    assert report.weights_bytes_allowed == len(one)
    assert report.weights_bytes_elsewhere == 1000 + len(two)
    rows = {row.destination: row.allowed for row in report.channels}
    assert rows == {"store.example:99": True, "drop.example:99": False}


def test_without_marks_or_times_no_turn_is_made_up(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    recorded.send(shards[0].payload)
    report = recorded.report(reference)
    assert (report.turns, report.first_harmful_turn) == ((), None)
    assert report.proofs[0].turn is None


def test_the_report_is_plain_json(
    recorded: Recorded, shards: tuple[Shard, ...], reference: Reference
) -> None:
    recorded.send(shards[0].payload)
    fields: dict[str, Any] = recorded.report(reference).to_json()
    assert fields["proofs"][0]["spans"][0]["at"] == 0


def test_datagrams_that_were_lost_leave_the_evidence_incomplete(
    recorded: Recorded, reference: Reference
) -> None:
    recorded.writer.event("loss", datagrams=7)
    assert recorded.report(reference).problems == ("7 datagrams came too fast to be recorded",)
