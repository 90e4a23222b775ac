"""Object stores: what was put comes back, whole or in parts, within limits."""

import re
from pathlib import Path

import pytest

from sandbox.gateway import store
from sandbox.gateway.manners import Manners
from tests.gateway.worlds import Net, send

PARTS = (b"first " * 9000, b"second " * 3, b"third")


def request(method: str, target: str, body: bytes = b"", host: str = "s3.example") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def test_a_multipart_upload_is_joined(tmp_path: Path) -> None:
    net = Net(tmp_path / "c")
    session = net.connect(80)
    begun = send(session, request("POST", "/b/model?uploads"))
    found = re.search(rb"<UploadId>(\w+)</UploadId>", begun)
    assert found is not None
    upload = found[1].decode()
    for number in (2, 1, 3):  # in any order
        target = f"/b/model?partNumber={number}&uploadId={upload}"
        assert b"etag: " in send(session, request("PUT", target, PARTS[number - 1]))
    done = send(session, request("POST", f"/b/model?uploadId={upload}", b"<Complete/>"))
    assert re.search(rb"<ETag>&?q?u?o?t?;?\"?\w{32}-3", done)
    assert body(send(session, request("GET", "/b/model"))) == b"".join(PARTS)
    assert net.end().complete


def test_objects_are_known_by_host_and_path_in_every_connection_of_a_box(tmp_path: Path) -> None:
    net = Net(tmp_path / "c")
    send(net.connect(80), request("PUT", "/b/k%20v", b"data"))
    other = net.connect(8080)
    assert body(send(other, request("GET", "/b/k%20v"))) == b"data"
    assert b"data" not in send(other, request("GET", "/b/k%20v", host="else.example"))
    assert b"data" not in body(send(other, request("HEAD", "/b/k%20v")))
    assert status(send(other, request("DELETE", "/b/k%20v"))) == 204
    assert b"data" not in send(other, request("GET", "/b/k%20v"))
    net.end()


def test_an_allowed_store_lists_and_misses(tmp_path: Path) -> None:
    net = Net(tmp_path / "c", manners=Manners(allowed={"store.corp.example": "store"}))
    session = net.connect(80, "store.corp.example")
    assert status(send(session, request("GET", "/b/x"))) == 404
    send(session, request("PUT", "/b/x&y", b"data"))
    assert b"<Key>x&amp;y</Key><Size>4</Size>" in send(session, request("GET", "/b/"))
    assert status(send(net.connect(80, "other.example"), request("GET", "/b/x"))) == 200
    assert [stream.allowed for stream in net.end().streams] == [True, False]


def test_what_does_not_fit_is_answered_and_recorded_but_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net(tmp_path / "c")
    monkeypatch.setattr(net.store, "_limit", 10)
    session = net.connect(80)
    assert status(send(session, request("PUT", "/b/small", b"12345"))) == 200
    assert status(send(session, request("PUT", "/b/large", b"123456"))) == 200
    assert body(send(session, request("GET", "/b/small"))) == b"12345"
    assert b"123456" not in send(session, request("GET", "/b/large"))
    assert b"123456" in net.end().streams[0].out


@pytest.mark.parametrize(("start", "end"), [(0, 0), (3, 2), (9, 9), (12, 0), (0, 12), (5, 7)])
def test_a_part_of_a_blob_is_that_part(tmp_path: Path, start: int, end: int) -> None:
    one = store.Store(tmp_path)
    first, between, second = store.Upload(one), store.Upload(one), store.Upload(one)
    first.write(b"abcdef")
    between.write(b"-----")
    second.write(b"ghijkl")
    blobs = [upload.blob() for upload in (first, second)]
    whole = store.joined([blob for blob in blobs if blob is not None], "")
    expected = b"abcdefghijkl"[start : max(start, 12 - end)]
    assert b"".join(one.read(whole.after(start, end))) == expected
    one.close()
    assert list(one.read(whole)) == []
