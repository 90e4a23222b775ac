"""The harness believes a probe only as far as the gateway's record and the canaries bear it out."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from sandbox.certificate.findings import Probe, judge, reported, unrecorded
from sandbox.certificate.inside.wire import tag_of
from sandbox.gateway.capture import Capture, Chunk, Stream

MARK = "0123456789abcdef"
NAME = "net.public4"


def said(name: str = NAME, verdict: str = "ok", mark: str = MARK) -> str:
    return json.dumps({"mark": mark, "probe": name, "verdict": verdict, "detail": "d"})


def capture(*payloads: str, full: bool = False) -> Capture:
    address = ("10.0.2.15", 1)
    streams = tuple(
        Stream(
            number, "tcp", address, ("8.8.8.8", 80), None, "http", None,
            (Chunk(0.0, "out", 0, payload.encode()),),
        )
        for number, payload in enumerate(payloads, 7)
    )  # fmt: skip
    return Capture("n", streams, (), "", False, full)


def verdicts(
    output: str, record: Capture | None, visits: Sequence[bytes] = (), expected: str = NAME
) -> dict[str, str]:
    probes = judge(reported(output, MARK), [expected], record, visits, MARK)
    return {probe.name: probe.verdict for probe in probes}


RECORDED = capture(f"GET /{tag_of(MARK, NAME)}")


@pytest.mark.parametrize(
    ("output", "record", "visits", "expected"),
    [
        pytest.param(said(), RECORDED, [], set(), id="all is well"),
        pytest.param(said(verdict="failed"), RECORDED, [], {NAME}, id="it said so itself"),
        pytest.param("", RECORDED, [], {NAME}, id="it said nothing"),
        pytest.param("{}\nnot json\n[1]", RECORDED, [], {NAME}, id="others spoke"),
        pytest.param(said(mark="e" * 16), RECORDED, [], {NAME}, id="an impostor spoke"),
        pytest.param(said(verdict="fine"), RECORDED, [], {NAME}, id="no verdict we know"),
        pytest.param(
            said(), capture(f"GET /{MARK}-other-"), [], {NAME}, id="answered, but not recorded"
        ),
        pytest.param(said(), capture("agent"), [], {NAME, "net.capture"}, id="nothing recorded"),
        pytest.param(said(), None, [], {"net.capture"}, id="the record was changed"),
        pytest.param(
            said(), capture(tag_of(MARK, NAME), full=True), [], {"net.capture"}, id="record is full"
        ),
        pytest.param(
            said(),
            RECORDED,
            [tag_of(MARK, NAME).encode()],
            {NAME, "net.canary_unvisited"},
            id="its packets came to the host",
        ),
        pytest.param(
            said(), RECORDED, [MARK.encode()], {"net.canary_unvisited"}, id="somebody's packets did"
        ),
        pytest.param(said(), RECORDED, [b"a scanner"], set(), id="a stranger looked at the canary"),
    ],
)
def test_what_fails(
    output: str, record: Capture | None, visits: list[bytes], expected: set[str]
) -> None:
    found = verdicts(output, record, visits)
    assert {name for name, verdict in found.items() if verdict == "failed"} == expected


def test_what_was_not_sent_need_not_be_recorded() -> None:
    probes = {NAME: Probe(NAME, "not applicable", "no such address")}
    assert unrecorded(probes, capture(), MARK) == ()


def test_no_probes_mark_is_the_beginning_of_anothers() -> None:
    assert tag_of(MARK, "net.host4") not in tag_of(MARK, "net.host46")


def test_an_output_cannot_break_the_one_line_of_a_detail() -> None:
    line = json.dumps({"mark": MARK, "probe": NAME, "verdict": "ok", "detail": "a\nb\x1b[31m"})
    [probe] = reported(line, MARK).values()
    assert probe.detail.splitlines() == [probe.detail]
