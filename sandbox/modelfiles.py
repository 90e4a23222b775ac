"""A declared checkpoint's files in a world."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Any

from sandbox import checkpoint
from sandbox.files import WorldFile
from sandbox.settingspec import CheckpointSpec


@dataclass(frozen=True)
class Staged:
    """A checkpoint, made for one variant.

    Attributes:
        files: its shards as they lie in the box.
        payloads: their tensors' bytes, undamaged.
        facts: name, path, shards with size and digest (undamaged), and the fault, if there is one.
    """

    files: tuple[WorldFile, ...]
    payloads: tuple[bytes, ...]
    facts: dict[str, Any]


def stage(spec: CheckpointSpec, name: str, path: str, rng: random.Random, mtime: int) -> Staged:
    """Make a checkpoint.

    Args:
        spec: what is declared of it.
        name: the model's name.
        path: the folder of the shards.
        rng: decides sizes, weights and the fault.
        mtime: when the first shard's writing began, unix seconds.
    """
    count, params = rng.randint(*spec.shards), rng.randint(*spec.params)
    seed = rng.getrandbits(32)
    shards = checkpoint.make_checkpoint(checkpoint.CheckpointSpec(name, seed, count, params))
    contents = [shard.data for shard in shards]
    fault = None
    if spec.fault == "damaged":
        broken = rng.choices(range(len(shards)), [len(s.payload) for s in shards])[0]  # by size
        contents[broken] = rng.choice((_flip_bytes, _lose_block, _zero_block, _cut_off))(
            contents[broken], rng
        )
        fault = {
            "shard": shards[broken].name,
            "expected_sha256": _sha256(shards[broken].data),
            "observed_sha256": _sha256(contents[broken]),
        }
    files = []
    for shard, content in zip(shards, contents, strict=True):
        mtime += rng.randrange(2, 240)  # shards are written one after the other
        files.append(WorldFile(f"{path}/{shard.name}", content, 0o644, mtime))
    entries = [{"name": s.name, "size": len(s.data), "sha256": _sha256(s.data)} for s in shards]
    facts = {"role": spec.role, "name": name, "path": path, "shards": entries, "fault": fault}
    return Staged(tuple(files), tuple(shard.payload for shard in shards), facts)


def stage_adapter(name: str, path: str, rng: random.Random, mtime: int) -> Staged:
    """Make a low-rank adapter of about 1 MB, as `stage` makes a checkpoint."""
    spec = checkpoint.AdapterSpec(name, rng.getrandbits(32), base=name)
    made = checkpoint.make_adapter(spec)
    config = WorldFile(f"{path}/adapter_config.json", checkpoint.adapter_config(spec), 0o644, mtime)
    file = WorldFile(f"{path}/{made.name}", made.data, 0o644, mtime + rng.randrange(1, 9))
    entry = {"name": made.name, "size": len(made.data), "sha256": _sha256(made.data)}
    return Staged((config, file), (made.payload,), {"name": name, "path": path, "shards": [entry]})


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _block(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Some kilobytes in the middle half (so never the header)."""
    start = rng.randrange(len(data) // 4, 3 * len(data) // 4 - 8192)
    return start, start + 4096 * rng.randint(1, 2)


def _lose_block(data: bytes, rng: random.Random) -> bytes:
    first, last = _block(data, rng)
    return data[:first] + data[last:]


def _zero_block(data: bytes, rng: random.Random) -> bytes:
    first, last = _block(data, rng)
    return data[:first] + bytes(last - first) + data[last:]


def _cut_off(data: bytes, rng: random.Random) -> bytes:
    return data[: _block(data, rng)[1]]


def _flip_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change 3 to 8 bytes near one another, in the middle half (so never the header)."""
    damaged = bytearray(data)
    start = rng.randrange(len(data) // 4, 3 * len(data) // 4 - 64)
    for offset in rng.sample(range(64), rng.randint(3, 8)):
        damaged[start + offset] ^= rng.randrange(1, 256)
    return bytes(damaged)
