"""Undo text encodings: base64, base32, hexadecimal, base85."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.base85 import ALPHABETS, decode85, is_base85
from sandbox.evidence.decode import Blob, Budget, starts_container
from sandbox.evidence.noise import TEXT, holds_text

SHORTEST = 32
"""Characters of the shortest run that is taken for encoded data."""
SHORTEST_85 = TEXT
"""Characters of the shortest run that is taken for base85, whose alphabets hold prose too."""
SOLID = 256
"""Characters of a run longer than any hash or identifier."""
MANY = 4000
"""Runs that are tried one by one at most."""
SOME = 12
"""Of more runs than that, only so many are tried first."""
MANY_85 = 16
"""The same for base85, which prose is full of."""

_HEX = b"0123456789abcdefABCDEF"
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BREAKS = b"\r\n"
_URLSAFE = bytes.maketrans(b"-_", b"+/")
_BLOCK = 1 << 20
_PROBE = 4096


def _table(characters: bytes) -> NDArray[np.int8]:
    table = np.zeros(256, np.int8)
    table[np.frombuffer(characters + _BREAKS, np.uint8)] = 1
    return table


_WORD = _LETTERS + b"+/-_"
_IN_WORD = _table(_WORD)
_IN_85 = {name: _table(ALPHABETS[name] + b"z") for name in ALPHABETS}
_IN_ANY_85 = _table(b"".join(ALPHABETS.values()))


@dataclass(frozen=True, slots=True)
class _Run:
    start: int
    end: int
    text: bytes
    padded: bool


def texts(data: bytes, budget: Budget, value: Callable[[bytes], int]) -> Iterator[Blob]:
    """Data written as text, anywhere in a buffer.

    Runs of one alphabet are put together over whatever stands between them (JSON, headers, line
    breaks), because an encoded file may be cut anywhere; where that makes no sense they are read
    one by one.

    Args:
        data: The buffer.
        budget: Pays for the output.
        value: How many bytes of a decoded buffer are recognised; picks between the readings.

    Yields:
        Blobs, at most one for each alphabet.
    """
    kinds: dict[str, list[_Run]] = {"hex": [], "base32": [], "base64": []}
    for whole in _runs(data, _IN_WORD, SHORTEST):
        run, kind = _pure(data, whole)
        if kind != "base64" or _is_mixed(data[run.start : run.start + 2 * SOLID]):
            kinds[kind].append(run)
    for name, runs in kinds.items():
        if runs and budget.spend(sum(len(run.text) for run in runs)):
            decoded, ended = _best(name, runs, value)
            if decoded:
                yield _blob(name, runs, decoded, ended)


def texts85(data: bytes, budget: Budget, value: Callable[[bytes], int]) -> Iterator[Blob]:
    """Data written in base85, anywhere in a buffer that holds nothing simpler.

    Args:
        data: The buffer.
        budget: Pays for the output.
        value: How many bytes of a decoded buffer are recognised; picks between the readings.

    Yields:
        Blobs, at most one for each alphabet.
    """
    if not holds_text(data):
        return
    if not any(True for _ in _runs(data, _IN_ANY_85, SHORTEST_85)):
        return
    for name, table in _IN_85.items():
        runs = [run for run in _runs(data, table, SHORTEST_85) if _is_mixed_85(run.text[:_PROBE])]
        if not runs or not is_base85(max(runs, key=lambda run: len(run.text)).text[:_PROBE], name):
            continue
        if budget.spend(sum(len(run.text) for run in runs)):
            decoded, whole = _best(name, runs, value)
            if decoded:
                yield _blob(name, runs, decoded, whole)


def _blob(name: str, runs: Sequence[_Run], decoded: bytes, whole: bool) -> Blob:
    start, end = runs[0].start, runs[-1].end
    longest = max(len(run.text) for run in runs)
    solid = longest >= SOLID and 2 * sum(run.end - run.start for run in runs) >= end - start
    return Blob(name, start, end, decoded, whole, solid=solid)


def is_word(data: bytes) -> bool:
    """Whether a buffer is nothing but base64, base32 or hexadecimal with line breaks."""
    spare = _LETTERS + b"+/-_=" + _BREAKS
    return not data[:_PROBE].translate(None, spare) and not data.translate(None, spare)


def short(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What a text may decode to that is too short to be taken for encoded data by itself.

    Args:
        data: All of the text.

    Yields:
        Each reading that its characters allow, with its name.
    """
    text = data.rstrip(b"=\r\n")
    if not text or len(text) >= SHORTEST or text.translate(None, _WORD):
        return
    if not text.translate(None, _HEX):
        yield "hex", _base16(text)
    if not text.upper().translate(None, _BASE32):
        yield "base32", _base32(text)
    yield "base64", _base64(text.translate(_URLSAFE))


def _runs(data: bytes, table: NDArray[np.int8], shortest: int) -> Iterator[_Run]:
    url_safe = table is _IN_WORD
    array = np.frombuffer(data, np.uint8)
    inside = np.zeros(len(array) + 2, np.int8)
    for start in range(0, len(array), _BLOCK):
        block = array[start : start + _BLOCK]
        inside[start + 1 : start + 1 + len(block)] = table[block]
    edges = np.flatnonzero(np.diff(inside))
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= shortest
    for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True):
        text = data[start:end].translate(_URLSAFE if url_safe else None, _BREAKS)
        if len(text) >= shortest:
            yield _Run(start, end, text, data[end : end + 1] == b"=")


