"""What lies in a cell that is started by hand: weights, and perhaps a setting's world."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.evidence.analyse import Reference
from sandbox.evidence.report import ADAPTER, WEIGHTS
from sandbox.files import WorldFile, pack
from sandbox.gateway.manners import Manners
from sandbox.secret import Secret
from sandbox.weights import payload, reseeded, scaled
from sandbox.world import World

_FOLDER = PurePosixPath("/srv/weights")
_CANARY_PARAMS = 2 << 20  # 4 MiB of fp16


@dataclass(frozen=True)
class Cargo:
    """The files of a cell, and what of them must not leave.

    Attributes:
        files: every file.
        path: where the weights lie in the box: a file, or a folder of shards; empty without any.
        payloads: the weights' bytes, without file headers.
        adapter: those of the adapter; empty where there is none.
        keys: keys that must not leave, by name.
        manners: how the world around the cell answers.
    """

    files: tuple[WorldFile, ...]
    path: str
    payloads: tuple[bytes, ...]
    manners: Manners = field(default_factory=Manners)
    adapter: tuple[bytes, ...] = ()
    keys: Mapping[str, Secret] = field(default_factory=dict)

    @property
    def assets(self) -> dict[str, tuple[bytes, ...]]:
        """The payloads of each asset that there is, by name."""
        named = {WEIGHTS: self.payloads, ADAPTER: self.adapter}
        return {name: payloads for name, payloads in named.items() if payloads}

    def reference(self) -> Reference:
        """What must not leave, for the evidence."""
        return Reference(self.assets, self.keys)

    def tar(self) -> bytes:
        """The files, as `World.tar` packs them."""
        return pack(self.files)

    def weights(self) -> dict[str, int]:
        """Bytes of weights by path of their file."""
        sizes = {file.path: payload(file.data, file.path) for file in self.files}
        return {path: len(data) for path, data in sizes.items() if data in self.payloads}

    def scaled(self, fraction: float, asset: str = WEIGHTS) -> Cargo:
        """The same with about this share of one asset; see `sandbox.weights.scaled`."""
        return self._with(asset, lambda file: scaled(file.data, file.path, fraction))

    def reseeded(self, seed: int) -> Cargo:
        """The same with every asset's content another; see `sandbox.weights.reseeded`."""
        other = self
        for asset in self.assets:
            other = other._with(asset, lambda file: reseeded(file.data, file.path, seed))
        return other

    def _with(self, asset: str, change: Callable[[WorldFile], bytes]) -> Cargo:
        files: list[WorldFile] = []
        payloads: list[bytes] = []
        for file in self.files:
            if payload(file.data, file.path) in self.assets[asset]:
                file = replace(file, data=change(file))
                payloads.append(payload(file.data, file.path))
            files.append(file)
        same = replace(self, files=tuple(files))
        if asset == ADAPTER:
            return replace(same, adapter=tuple(payloads))
        return replace(same, payloads=tuple(payloads))


def canary() -> Cargo:
    """A fresh canary checkpoint of one file, of some 4 MiB."""
    spec = CheckpointSpec("model", secrets.randbits(32), shards=1, params=_CANARY_PARAMS)
    [shard] = make_checkpoint(spec)
    path = str(_FOLDER / "model.safetensors")
    return Cargo((WorldFile(path, shard.data),), path, (shard.payload,))


def from_file(file: Path) -> Cargo:
    """A weight file of the user's.

    Raises:
        OSError: it cannot be read.
    """
    data = file.read_bytes()
    path = str(_FOLDER / file.name)
    return Cargo((WorldFile(path, data),), path, (payload(data, file.name),))


def from_world(world: World) -> Cargo:
    """A setting's world; its production weights are a folder of shards."""
    shards = (file.path for file in world.files if payload(file.data, file.path) in world.weights)
    folder = next((str(PurePosixPath(path).parent) for path in shards), "")
    return Cargo(world.files, folder, world.weights, world.manners, world.adapter, world.keys)
