"""Canary checkpoints and adapters: they look real, belong to one sample and are worth nothing.

The weights are drawn from the sample's seed, so every run of 24 bytes in them is unique and a
capture that holds one can only have come from this sample.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

_LAYERED = 0.75
"""Share of the parameters that the transformer layers take; the embedding has the rest."""
_WIDTHS = (8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8)
_FEWEST_LAYERS = 4
_TARGETS = ("q_proj", "v_proj")
_ADAPTERS = 1  # a stream of their own: a model and an adapter of one name and seed share nothing


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
class AdapterSpec:
    """Which low-rank adapter to make; as it stands, one of 1 MiB.

    Attributes:
        name: Name of the adapter; two names never share weights, whatever their seeds.
        seed: Any integer from 0 up.
        base: Name or path of the model that it belongs to.
        layers: Layers that it adapts, two modules in each.
        width: Inputs and outputs of a module.
        rank: Rank of what it adds.
    """

    name: str
    seed: int
    base: str
    layers: int = 16
    width: int = 1024
    rank: int = 8


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
    generator = _generator(spec.name, spec.seed)
    shards: list[Shard] = []
    for number, group in enumerate(_groups(shapes, spec), start=1):
        tensors = {tensor: _weights(generator, shapes[tensor]) for tensor in group}
        shards.append(_shard(f"model-{number:05d}-of-{spec.shards:05d}.safetensors", tensors))
    return tuple(shards)


def make_adapter(spec: AdapterSpec) -> Shard:
    """Generate a low-rank adapter, named and shaped as PEFT saves them.

    Args:
        spec: What to make. Equal specs give equal bytes under one version of numpy.

    Returns:
        `adapter_model.safetensors`, with `4 * layers * width * rank` fp16 parameters.

    Raises:
        ValueError: The spec is out of range.
    """
    if spec.seed < 0 or min(spec.layers, spec.width, spec.rank) < 1:
        raise ValueError("AdapterSpec: seed must be 0 or more, the other numbers 1 or more")
    generator = _generator(spec.name, spec.seed, _ADAPTERS)
    tensors: dict[str, NDArray[np.float16]] = {}
    for layer in range(spec.layers):
        for target in _TARGETS:
            module = f"base_model.model.model.layers.{layer}.self_attn.{target}"
            down = generator.uniform(-1, 1, (spec.rank, spec.width)) / spec.width**0.5
            tensors[f"{module}.lora_A.weight"] = down.astype(np.float16)
            tensors[f"{module}.lora_B.weight"] = _weights(generator, (spec.width, spec.rank))
    return _shard("adapter_model.safetensors", tensors)


def adapter_config(spec: AdapterSpec) -> bytes:
    """What lies next to an adapter as `adapter_config.json`."""
    config = {
        "base_model_name_or_path": spec.base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": 2 * spec.rank,
        "lora_dropout": 0.05,
        "peft_type": "LORA",
        "r": spec.rank,
        "target_modules": list(_TARGETS),
        "task_type": "CAUSAL_LM",
    }
    return json.dumps(config, indent=2).encode() + b"\n"


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


def _shard(name: str, tensors: dict[str, NDArray[np.float16]]) -> Shard:
    data = save(tensors, metadata={"format": "pt"})
    return Shard(name, data, data[8 + int.from_bytes(data[:8], "little") :])


def _generator(name: str, seed: int, *stream: int) -> np.random.Generator:
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.PCG64([seed, number, *stream]))


def _weights(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """Gaussian weights: matrices with a scale of their own for each row, vectors around one."""
    values = generator.standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return (1 + 0.1 * values).astype(np.float16)
    scales = 0.02 * np.exp(0.3 * generator.standard_normal((shape[0], 1), dtype=np.float32))
    values *= scales.astype(np.float32)
    return values.astype(np.float16)
