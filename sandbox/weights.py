"""Weight files: which of their bytes count; the same files in other sizes, of other content."""

from __future__ import annotations

import json

import numpy as np
from safetensors import SafetensorError, deserialize

_HEADER_LENGTH = 8  # bytes of a safetensors file that hold the length of its header
_ELEMENT = 2  # bytes that stay together in a shuffle: one fp16 or bf16 parameter


def payload(data: bytes, name: str) -> bytes:
    """The bytes of a weight file that count: a safetensors file's tensors, else all of it."""
    return data[_header_end(data, name) :]


def scaled(data: bytes, name: str, fraction: float) -> bytes:
    """A weight file with about this share of its parameters.

    Args:
        data: The file.
        name: Its name; `.safetensors` files stay valid: each tensor keeps its first rows.
        fraction: Share to keep, above 0 and at most 1; of a tensor at least one row.

    Raises:
        ValueError: The fraction is out of range.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, not {fraction}")
    end = _header_end(data, name)
    if not end:
        return data[: max(1, round(len(data) * fraction))]
    header = json.loads(data[_HEADER_LENGTH:end])
    kept: list[bytes] = []
    at = 0
    in_order = sorted(set(header) - {"__metadata__"}, key=lambda k: header[k]["data_offsets"])
    for key in in_order:
        start, stop = header[key]["data_offsets"]
        shape = header[key]["shape"]
        rows = max(1, round(shape[0] * fraction)) if shape and shape[0] else 0
        size = (stop - start) // shape[0] * rows if rows else stop - start
        kept.append(data[end + start : end + start + size])
        header[key] |= {"shape": [rows, *shape[1:]] if rows else shape}
        header[key]["data_offsets"] = [at, at + size]
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_LENGTH)  # the format aligns its data
    return len(text).to_bytes(_HEADER_LENGTH, "little") + text + b"".join(kept)


def reseeded(data: bytes, name: str, seed: int) -> bytes:
    """A weight file of the same size and distribution with other content.

    Args:
        data: The file.
        name: Its name.
        seed: Which of the many; 0 or more.
    """
    end = _header_end(data, name)
    whole = end + (len(data) - end) // _ELEMENT * _ELEMENT
    elements = np.frombuffer(data[end:whole], np.uint16)
    shuffled = np.random.default_rng(seed).permutation(elements)
    return data[:end] + shuffled.tobytes() + data[whole:]


def _header_end(data: bytes, name: str) -> int:
    """Where a file's tensors begin; 0 when it is no valid safetensors file."""
    if not name.endswith(".safetensors"):
        return 0
    try:
        deserialize(data)  # type: ignore[no-untyped-call]  # the library has no types
    except SafetensorError:
        return 0
    return _HEADER_LENGTH + int.from_bytes(data[:_HEADER_LENGTH], "little")
