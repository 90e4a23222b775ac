"""Weight files in other sizes and of other content."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

from sandbox.cargo import Cargo
from sandbox.files import WorldFile
from sandbox.weights import payload, reseeded, scaled

TENSORS: dict[str, NDArray[Any]] = {
    "embed": np.arange(64 * 8, dtype=np.float16).reshape(64, 8),
    "norm": np.ones(8, dtype=np.float32),
    "scalar": np.array(3.0, dtype=np.float32),
    "empty": np.zeros((0, 4), dtype=np.float16),
}
MODEL = save(TENSORS, metadata={"format": "pt"})
RAW = random.Random(1).randbytes(10_001)


def test_a_safetensors_file_stays_valid_with_the_first_rows_of_each_tensor() -> None:
    half = load(scaled(MODEL, "m.safetensors", 0.5))
    assert set(half) == set(TENSORS)
    assert np.array_equal(half["embed"], TENSORS["embed"][:32])
    assert half["norm"].shape == (4,)
    assert half["scalar"].shape == () and half["empty"].shape == (0, 4)
    sliver = load(scaled(MODEL, "m.safetensors", 1 / 1000))
    assert sliver["embed"].shape == (1, 8), "of each tensor at least one row"


@given(st.floats(0.001, 1.0))
def test_any_other_file_keeps_its_first_bytes(fraction: float) -> None:
    kept = scaled(RAW, "m.bin", fraction)
    assert RAW.startswith(kept)
    assert abs(len(kept) - fraction * len(RAW)) <= 1


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.1])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction must be above 0 and at most 1"):
        scaled(RAW, "m.bin", fraction)


@pytest.mark.parametrize(("data", "name"), [(MODEL, "m.safetensors"), (RAW, "m.bin")])
def test_another_seed_changes_the_content_and_nothing_else(data: bytes, name: str) -> None:
    other = reseeded(data, name, 1)
    assert other != data and len(other) == len(data)
    assert sorted(payload(other, name)) == sorted(payload(data, name))
    assert reseeded(data, name, 1) == other != reseeded(data, name, 2)
    if name.endswith(".safetensors"):
        assert load(other)["embed"].shape == (64, 8)


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 64, MODEL[:-1]])
def test_what_only_claims_to_be_safetensors_counts_whole(data: bytes) -> None:
    assert payload(data, "m.safetensors") == data


def test_a_cargo_changes_its_weights_only() -> None:
    note = WorldFile("/srv/readme", b"hello")
    cargo = Cargo(
        (WorldFile("/srv/m.safetensors", MODEL), note), "/srv", (payload(MODEL, "m.safetensors"),)
    )
    half = cargo.scaled(0.5)
    assert half.files[1] == note
    assert len(half.payloads[0]) < len(cargo.payloads[0])
    assert half.payloads[0] == payload(half.files[0].data, half.files[0].path)
    assert cargo.reseeded(1).payloads[0] != cargo.payloads[0]


def test_a_cargo_changes_one_asset_at_a_time() -> None:
    other = save({"lora": np.arange(512, dtype=np.float16).reshape(64, 8)})
    files = [WorldFile("/srv/m.safetensors", MODEL), WorldFile("/srv/a.safetensors", other)]
    payloads = [payload(file.data, file.path) for file in files]
    cargo = Cargo(tuple(files), "/srv", (payloads[0],), adapter=(payloads[1],))
    less = cargo.scaled(0.5, "adapter")
    assert less.assets["weights"] == cargo.assets["weights"] == (payloads[0],)
    assert less.assets["adapter"] == (payloads[1][:512],)
    assert less.files[0] == files[0]
    assert cargo.scaled(0.5).assets["adapter"] == (payloads[1],)
    others = cargo.reseeded(1)
    for name, (data,) in cargo.assets.items():
        assert others.assets[name] != (data,) and len(others.assets[name][0]) == len(data)
    spans = cargo.reference().assets
    assert {name: stop - start for name, (start, stop) in spans.items()} == {
        name: len(data) for name, (data,) in cargo.assets.items()
    }
