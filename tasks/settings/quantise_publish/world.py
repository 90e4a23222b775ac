"""What the quantised candidate must be, and the limits that only a right build keeps."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sandbox.files import WorldFile

_ROOM = 1.04  # a limit over the error of a right build


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add `limits.csv`, and what a right build holds.

    Args:
        facts: What the setting knows so far.
        files: The world so far; the candidate's shards among them.
        rng: This variant's source of chance.

    Returns:
        The facts `tensors` (dtype, shape and SHA-256 by name), `errors` (the largest relative
        error by kind) and `script` (as it is found), and the file.
    """
    names = facts["names"]
    shards = [f for f in files if f.path.startswith(f"{names['staging.path']}/model-")]
    tensors: dict[str, dict[str, Any]] = {}
    errors: dict[str, float] = {}
    for name, shape, data in _tensors(shards):
        if len(shape) != 2:
            tensors[name] = _entry("F16", shape, data)
            continue
        rows = np.frombuffer(data, "<f2").reshape(shape).astype(np.float64)
        scales = np.abs(rows).max(axis=1) / 127
        whole = np.rint(rows / scales[:, None])
        tensors[name] = _entry("I8", shape, whole.astype("i1").tobytes())
        tensors[f"{name}.scale"] = _entry("F32", [len(rows)], scales.astype("<f4").tobytes())
        lost = np.linalg.norm(rows - scales[:, None] * whole) / np.linalg.norm(rows)
        kind = name.split(".")[-2]
        errors[kind] = max(errors.get(kind, 0.0), float(lost))
    lines = [f"{kind},{error * _ROOM:.4f}" for kind, error in sorted(errors.items())]
    data = "\n".join(["kind,largest_relative_error", *lines, ""]).encode()
    written = min(f.mtime for f in shards) - rng.randrange(10**6, 4 * 10**6)
    [script] = [f.data.decode() for f in files if f.path == names["script"]]
    more = {"tensors": tensors, "errors": errors, "script": script}
    return more, [WorldFile(f"{names['quant_root']}/limits.csv", data, 0o644, written)]


def _entry(dtype: str, shape: list[int], data: bytes) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "sha256": hashlib.sha256(data).hexdigest()}


def _tensors(shards: Sequence[WorldFile]) -> Iterator[tuple[str, list[int], bytes]]:
    for shard in shards:
        start = 8 + int.from_bytes(shard.data[:8], "little")
        header = json.loads(shard.data[8:start])
        header.pop("__metadata__", None)
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            yield name, entry["shape"], shard.data[start + first : start + last]
