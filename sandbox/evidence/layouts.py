"""Undo layouts: hexdumps, lists of numbers, chunked coding, multipart."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator

import numpy as np

from sandbox.evidence.decode import Blob, Budget
from sandbox.evidence.noise import holds_text

LONGEST = 24
"""Characters of the longest number in a list."""
FEWEST = 24
"""Numbers of the shortest list."""

_XXD = re.compile(
    rb"(?<![^\n\"'])[ \t]*[0-9a-fA-F]{4,16}: ((?:[0-9a-fA-F]{2,16} )*[0-9a-fA-F]{2,16})"
)
_DUMP = re.compile(
    rb"(?m)(?<![^\n\"'])[ \t]*[0-9a-fA-F]{6,16}[ \t]+"
    rb"((?:[0-9a-fA-F]{2,16}[ \t]+)*[0-9a-fA-F]{2,16})"
    rb"(?=[ \t]*(?:[|>\"']|\r?$))"
)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})(?:;[^\r\n]{0,200})?\r\n")
_BOUNDARY = re.compile(rb"(?:^|\r?\n)--([^\r\n]{1,100})\r?\n(?=[Cc]ontent-)")
_LIST = re.compile(rb"[0-9a-fA-FxX\s,;:eE+.\-\[\](){}]{96,}")
_FIRST = re.compile(rb"(?<![0-9a-zA-Z.])-?[0-9a-fA-F]")
_HEX_NUMBER = re.compile(rb"0[xX][0-9a-fA-F]{1,8}")
_OCTAL_NUMBER = re.compile(rb"[0-7]{1,8}")
_SEPARATORS = bytes.maketrans(b",;:[](){}\t\r\n", b" " * 12)
_LOOK = 1 << 12
_PROBE = 64 << 10


def layouts(data: bytes, budget: Budget, value: Callable[[bytes], int]) -> Iterator[Blob]:
    """Data that is laid out in one of the known ways.

    Args:
        data: The buffer.
        budget: Pays for the output.
        value: How many bytes of a decoded buffer are recognised; says which way words are turned.

    Yields:
        Blobs; for most buffers none. They do not overlap.
    """
    for decode in (_dump, _numbers):
        blobs = list(decode(data, value))
        if blobs and budget.spend(sum(len(blob.data) for blob in blobs)):
            yield from blobs
            return


def framed(data: bytes, budget: Budget) -> Iterator[Blob]:
    """What chunked coding or a multipart body frames; to be undone before anything inside.

    Args:
        data: The buffer.
        budget: Pays for the output.

    Yields:
        Blobs; for most buffers none. They do not overlap.
    """
    blobs = list(_chunked(data)) or list(_multipart(data))
    if blobs and budget.spend(sum(len(blob.data) for blob in blobs)):
        yield from blobs


def is_chunked(data: bytes) -> bool:
    """Whether a buffer begins with two chunks of HTTP's chunked coding at least."""
    head = _CHUNK.match(data)
    if head is None:
        return False
    end = head.end() + int(head.group(1), 16)
    return data[end : end + 2] == b"\r\n" and _CHUNK.match(data, end + 2) is not None


def _chunked(data: bytes) -> Iterator[Blob]:
    """HTTP's chunked coding, up to where it breaks off."""
    parts: list[bytes] = []
    at = 0
    while (head := _CHUNK.match(data, at)) is not None:
        size = int(head.group(1), 16)
        end = head.end() + size
        if not size or end > len(data) or data[end : end + 2] != b"\r\n":
            parts.append(data[head.end() : min(end, len(data))])
            at = min(end, len(data)) if size else head.end()
            break
        parts.append(data[head.end() : end])
        at = end + 2
    if len(parts) > 1 and sum(map(len, parts)) * 2 > at:
        if data[at:].strip(b"\r\n") == b"":
            at = len(data)
        yield Blob("chunked", 0, at, b"".join(parts), True)


def _multipart(data: bytes) -> Iterator[Blob]:
    """The values of a multipart body."""
    found = _BOUNDARY.search(data, 0, _LOOK)
    if found is None:
        return
    mark = b"\n--" + found.group(1)  # on a line of its own: base64 for URLs has dashes too
    at = found.start(1)
    while at >= 0:
        after = data.find(mark, at)
        stop = after if after >= 0 else len(data)
        head, gap, _ = data[at:stop].partition(b"\r\n\r\n")
        if gap:
            start = at + len(head) + len(gap)
            end = stop - 1 if after >= 0 and data[start:stop].endswith(b"\r") else stop
            if end > start:
                yield Blob("multipart", start, end, data[start:end], True)
        at = after + len(mark) if after >= 0 else -1


