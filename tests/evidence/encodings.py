"""Ways to write bytes down, for the evidence tests."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import json
import lzma
import random
import urllib.parse
from collections.abc import Callable

import numpy as np
import zstandard

Encode = Callable[[bytes], bytes]


def words(data: bytes, width: int) -> list[bytes]:
    return [data[at : at + width] for at in range(0, len(data), width)]


def xor(size: int) -> Encode:
    key = np.frombuffer(random.Random(size).randbytes(size), np.uint8)
    return lambda d: (np.frombuffer(d, np.uint8) ^ np.resize(key, len(d))).tobytes()


def swapped(data: bytes, width: int = 2) -> bytes:
    return b"".join(word[::-1] for word in words(data, width))


def table(change: Callable[[int], int]) -> Encode:
    return lambda d: d.translate(bytes(change(n) & 255 for n in range(256)))


def xxd(data: bytes) -> bytes:
    rows = []
    for n, row in enumerate(words(data, 16)):
        digits = " ".join(pair.hex() for pair in words(row, 2))
        shown = "".join(chr(c) if 32 <= c < 127 else "." for c in row)
        rows.append(f"{n * 16:08x}: {digits:<39}  {shown}\n")
    return "".join(rows).encode()


def hexdump(data: bytes) -> bytes:
    rows = []
    for n, row in enumerate(words(data, 16)):
        digits = "  ".join(" ".join(f"{c:02x}" for c in half) for half in words(row, 8))
        shown = "".join(chr(c) if 32 <= c < 127 else "." for c in row)
        rows.append(f"{n * 16:08x}  {digits:<48}  |{shown}|\n")
    return "".join([*rows, f"{len(data):08x}\n"]).encode()


def od(data: bytes) -> bytes:
    rows = [
        f"{n * 16:07o} " + " ".join(word[::-1].hex().rjust(4, "0") for word in words(row, 2)) + "\n"
        for n, row in enumerate(words(data, 16))
    ]
    return "".join([*rows, f"{len(data):07o}\n"]).encode()


def chunked(data: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in words(data, 8000)) + b"0\r\n\r\n"


def multipart(data: bytes) -> bytes:
    head = b'--xYz\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'
    return head + data + b"\r\n--xYz--\r\n"


def integers(kind: str) -> Encode:
    return lambda d: json.dumps({"n": 1, "data": np.frombuffer(d, kind).tolist()}).encode()


def text(data: bytes) -> str:
    return data.decode("latin-1")


ENCODINGS: dict[str, Encode] = {
    "gzip": lambda d: gzip.compress(d, 1, mtime=0),
    "zstd": lambda d: zstandard.ZstdCompressor().compress(d),
    "bz2": lambda d: bz2.compress(d, 1),
    "xz": lambda d: lzma.compress(d, preset=0),
    "base64": base64.b64encode,
    "base32": base64.b32encode,
    "hex": lambda d: d.hex().encode(),
    "base85": base64.b85encode,
    "ascii85": lambda d: base64.a85encode(d, wrapcol=72, adobe=True),
    "url": lambda d: urllib.parse.quote_from_bytes(d).encode(),
    "quoted-printable": lambda d: binascii.b2a_qp(d, istext=False),
    "integers": integers("u1"),
    "JSON string": lambda d: json.dumps({"data": text(d)}).encode(),
    "xxd": xxd,
    "hexdump -C": hexdump,
    "od -x": od,
    "chunked": chunked,
    "multipart": multipart,
    "xor 1": xor(1),
    "xor 5": xor(5),
    "xor 16": xor(16),
    "reversed": lambda d: d[::-1],
    "swap16": swapped,
}
"""A representative set: any two of these, nested, are recognised to the byte."""

MORE: dict[str, Encode] = {
    **{f"xor {size}": xor(size) for size in range(1, 65)},
    "url, plus for space": lambda d: urllib.parse.quote_plus(d).encode(),
    "signed integers": integers("i1"),
    "16-bit integers": integers("<u2"),
    "32-bit signed integers": integers("<i4"),
    "decimals": lambda d: json.dumps(np.frombuffer(d, "<f2").astype(float).tolist()).encode(),
    "C array": lambda d: ("{" + ", ".join(f"0x{c:02x}" for c in d) + "};").encode(),
    "JSON string, UTF-8": lambda d: json.dumps(text(d), ensure_ascii=False).encode(),
    "ascii85 in JSON": lambda d: json.dumps(base64.a85encode(d).decode()).encode(),
    "Python literal": lambda d: repr(d).encode(),
    "hex with colons": lambda d: d.hex(":").encode(),
    "octal": lambda d: " ".join(f"{c:03o}" for c in d).encode(),
    "nibbles swapped": table(lambda n: n << 4 | n >> 4),
    "bits reversed": table(lambda n: int(f"{n:08b}"[::-1], 2)),
    "add": table(lambda n: n + 77),
    "complement": table(lambda n: ~n),
    "swap32": lambda d: swapped(d, 4),
    "swap16 behind an odd prefix": lambda d: b"abc" + swapped(d),
}
