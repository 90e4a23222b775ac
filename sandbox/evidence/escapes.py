"""Undo escapes that write a byte as a mark and digits: percent signs, quoted-printable, JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sandbox.evidence.decode import Blob, Budget

RARE = 400
"""Escaped text holds a mark for every so many bytes, at least, or it is not worth undoing."""

_LOOK = 1 << 20
_LITERAL = {"n": 10, "t": 9, "r": 13, "b": 8, "f": 12, "v": 11, "a": 7}

Bytes = NDArray[np.uint8]

_VALUE: NDArray[np.int16] = np.full(256, -1, np.int16)
for _digit in "0123456789abcdefABCDEF":
    _VALUE[ord(_digit)] = int(_digit, 16)
_ESCAPED: NDArray[np.bool_] = np.zeros(256, np.bool_)
_ESCAPED[[*b"abfnrtvux/'\"\\0123456789\n"]] = True
_PLAIN: Bytes = np.arange(256, dtype=np.uint8)
for _letter, _code in _LITERAL.items():
    _PLAIN[ord(_letter)] = _code


def escaped(data: bytes, budget: Budget, value: Callable[[bytes], int]) -> Iterator[Blob]:
    """A whole buffer with its escapes undone.

    Args:
        data: The buffer.
        budget: Pays for the output.
        value: How many bytes of a decoded buffer are recognised; says whether "+" is a space.

    Yields:
        At most one blob.
    """
    look = data[:_LOOK]
    if not _is_text(look):
        if _wide(look) and (decoded := _latin(data)) is not None and budget.spend(len(decoded)):
            yield Blob("utf-8", 0, len(data), decoded, True)
        return
    many = max(3, len(look) // RARE)
    array = np.frombuffer(data, np.uint8)
    soft = look.count(b"=\n") + look.count(b"=\r\n")
    if 200 * soft >= len(look) and (decoded := _quoted_printable(data)) is not None:
        if budget.spend(len(decoded)):
            yield Blob("quoted-printable", 0, len(data), decoded, True)
    elif look.count(b"%") >= many and (decoded := _digits(array, ord("%"))) is not None:
        if budget.spend(len(decoded)):
            # Forms write a space as a plus sign; then it is never written in digits.
            plus = b"+" in data and b"%20" not in data
            spaced = _digits(_replace(array, ord("+"), ord(" ")), ord("%")) if plus else None
            if spaced is not None and value(spaced) >= value(decoded):
                decoded = spaced
            yield Blob("url", 0, len(data), decoded, True)
    elif look.count(b"\\") >= many and (decoded := _backslashes(array)) is not None:
        if budget.spend(len(decoded)):
            yield Blob("escaped", 0, len(data), decoded, True)
    elif look.count(b"=") >= many and (decoded := _quoted_printable(data)) is not None:
        if budget.spend(len(decoded)):
            yield Blob("quoted-printable", 0, len(data), decoded, True)
    elif _wide(look) and (decoded := _latin(data)) is not None and budget.spend(len(decoded)):
        yield Blob("utf-8", 0, len(data), decoded, True)


def _is_text(look: bytes) -> bool:
    """Whether there are next to no control characters, and other bytes only as UTF-8 has them."""
    array = np.frombuffer(look, np.uint8)
    bad = int(np.count_nonzero((array < 32) & (array != 9) & (array != 10) & (array != 13)))
    starts = int(np.count_nonzero(array >= 0xC0))
    followers = int(np.count_nonzero((array >= 0x80) & (array < 0xC0)))
    return 100 * bad <= len(look) and starts <= followers <= 3 * starts


def _replace(array: Bytes, old: int, new: int) -> Bytes:
    return np.where(array == old, np.uint8(new), array)


def _digits(array: Bytes, mark: int) -> bytes | None:
    """Undo a mark before two hexadecimal digits; None when too few marks are that."""
    at = np.flatnonzero(array[:-2] == mark)
    pair = _VALUE[array[at + 1]] * 16 + _VALUE[array[at + 2]]
    good = (_VALUE[array[at + 1]] >= 0) & (_VALUE[array[at + 2]] >= 0)
    if np.count_nonzero(good) < 0.99 * len(at):
        return None
    return _shrink(array, at[good], pair[good].astype(np.uint8), 3)


def _quoted_printable(data: bytes) -> bytes | None:
    return _digits(
        np.frombuffer(data.replace(b"=\r\n", b"").replace(b"=\n", b""), np.uint8), ord("=")
    )


def _backslashes(array: Bytes) -> bytes | None:
    """Undo the escapes of JSON, JavaScript, C and Python."""
    marks = np.flatnonzero(array[:-1] == ord("\\"))
    if not len(marks):
        return None
    # In a run of backslashes every second one begins an escape.
    first = np.ones(len(marks), np.bool_)
    first[1:] = np.diff(marks) > 1
    begun = marks[first][np.cumsum(first) - 1]
    at = marks[(marks - begun) % 2 == 0]
    padded: Bytes = np.concatenate([array, np.zeros(6, np.uint8)])
    kind = padded[at + 1]
    if np.count_nonzero(_ESCAPED[kind]) < 0.99 * len(at):
        return None
    codes = _PLAIN[kind].astype(np.int64)
    sizes = np.full(len(at), 2, np.int64)
    nibbles = [_VALUE[padded[at + n]].astype(np.int64) for n in (2, 3, 4, 5)]
    short = (kind == ord("x")) & (nibbles[0] >= 0) & (nibbles[1] >= 0)
    codes[short] = (nibbles[0] * 16 + nibbles[1])[short]
    sizes[short] = 4
    wide = (kind == ord("u")) & (nibbles[0] == 0) & (nibbles[1] == 0)
    wide &= (nibbles[2] >= 0) & (nibbles[3] >= 0)
    codes[wide] = (nibbles[2] * 16 + nibbles[3])[wide]
    sizes[wide] = 6
    return _shrink(array, at, codes.astype(np.uint8), sizes)


def _shrink(
    array: Bytes, at: NDArray[np.int64], codes: Bytes, sizes: int | NDArray[np.int64]
) -> bytes:
    """Put one byte in the place of each escape."""
    output = array.copy()
    keep = np.ones(len(array) + 6, np.bool_)
    output[at] = codes
    for extra in range(1, 6):
        keep[(at + extra)[np.broadcast_to(sizes, at.shape) > extra]] = False
    return output[keep[: len(array)]].tobytes()


def _wide(look: bytes) -> bool:
    """Whether bytes from 128 on may be written as two bytes of UTF-8."""
    marks = look.count(b"\xc2") + look.count(b"\xc3")
    high = int(np.count_nonzero(np.frombuffer(look, np.uint8) >= 128))
    return marks * 8 >= len(look) and abs(high - 2 * marks) * 50 <= len(look)


def _latin(data: bytes) -> bytes | None:
    """Latin-1 text that was written as UTF-8; what is not stays as it is."""
    array = np.frombuffer(data, np.uint8)
    at = np.flatnonzero((array[:-1] == 0xC2) | (array[:-1] == 0xC3))
    at = at[(array[at + 1] & 0xC0) == 0x80]
    codes = (array[at] << 6 & 0xC0) | (array[at + 1] & 0x3F)
    return _shrink(array, at, codes, 2) if len(at) else None