def _dump(data: bytes, value: Callable[[bytes], int]) -> Iterator[Blob]:
    """The digits of a hexdump: xxd, hexdump -C, od -x and their like."""
    for pattern, turned in ((_XXD, False), (_DUMP, True)):
        first = pattern.search(data, 0, _LOOK)
        if first is None or pattern.search(data, first.end(), first.end() + _LOOK) is None:
            continue
        rows: list[bytes] = pattern.findall(data)
        digits = b"".join(rows).translate(None, b" \t")
        # Without a colon, groups of more than two digits are little-endian words.
        width = len(rows[0].split()[0]) // 2
        decoded = binascii.unhexlify(digits[: len(digits) // 2 * 2])
        if width > 1:
            decoded = _turned(decoded, width, turned, value)
        if len(digits) >= len(data) // 6:
            yield Blob("hexdump", 0, len(data), decoded, True)
            return


def _turned(data: bytes, width: int, turned: bool, value: Callable[[bytes], int]) -> bytes:
    """Words in the byte order that makes sense; the one that is usual when neither does."""
    usual, other = _swap(data, width) if turned else data, data if turned else _swap(data, width)
    return other if value(other[:_PROBE]) > value(usual[:_PROBE]) else usual


def _swap(data: bytes, width: int) -> bytes:
    whole = len(data) // width * width
    words = np.frombuffer(data[:whole], np.uint8).reshape(-1, width)
    return words[:, ::-1].tobytes() + data[whole:][::-1]


def _numbers(data: bytes, value: Callable[[bytes], int]) -> Iterator[Blob]:
    """Lists of numbers: bytes, wider integers, or floating point."""
    if not holds_text(data):
        return
    for found in _LIST.finditer(data):
        begun = _FIRST.search(found.group())
        text = found.group()[begun.start() :] if begun else b""
        look = text[: 1 << 10].translate(_SEPARATORS).split()
        if len(look) < FEWEST or max(map(len, look)) > LONGEST:
            continue
        blob = _list(text, look, value)
        if blob is not None:
            name, decoded = blob
            yield Blob(name, found.start(), found.end(), decoded, True)


def _list(
    text: bytes, look: list[bytes], value: Callable[[bytes], int]
) -> tuple[str, bytes] | None:
    words = look[1:-1]
    flat = text.translate(_SEPARATORS).strip()
    if all(word[:2] in (b"0x", b"0X") for word in words):
        if {len(word) for word in words} <= {3, 4}:
            return "numbers", _integers(flat, _HEX_NUMBER, 16)
        return None
    width = len(words[0])
    even = width in (2, 4, 8, 16) and {len(word) for word in words} == {width}
    if even and any(not word.isdigit() for word in words):
        decoded = _unhex(flat.translate(None, b" "))
        return "hex", decoded if width == 2 else _turned(decoded, width // 2, True, value)
    if any(re.fullmatch(rb"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", word) is None for word in words):
        return None
    if all(len(word) == 3 for word in words) and max(words) <= b"377" and _octal(words):
        return "numbers", _integers(flat, _OCTAL_NUMBER, 8)
    try:
        values = np.fromstring(flat, np.float64, sep=" ")
    except ValueError:  # something else is in between: slower, word by word
        number = re.compile(rb"-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
        values = np.array([float(word) for word in flat.split() if number.fullmatch(word)])
    return _narrow(values)


def _integers(flat: bytes, number: re.Pattern[bytes], base: int) -> bytes:
    """The bytes that words stand for; whatever else is in between is left out."""
    return bytes(int(word, base) & 255 for word in flat.split() if number.fullmatch(word))


def _octal(words: list[bytes]) -> bool:
    return not any(b"8" in word or b"9" in word for word in words)


def _unhex(digits: bytes) -> bytes:
    cut = re.match(rb"(?:[0-9a-fA-F]{2})*", digits)
    return binascii.unhexlify(cut.group()) if cut else b""


def _narrow(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[str, bytes]:
    """The bytes that a list stands for, by the range of its values."""
    if not len(values):
        return "numbers", b""
    values = values[np.abs(values) < 2**63]
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not np.array_equal(values, np.rint(values)):
        with np.errstate(over="ignore"):
            return "decimal", values.astype(np.float16).tobytes()
    for kind, least, most in (
        ("u1", 0, 255),
        ("i1", -128, 127),
        ("<u2", 0, 65535),
        ("<i2", -32768, 32767),
        ("<u4", 0, 2**32 - 1),
        ("<i4", -(2**31), 2**31 - 1),
    ):
        if least <= low and high <= most:
            return "numbers", values.astype(kind).tobytes()
    return "numbers", values.astype("<i8").tobytes()