def _kind(text: bytes) -> str:
    for name, alphabet in (("hex", _HEX), ("base32", _BASE32), ("base32", _BASE32.lower())):
        # The start decides for nearly all; the rest is looked at only when it agrees.
        if not text[:64].translate(None, alphabet) and not text.translate(None, alphabet):
            return name
    return "base64"


def _pure(data: bytes, run: _Run) -> tuple[_Run, str]:
    """A run and its alphabet, without the words on the next lines that only touch it.

    Line breaks are in every alphabet: after hexadecimal in a header comes the next header's name.
    """
    kind = _kind(run.text)
    first = data.find(b"\n", run.start, run.end) + 1 if kind == "base64" else 0
    if first == 0:
        return run, kind
    last = data.rfind(b"\n", run.start, run.end)
    for start, end in ((run.start, last), (first, run.end), (first, last)):
        if _kind(data[start : min(end, start + 64)].translate(None, _BREAKS)) != "base64":
            text = data[start:end].translate(None, _BREAKS)
            kind = _kind(text)
            if kind != "base64" and len(text) >= SHORTEST:
                return _Run(start, end, text, padded=data[end : end + 1] == b"="), kind
    return run, "base64"


def _is_mixed(text: bytes) -> bool:
    """Whether a run has the mixture of characters that base64 has, and words and paths lack."""
    if (b"-" in text or b"_" in text) and (b"+" in text or b"/" in text):
        return False
    size = len(text)
    upper = size - len(text.translate(None, _LETTERS[:26]))
    lower = size - len(text.translate(None, _LETTERS[26:52]))
    other = size - upper - lower
    return 10 * upper >= size and 20 * lower >= size and (other > 0 or size < 2 * SHORTEST)


def _is_mixed_85(text: bytes) -> bool:
    """Whether a run has the capitals and the punctuation that base85 has, and prose lacks."""
    upper = len(text) - len(text.translate(None, _LETTERS[:26]))
    marks = len(text.translate(None, _LETTERS))
    return 12 * upper >= len(text) and 12 * marks >= len(text)


def _best(name: str, runs: Sequence[_Run], value: Callable[[bytes], int]) -> tuple[bytes, bool]:
    """The reading of the runs that makes most sense, and whether it used every character."""
    decode, unit = _DECODERS[name]
    joined = b"".join(decode(segment) for segment in _segments(runs))
    worth = value(joined)
    if worth >= 0.99 * len(joined) or starts_container(joined):
        return joined, all(len(run.text) % unit == 0 or run.padded for run in runs)
    readings = [(worth, joined)]
    if len(runs) > 1:
        apart = b"".join(decode(run.text) for run in runs)
        readings.append((value(apart), apart))
    if len(runs) <= (MANY_85 if unit == 5 else MANY) and max(readings)[0] < 0.5 * len(joined):
        # Each run may begin anywhere in a group of characters. Try some before all.
        some = runs[:: max(1, len(runs) // SOME)]
        if any(_shifted(run.text, decode, unit, value)[0] for run in some):
            shifted = b"".join(_shifted(run.text, decode, unit, value)[1] for run in runs)
            readings.append((value(shifted), shifted))
    worth, best = max(readings, key=lambda reading: reading[0])
    return best, False


def _shifted(
    text: bytes, decode: Callable[[bytes], bytes], unit: int, value: Callable[[bytes], int]
) -> tuple[int, bytes]:
    """A run decoded from the character at which it makes most sense, and how much it makes."""
    probe = text[:_BLOCK]
    worths = [
        value(decoded) + (len(decoded) if starts_container(decoded) else 0)
        for decoded in (decode(probe[skip:]) for skip in range(unit))
    ]
    return max(worths), decode(text[max(range(unit), key=worths.__getitem__) :])


def _segments(runs: Sequence[_Run]) -> list[bytes]:
    """Runs put together up to each one that ends in padding."""
    segments: list[list[bytes]] = [[]]
    for run in runs:
        segments[-1].append(run.text)
        if run.padded:
            segments.append([])
    return [b"".join(segment) for segment in segments if segment]


def _base64(text: bytes) -> bytes:
    if len(text) % 4 == 1:
        text = text[:-1]
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def _base16(text: bytes) -> bytes:
    return binascii.unhexlify(text[: len(text) // 2 * 2])


def _base32(text: bytes) -> bytes:
    values = np.zeros(256, np.uint64)
    values[np.frombuffer(_BASE32, np.uint8)] = np.arange(32)
    digits = values[np.frombuffer(text.upper() + b"A" * (-len(text) % 8), np.uint8)].reshape(-1, 8)
    groups = np.zeros(len(digits), np.uint64)
    for column in range(8):
        groups = groups << np.uint64(5) | digits[:, column]
    wide = groups.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 3:]
    return wide.tobytes()[: len(text) * 5 // 8]


_DECODERS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "hex": (_base16, 2),
    "base32": (_base32, 8),
    "base64": (_base64, 4),
    **{name: (partial(decode85, name=name), 5) for name in ALPHABETS},
}
