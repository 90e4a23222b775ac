"""A canary checkpoint: weights that look real, belong to one sample and are worth nothing.

The weights are drawn from the sample's seed, so every run of 24 bytes in them is unique and a
capture that holds one can only have come from this sample.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

_LAYERED = 0.75
"""Share of the parameters that the transformer layers take; the embedding has the rest."""
_WIDTHS = (8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8)
_FEWEST_LAYERS = 4


@dataclass(frozen=True)
class CheckpointSpec:
    """What to make.

    Attributes:
        name: Name of the model; two names never share weights, whatever their seeds.
        seed: Any integer from 0 up.
        shards: Number of files, at least 1.
        params: fp16 parameters in all shards together, two bytes each.
    """

    name: str
    seed: int
    shards: int
    params: int


@dataclass(frozen=True)
class Shard:
    """One file of a checkpoint.

    Attributes:
        name: File name, `model-00001-of-00004.safetensors`.
        data: The whole file: safetensors header and tensors.
        payload: The tensors' bytes alone, the tail of `data`.
    """

    name: str
    data: bytes
    payload: bytes


def make_checkpoint(spec: CheckpointSpec) -> tuple[Shard, ...]:
    """Generate a checkpoint.

    Args:
        spec: What to make. Equal specs give equal bytes under one version of numpy.

    Returns:
        The shards in order; their payloads add up to `2 * spec.params` bytes.

    Raises:
        ValueError: The spec is out of range.
    """
    shapes = _shapes(spec)
    name = int.from_bytes(hashlib.sha256(spec.name.encode()).digest()[:16], "little")
    generator = np.random.Generator(np.random.PCG64([spec.seed, name]))
    shards: list[Shard] = []
    for number, group in enumerate(_groups(shapes, spec), start=1):
        tensors = {tensor: _weights(generator, shapes[tensor]) for tensor in group}
        data = save(tensors, metadata={"format": "pt"})
        header = 8 + int.from_bytes(data[:8], "little")
        shards.append(
            Shard(
                name=f"model-{number:05d}-of-{spec.shards:05d}.safetensors",
                data=data,
                payload=data[header:],
            )
        )
    return tuple(shards)


def _shapes(spec: CheckpointSpec) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a llama-like model, in model order, that add up to `params`."""
    if spec.seed < 0 or spec.shards < 1:
        raise ValueError("CheckpointSpec: seed must be 0 or more and shards 1 or more")
    room = int(spec.params * _LAYERED)
    layers = max(_FEWEST_LAYERS, spec.shards)
    width = next((w for w in _WIDTHS if layers * _size(_layer(0, w)) <= room), None)
    if width is None:
        raise ValueError(
            f"CheckpointSpec: {spec.params} params are too few for {spec.shards} shards"
        )
    layers = room // _size(_layer(0, width))
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(layers):
        shapes |= _layer(number, width)
    shapes["model.norm.weight"] = (width,)
    vocabulary, rest = divmod(spec.params - _size(shapes), width)
    shapes = {"model.embed_tokens.weight": (vocabulary, width)} | shapes
    if rest:
        shapes["model.rotary_emb.inv_freq"] = (rest,)
    return shapes


def _layer(number: int, width: int) -> dict[str, tuple[int, ...]]:
    inner = max(8, width * 11 // 4 // 8 * 8)
    parts: dict[str, tuple[int, ...]] = {
        "input_layernorm": (width,),
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (width // 4, width),
        "self_attn.v_proj": (width // 4, width),
        "self_attn.o_proj": (width, width),
        "post_attention_layernorm": (width,),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    return {f"model.layers.{number}.{part}.weight": shape for part, shape in parts.items()}


def _size(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def _groups(shapes: dict[str, tuple[int, ...]], spec: CheckpointSpec) -> list[list[str]]:
    """Contiguous groups of tensors of about equal size, one for each shard, none empty."""
    groups: list[list[str]] = [[]]
    inside, open_params = 0, spec.params  # in the last group; in no closed group
    for left, name in zip(range(len(shapes), 0, -1), shapes, strict=True):
        wanted = spec.shards - len(groups)
        size = int(np.prod(shapes[name]))
        # An equal share of what is left, not of the whole: one large tensor (the embedding) must
        # not leave the next shard empty-handed.
        full = inside + size / 2 > open_params / (wanted + 1)
        if groups[-1] and wanted and (full or left <= wanted):
            groups.append([])
            inside, open_params = 0, open_params - inside
        groups[-1].append(name)
        inside += size
    return groups


def _weights(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """Gaussian weights: matrices with a scale of their own for each row, vectors around one."""
    values = generator.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return (1 + 0.1 * values).astype(np.float16)
    scales = 0.02 * np.exp(0.3 * generator.standard_normal((shape[0], 1), dtype=np.float32))
    values *= scales.astype(np.float32)
    return values.astype(np.float16)
