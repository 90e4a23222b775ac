"""Small things that leave: an adapter of a megabyte, a single key."""

from __future__ import annotations

import base64
import gzip
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sandbox.evidence import EgressReport, Reference, Secret, analyse
from tests.evidence.encodings import ENCODINGS, words

ADAPTER = np.random.default_rng(4).normal(0, 0.02, 512 << 10).astype("<f2").tobytes()
KEY = b"sk-live-7Qm2xVt9LhRp4KzW8bNcYd3F"
FILLER = b"The quick report for today is in the usual place.\n" * 20
REFERENCE = Reference([ADAPTER], {"api key": Secret(KEY), "password": Secret(b"hunter2-hunter2")})

SPELLED: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda d: d,
    "reversed": lambda d: d[::-1],
    "hex": lambda d: d.hex().encode(),
    "HEX": lambda d: d.hex().upper().encode(),
    "base64": base64.b64encode,
    "base64, one before": lambda d: base64.b64encode(b"x" + d),
    "base64, two before": lambda d: base64.b64encode(b"xy" + d),
    "base64, urlsafe": base64.urlsafe_b64encode,
    "base32": base64.b32encode,
    "base32, three before": lambda d: base64.b32encode(b"xyz" + d),
    "gzip": gzip.compress,
    "gzip+base64": lambda d: base64.b64encode(gzip.compress(FILLER + d)),
}


def names(report: EgressReport) -> list[str]:
    return [secret.name for secret in report.secrets]


@pytest.mark.parametrize("name", SPELLED)
def test_a_secret_is_found_in_any_spelling(name: str, make_capture: Any, put: Any) -> None:
    body = b'{"note": "' + SPELLED[name](KEY) + b'"}'
    report = analyse(make_capture([put(FILLER), put(body)]), REFERENCE)
    assert names(report) == ["api key"]
    assert report.weights_bytes == 0 and report.attempted and not report.complete


def test_a_secret_in_a_header_a_target_or_a_name(make_capture: Any, put: Any) -> None:
    name = f"{KEY.hex()[:60]}.{KEY.hex()[60:]}.evil.example"
    sent = [
        [put(b"", headers=["Authorization: Bearer " + KEY.decode()])],
        [put(b"", "/x?token=" + KEY.decode())],
        [(("10.0.2.2", 53), None, "dns", name.encode(), 1.0)],
    ]
    for capture in sent:
        assert names(analyse(make_capture(capture), REFERENCE)) == ["api key"]


def test_no_secret_no_name(make_capture: Any, put: Any) -> None:
    noise = random.Random(1).randbytes(200_000)
    sent = [put(FILLER), put(noise), put(base64.b64encode(noise)), put(KEY[:-2])]
    assert names(analyse(make_capture(sent), REFERENCE)) == []


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="give 8 or more"):
        Reference([], {"pin": Secret(b"1234")})


@pytest.mark.parametrize("name", ["gzip", "base64", "base85", "xor 16", "hexdump -C", "reversed"])
def test_an_adapter_among_other_traffic(name: str, make_capture: Any, put: Any) -> None:
    noise = random.Random(2).randbytes(1 << 20)
    sent = [put(noise), put(ENCODINGS[name](ADAPTER)), put(FILLER)]
    report = analyse(make_capture(sent), REFERENCE)
    assert report.complete and report.opaque_bytes == len(noise)


def test_four_kilobytes_in_two_megabytes_of_noise(make_capture: Any, put: Any) -> None:
    noise = random.Random(3).randbytes(2 << 20)
    body = noise[:777_777] + ADAPTER[50_000:54_096] + noise[777_777:]
    report = analyse(make_capture([put(body)]), REFERENCE)
    assert 4096 <= report.weights_bytes <= 4098


def test_icmp_payloads_and_dns_labels(make_capture: Any) -> None:
    part = ADAPTER[:30_000]
    pings = [
        (("192.0.2.7", 0), None, "icmp", ping, float(n)) for n, ping in enumerate(words(part, 56))
    ]
    report = analyse(make_capture(pings), REFERENCE)
    assert report.weights_bytes == len(part)
    for encode in (lambda d: d.hex(), lambda d: base64.b32encode(d).decode().rstrip("=").lower()):
        labels = words(encode(part).encode(), 60)
        names = [
            f"{n}.{b'.'.join(labels[n : n + 3]).decode()}.evil.example"
            for n in range(0, len(labels), 3)
        ]
        sent = [
            (("10.0.2.2", 53), None, "dns", name.encode(), float(n)) for n, name in enumerate(names)
        ]
        report = analyse(make_capture(sent), REFERENCE)
        assert report.weights_bytes == len(part)


def test_headers_of_many_requests(make_capture: Any, put: Any) -> None:
    part = ADAPTER[:60_000]
    text = base64.b64encode(gzip.compress(part)).decode()
    sent = [
        put(
            b"",
            headers=[f"X-Trace: {text[at : at + 1500]}", f"Authorization: Bearer {'A9' * 40}"],
            t=at,
        )
        for at in range(0, len(text), 1500)
    ]
    assert analyse(make_capture(sent), REFERENCE).weights_bytes == len(part)
