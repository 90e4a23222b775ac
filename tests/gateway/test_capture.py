"""A capture cannot be changed without being seen; only a sealed one is complete."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.gateway.capture import (
    BYTES,
    EVENTS,
    CaptureFull,
    CaptureWriter,
    ChainBroken,
    load_capture,
    read_capture,
)

AGENT, SERVER = ("10.0.2.15", 40000), ("198.18.7.9", 443)


def write(folder: Path, *, seal: bool, since: int = 0) -> tuple[bytes, bytes]:
    """A capture of three streams, two of them interleaved, with a clock of its own."""
    ticks = itertools.count(1_700_000_000 + since)
    writer = CaptureWriter(folder, nonce="n0", clock=lambda: next(ticks) / 4)
    web = writer.open("tcp", AGENT, SERVER, host="files.example.com")
    writer.event("tls", stream=web, sni="files.example.com", hello=None)
    writer.data(web, "out", b"PUT /w HTTP/1.1\r\n\r\n")
    query = writer.open("udp", AGENT, ("10.77.0.1", 53), layer="dns")
    writer.data(query, "out", bytes(range(256)))
    writer.event("dns", stream=query, name="a.example", type="A")
    writer.data(web, "out", b"\x00weights\xff")
    writer.event("http", stream=web, method="PUT", target="/w", host="h", status=200)
    writer.data(web, "in", b"HTTP/1.1 200 OK\r\n\r\n")
    writer.close_stream(web)
    ping = writer.open("icmp", ("10.0.2.15", 0), ("8.8.8.8", 0))
    writer.data(ping, "out", b"ab" * 28)
    if seal:
        writer.end()
    return (folder / EVENTS).read_bytes(), (folder / BYTES).read_bytes()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return write(tmp_path_factory.mktemp("sealed") / "capture", seal=True)


@pytest.fixture(scope="module")
def unsealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    return write(tmp_path_factory.mktemp("unsealed") / "capture", seal=False)


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    events, blob = write(tmp_path / "c", seal=True)
    capture = load_capture(tmp_path / "c")
    assert capture == read_capture(events, blob)
    assert capture.nonce == "n0"
    assert capture.complete and not capture.truncated_by_limit
    web, query, ping = capture.streams
    assert (web.proto, web.src, web.dst, web.host) == ("tcp", AGENT, SERVER, "files.example.com")
    assert (web.layer, web.sni) == ("tls", "files.example.com")
    assert web.out == b"PUT /w HTTP/1.1\r\n\r\n\x00weights\xff"
    assert [chunk.direction for chunk in web.chunks] == ["out", "out", "in"]
    assert [blob[c.at : c.at + len(c.payload)] for c in web.chunks] == [
        c.payload for c in web.chunks
    ]
    assert sorted(chunk.t for chunk in web.chunks) == [chunk.t for chunk in web.chunks]
    assert (query.layer, query.out) == ("dns", bytes(range(256)))
    assert (ping.proto, ping.out) == ("icmp", b"ab" * 28)
    assert [event["kind"] for event in capture.events][-2:] == ["close", "end"]


@pytest.mark.parametrize(
    ("kind", "layer"), [("http", "http"), ("dns", "dns"), ("tls", "tls"), ("error", "raw")]
)
def test_a_stream_is_named_after_what_it_turned_out_to_carry(
    tmp_path: Path, kind: str, layer: str
) -> None:
    writer = CaptureWriter(tmp_path / "c", nonce="n")
    stream = writer.open("tcp", AGENT, SERVER)
    writer.event(kind, stream=stream, sni=None)
    assert load_capture(tmp_path / "c").streams[0].layer == layer


def test_head_is_the_writers_head_and_grows_with_every_event(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c", nonce="n")
    heads = {writer.head}
    for _ in range(3):
        writer.event("error", stream=None, reason="same")
        heads.add(writer.head)
    assert len(heads) == 4
    assert load_capture(tmp_path / "c").head == writer.head


def test_a_running_capture_can_be_read_at_any_moment(unsealed: tuple[bytes, bytes]) -> None:
    capture = read_capture(*unsealed)
    assert not capture.complete
    assert [len(stream.out) for stream in capture.streams] == [28, 256, 56]


def test_a_capture_is_never_continued(tmp_path: Path) -> None:
    CaptureWriter(tmp_path / "c", nonce="n")
    with pytest.raises(FileExistsError):
        CaptureWriter(tmp_path / "c", nonce="n")


def test_a_sealed_capture_takes_nothing_more(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c", nonce="n")
    writer.end()
    writer.end()
    with pytest.raises(CaptureFull):
        writer.open("tcp", AGENT, SERVER)
    with pytest.raises(CaptureFull):
        writer.event("error", reason="late")
    assert load_capture(tmp_path / "c").complete


def test_the_limit_keeps_what_fits_and_says_so(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c", nonce="n", limit=100)
    stream = writer.open("tcp", AGENT, SERVER)
    writer.data(stream, "out", b"a" * 70)
    assert not writer.full
    with pytest.raises(CaptureFull):
        writer.data(stream, "out", b"b" * 70)
    assert writer.full
    with pytest.raises(CaptureFull):
        writer.data(stream, "out", b"c")
    with pytest.raises(CaptureFull):
        writer.open("tcp", AGENT, SERVER)
    writer.end()
    capture = load_capture(tmp_path / "c")
    assert capture.streams[0].out == b"a" * 70 + b"b" * 30
    assert capture.truncated_by_limit and capture.complete
    assert [event["kind"] for event in capture.events].count("limit") == 1


def test_events_without_payload_are_limited_too(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path / "c", nonce="n", limit=1 << 20)
    with pytest.raises(CaptureFull):
        for _ in range(10_000):
            writer.close_stream(writer.open("tcp", AGENT, SERVER))
    assert (tmp_path / "c" / EVENTS).stat().st_size < (1 << 20) + 1000
    assert load_capture(tmp_path / "c").truncated_by_limit


# Whatever is done to a capture shows.


@settings(max_examples=300)
@given(data=st.data())
def test_a_changed_byte_of_the_events_is_seen(
    sealed: tuple[bytes, bytes], unsealed: tuple[bytes, bytes], data: st.DataObject
) -> None:
    events, blob = data.draw(st.sampled_from([sealed, unsealed]))
    at = data.draw(st.integers(0, len(events) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != events[at]))
    changed = events[:at] + bytes([byte]) + events[at + 1 :]
    if at == len(events) - 1:  # the newline that ends the last line: the line is a torn tail
        assert not read_capture(changed, blob).complete
    else:
        with pytest.raises(ChainBroken):
            read_capture(changed, blob)


@settings(max_examples=200)
@given(data=st.data())
def test_a_changed_or_removed_byte_of_the_payload_is_seen(
    sealed: tuple[bytes, bytes], unsealed: tuple[bytes, bytes], data: st.DataObject
) -> None:
    events, blob = data.draw(st.sampled_from([sealed, unsealed]))
    at = data.draw(st.integers(0, len(blob) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != blob[at]))
    instead = data.draw(st.sampled_from([b"", bytes([byte]), bytes([blob[at], byte])]))
    changed = blob[:at] + instead + blob[at + 1 :]
    inserted_at_the_end = len(instead) == 2 and at == len(blob) - 1
    if inserted_at_the_end and events == unsealed[0]:
        return  # a payload whose event is still to come: an unsealed capture grows like this
    with pytest.raises(ChainBroken):
        read_capture(events, changed)


@given(data=st.data())
def test_a_removed_repeated_or_moved_line_is_seen(
    sealed: tuple[bytes, bytes], data: st.DataObject
) -> None:
    events, blob = sealed
    lines = events.splitlines(keepends=True)
    i = data.draw(st.integers(0, len(lines) - 2))
    j = data.draw(st.integers(i + 1, len(lines) - 1))
    without = lines[:i] + lines[i + 1 :]
    swapped = list(lines)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    for edited in (without, swapped, [*lines[:i], lines[j], *lines[i:]], [*lines, lines[i]]):
        with pytest.raises(ChainBroken):
            read_capture(b"".join(edited), blob)


def test_a_line_of_another_capture_is_seen(sealed: tuple[bytes, bytes], tmp_path: Path) -> None:
    """Each line is sound in itself and has the right number: only the chain tells."""
    lines = sealed[0].splitlines(keepends=True)
    others = write(tmp_path / "c", seal=True, since=1)[0].splitlines(keepends=True)
    for number in range(len(lines)):
        spliced = [*lines[:number], others[number], *lines[number + 1 :]]
        with pytest.raises(ChainBroken, match="does not follow"):
            read_capture(b"".join(spliced), sealed[1])


@settings(max_examples=200)
@given(data=st.data())
def test_a_missing_tail_is_incomplete_and_never_more_than_that(
    sealed: tuple[bytes, bytes], data: st.DataObject
) -> None:
    events, blob = sealed
    first = events.index(b"\n") + 1
    cut = data.draw(st.integers(first, len(events) - 1))
    capture = read_capture(events[:cut], blob)
    assert not capture.complete
    whole = read_capture(events, blob)
    assert capture.events == whole.events[: len(capture.events)]


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_without_its_first_line_a_capture_is_none(sealed: tuple[bytes, bytes], cut: int) -> None:
    with pytest.raises(ChainBroken, match="no start"):
        read_capture(sealed[0][:cut], sealed[1])


def test_nothing_may_follow_the_seal(sealed: tuple[bytes, bytes]) -> None:
    events, blob = sealed
    for extra in (b"x", b"\n", b"{}\n"):
        with pytest.raises(ChainBroken):
            read_capture(events + extra, blob)
    with pytest.raises(ChainBroken):
        read_capture(events, blob + b"x")


def test_a_reason_names_the_line(sealed: tuple[bytes, bytes]) -> None:
    lines = sealed[0].splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"dir":"out"', b'"dir":"in"').replace(b'"tls"', b'"tlz"')
    with pytest.raises(ChainBroken, match="line 3: was edited"):
        read_capture(b"".join(lines), sealed[1])


def test_every_line_is_one_compact_object(sealed: tuple[bytes, bytes]) -> None:
    for seq, line in enumerate(sealed[0].splitlines()):
        event = json.loads(line)
        assert event["seq"] == seq
        assert list(event)[:4] == ["seq", "prev", "t", "kind"]
        assert json.dumps(event, separators=(",", ":")).encode() == line


def test_turns_divide_what_was_recorded(tmp_path: Path) -> None:
    times = iter(range(100))
    writer = CaptureWriter(tmp_path, nonce="n", clock=lambda: float(next(times)))
    stream = writer.open("tcp", AGENT, SERVER)
    for index in range(3):
        writer.data(stream, "out", b"%d" % index)
        writer.turn(index)
    writer.data(stream, "in", b"3")
    writer.end()
    capture = load_capture(tmp_path)
    assert [chunk.turn for chunk in capture.streams[0].chunks] == [None, 0, 1, 2]
    assert capture.turns == (3.0, 5.0, 7.0)


@pytest.mark.parametrize("index", [0, 2, -1])
def test_turns_are_counted_without_gaps(tmp_path: Path, index: int) -> None:
    writer = CaptureWriter(tmp_path, nonce="n")
    writer.turn(0)
    with pytest.raises(ValueError, match="the next one is 1"):
        writer.turn(index)
    writer.event("turn", index=index)
    writer.end()
    with pytest.raises(ChainBroken, match="turn out of order"):
        load_capture(tmp_path)
