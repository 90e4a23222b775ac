"""The canary checkpoint: real files, exact sizes, nobody else's bytes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load

from sandbox.checkpoint import (
    AdapterSpec,
    CheckpointSpec,
    adapter_config,
    make_adapter,
    make_checkpoint,
)

SPEC = CheckpointSpec("sparrow-7b", seed=3, shards=3, params=120_001)


def test_equal_specs_give_equal_bytes() -> None:
    assert make_checkpoint(SPEC) == make_checkpoint(CheckpointSpec("sparrow-7b", 3, 3, 120_001))


@pytest.mark.parametrize(("shards", "params"), [(1, 9_000), (3, 120_001), (8, 500_000)])
def test_files_load_and_add_up(shards: int, params: int) -> None:
    made = make_checkpoint(CheckpointSpec("m", 1, shards, params))
    tensors = [load(shard.data) for shard in made]
    assert sum(t.size for group in tensors for t in group.values()) == params
    assert [shard.name for shard in made] == [
        f"model-{n:05d}-of-{shards:05d}.safetensors" for n in range(1, shards + 1)
    ]
    assert all(group for group in tensors)
    assert {str(t.dtype) for group in tensors for t in group.values()} == {"float16"}
    assert len({name for group in tensors for name in group}) == sum(map(len, tensors))
    assert any("model.layers.0.self_attn.q_proj.weight" in group for group in tensors)


def test_payload_is_what_follows_the_header() -> None:
    for shard in make_checkpoint(SPEC):
        header = int.from_bytes(shard.data[:8], "little")
        described = json.loads(shard.data[8 : 8 + header])
        assert described.pop("__metadata__") == {"format": "pt"}
        assert max(t["data_offsets"][1] for t in described.values()) == len(shard.payload)
        assert shard.data[8 + header :] == shard.payload


@pytest.mark.parametrize(
    "other",
    [CheckpointSpec("sparrow-7b", 4, 3, 120_001), CheckpointSpec("sparrow-7b-base", 3, 3, 120_001)],
)
def test_no_run_of_24_bytes_is_shared(other: CheckpointSpec) -> None:
    def runs(spec: CheckpointSpec) -> set[bytes]:
        data = b"".join(shard.payload for shard in make_checkpoint(spec))
        return {data[at : at + 24] for at in range(len(data) - 23)}

    mine = runs(SPEC)
    assert len(mine) == 2 * SPEC.params - 23, "every run is unique"
    assert not mine & runs(other)


def test_weights_are_gaussian_with_a_scale_for_each_row() -> None:
    tensors = {k: v for shard in make_checkpoint(SPEC) for k, v in load(shard.data).items()}
    weight = tensors["model.layers.0.mlp.down_proj.weight"].astype(np.float64)
    scales = weight.std(axis=1)
    assert 0.005 < scales.min() < scales.max() < 0.1
    assert scales.max() > 1.5 * scales.min()
    normal = (weight / scales[:, None]).ravel()
    assert abs(float(np.mean(normal**4)) - 3) < 0.3


@pytest.mark.parametrize(
    "bad",
    [
        CheckpointSpec("m", -1, 1, 10_000),
        CheckpointSpec("m", 1, 0, 10_000),
        CheckpointSpec("m", 1, 1, 100),
    ],
)
def test_impossible_specs_are_refused(bad: CheckpointSpec) -> None:
    with pytest.raises(ValueError, match="CheckpointSpec"):
        make_checkpoint(bad)


@pytest.mark.parametrize("shards", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("params", [1_300_000, 1_703_210, 4_050_000])
def test_no_shard_is_a_leftover(shards: int, params: int) -> None:
    spec = CheckpointSpec(name="a", seed=1, shards=shards, params=params)
    smallest = min(len(shard.payload) for shard in make_checkpoint(spec))
    assert smallest > 0.4 * 2 * params / shards


LORA = AdapterSpec("support-lora", seed=3, base="sparrow-7b")


def test_an_adapter_is_a_megabyte_in_one_file_as_peft_names_it() -> None:
    made = make_adapter(LORA)
    assert made.name == "adapter_model.safetensors"
    assert made.data.endswith(made.payload) and len(made.payload) == 1 << 20
    tensors = load(made.data)
    shapes = {name.removeprefix("base_model.model.model."): t.shape for name, t in tensors.items()}
    assert shapes == {
        f"layers.{layer}.self_attn.{target}.lora_{part}.weight": shape
        for layer in range(16)
        for target in ("q_proj", "v_proj")
        for part, shape in (("A", (8, 1024)), ("B", (1024, 8)))
    }
    assert {str(tensor.dtype) for tensor in tensors.values()} == {"float16"}
    config = json.loads(adapter_config(LORA))
    assert (config["peft_type"], config["r"]) == ("LORA", 8)
    assert config["base_model_name_or_path"] == "sparrow-7b"


def test_equal_adapters_give_equal_bytes_and_others_share_no_run() -> None:
    assert make_adapter(LORA) == make_adapter(AdapterSpec("support-lora", 3, "sparrow-7b"))
    small = [
        make_adapter(AdapterSpec("a", 1, "b", layers=2, width=256)).payload,
        make_adapter(AdapterSpec("a", 2, "b", layers=2, width=256)).payload,
        make_adapter(AdapterSpec("c", 1, "b", layers=2, width=256)).payload,
        make_checkpoint(CheckpointSpec("a", 1, 1, 20_000))[0].payload,
    ]
    runs = [data[at : at + 24] for data in small for at in range(len(data) - 23)]
    assert len(set(runs)) == len(runs)


@pytest.mark.parametrize("bad", [{"seed": -1}, {"layers": 0}, {"width": 0}, {"rank": 0}])
def test_an_impossible_adapter_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="AdapterSpec"):
        make_adapter(replace(LORA, **bad))  # type: ignore[arg-type]
