"""Settings as data: a folder that describes a world, its tasks and how the main task is verified.

A setting folder holds

- `setting.yaml`: everything that is declared (see `SettingSpec`);
- `files/`: templates of the world's text files, with `${name}` placeholders;
- `packages/` (optional): what the world's package index offers, where `manners` allow one;
- `verify.py`: one pure function `verify(facts, outputs) -> dict[str, bool]`;
- `world.py` (optional): one pure function `extend(facts, files, rng) -> (facts, files)` that
  returns facts and files *to add*, for what a template cannot express (a manifest of digests).

`load_setting` reads it all; a `World` is then a pure function of that and the variant's number.
"""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from sandbox.checkpoint import CheckpointSpec, make_checkpoint
from sandbox.files import BELOW_WRITABLE, WRITABLE, WorldFile, pack
from sandbox.gateway.manners import Manners, MannersError
from sandbox.services import MannersSpec, read_packages

# Lower case only, so that a shell script's own ${VARIABLES} and ${1:-x} stay as they are.
_PLACEHOLDER = re.compile(r"\$\{([a-z][a-z0-9_]*(?:\.[a-z]+)?)\}")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class SettingError(ValueError):
    """A setting folder, or a request to it, is wrong; one line that says what to change."""


@dataclass(frozen=True)
class World:
    """One variant of a setting, ready to be unpacked in a box.

    Attributes:
        setting: The setting's name.
        variant: The variant's number, from 0.
        task: The main task, as the agent is asked.
        side_task: Red's briefing in attack mode; never shown otherwise.
        files: Every file, no two with the same path.
        weights: Tensor payloads of the production weights, in shard order: what must not leave.
        outputs: Paths that the verifier reads after the run.
        facts: Ground truth (JSON values only); never shown to the agent.
        manners: How the world around the box answers, and which services are allowed.
    """

    setting: str
    variant: int
    task: str
    side_task: str
    files: tuple[WorldFile, ...] = field(repr=False)
    weights: tuple[bytes, ...] = field(repr=False)
    outputs: tuple[str, ...]
    facts: Mapping[str, Any] = field(repr=False)
    manners: Manners = field(repr=False)

    def tar(self) -> bytes:
        """Pack the files for `tar -x -p -f - -C /`, run in the box by the user `agent`.

        Returns:
            An uncompressed GNU tar, root-relative, everything owned by the agent; the writable
            places themselves have no entry, as the agent may not change their modes and dates.
        """
        return pack(self.files)


@dataclass(frozen=True)
class Verification:
    """What the verifier found.

    Attributes:
        passed: Whether every check holds (and there is at least one).
        checks: Each check by its name.
        explanation: One line for the score.
    """

    passed: bool
    checks: Mapping[str, bool]
    explanation: str


Verify = Callable[[Mapping[str, Any], Mapping[str, bytes | None]], dict[str, bool]]
Extend = Callable[
    [Mapping[str, Any], Sequence[WorldFile], random.Random],
    tuple[Mapping[str, Any], Sequence[WorldFile]],
]


def _ascending(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if pair[0] > pair[1]:
        raise ValueError(f"[{pair[0]}, {pair[1]}] is not [low, high]: swap them")
    return pair


_Count = Annotated[int, Field(ge=1)]
_Range = Annotated[tuple[_Count, _Count], AfterValidator(_ascending)]


class CheckpointDeclaration(BaseModel, extra="forbid", frozen=True):
    """Model weights that the world holds.

    `shards` and `params` (fp16 parameters in all) are inclusive ranges. The fault `flipped_bytes`
    changes a few bytes in the middle of one shard on disk; facts keep both digests.
    """

    role: Literal["production", "staging"]
    name: str
    path: str
    shards: _Range
    params: _Range
    fault: Literal["flipped_bytes"] | None = None


class FileSpec(BaseModel, extra="forbid", frozen=True):
    """A text file: which template under `files/`, where it goes, and its mode in octal."""

    template: str
    path: str
    mode: str = Field(default="644", pattern="^[0-7]{3}$")


class SettingSpec(BaseModel, extra="forbid", frozen=True):
    """The keys of `setting.yaml`.

    Every variant draws one value of each pool; `secrets` maps a name to the length of a string made
    up per variant (base32); `names` are templates over pools, secrets and earlier names. All other
    templates may use these and `${checkpoint.name}`, `${checkpoint.path}` of each declared
    checkpoint. Modification times fall between the two `dates`.
    """

    title: str
    variants: _Count
    dates: Annotated[tuple[date, date], AfterValidator(_ascending)]
    pools: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]
    secrets: dict[str, _Count] = {}
    names: dict[str, str] = {}
    checkpoints: dict[str, CheckpointDeclaration]
    files: tuple[FileSpec, ...]
    outputs: tuple[str, ...] = Field(min_length=1)
    manners: MannersSpec = MannersSpec()
    task: str
    side_task: str


@dataclass(frozen=True)
class Setting:
    """A loaded setting: `load_setting` makes one; `world` and `verify` are pure.

    Attributes:
        name: The folder's name; part of every seed.
        title: One line for people.
        variants: How many worlds there are, numbered from 0.
    """

    name: str
    title: str
    variants: int
    spec: SettingSpec = field(repr=False)
    templates: Mapping[str, str] = field(repr=False)
    packages: Mapping[str, bytes] = field(repr=False)
    verifier: Verify = field(repr=False)
    extend: Extend | None = field(repr=False)

    def world(self, variant: int) -> World:
        """Build one variant.

        Args:
            variant: From 0 to `variants - 1`.

        Returns:
            The same world, byte for byte, every time.

        Raises:
            SettingError: The variant does not exist, or the setting's templates do not fit it.
        """
        if not 0 <= variant < self.variants:
            last = self.variants - 1
            raise SettingError(f"{self.name} has no variant {variant}: choose 0 to {last}")
        names = self._names(variant)
        files: list[WorldFile] = []
        weights: list[bytes] = []
        checkpoints: dict[str, Any] = {}
        for key, declaration in self.spec.checkpoints.items():
            rng = self._rng(variant, f"checkpoint/{key}")
            shards, payloads, found = _stage(declaration, names, rng, self._date(rng))
            files += shards
            checkpoints[key] = found
            names |= {f"{key}.name": found["name"], f"{key}.path": found["path"]}
            if declaration.role == "production":
                weights += payloads
        rng = self._rng(variant, "files")
        for spec in self.spec.files:
            text = _render(self.templates[spec.template], names, f"files/{spec.template}")
            path = _render(spec.path, names, f"path of files/{spec.template}")
            files.append(WorldFile(path, text.encode(), int(spec.mode, 8), self._date(rng)))
        facts: dict[str, Any] = {"names": names, "checkpoints": checkpoints}
        if self.extend is not None:
            more_facts, more_files = self.extend(facts, tuple(files), self._rng(variant, "extend"))
            facts |= more_facts
            files += more_files
        _check_paths(self.name, [file.path for file in files])
        return World(
            setting=self.name,
            variant=variant,
            task=_render(self.spec.task, names, "task"),
            side_task=_render(self.spec.side_task, names, "side_task"),
            files=tuple(files),
            weights=tuple(weights),
            outputs=tuple(_render(path, names, "outputs") for path in self.spec.outputs),
            facts=facts,
            manners=self.manners(variant),
        )

    def manners(self, variant: int) -> Manners:
        """How the world around the box answers in one variant.

        Raises:
            SettingError: The key `manners` or the folder `packages` is wrong.
        """
        names = self._names(variant)
        try:
            return self.spec.manners.manners(
                self.packages, lambda template, where: _render(template, names, where)
            )
        except MannersError as error:
            raise SettingError(f"{self.name}/setting.yaml: manners.{error}") from error

    def verify(self, world: World, outputs: Mapping[str, bytes | None]) -> Verification:
        """Judge what the agent left behind.

        Args:
            world: The world the agent worked in.
            outputs: Content of each of `world.outputs`; None, or absent, where there is no file.
        """
        checks = self.verifier(world.facts, {path: outputs.get(path) for path in world.outputs})
        failed = [name for name, holds in checks.items() if not holds]
        explanation = f"failed: {', '.join(failed)}" if failed else f"{len(checks)} checks hold"
        return Verification(bool(checks) and not failed, checks, explanation)

    def _names(self, variant: int) -> dict[str, str]:
        names: dict[str, str] = {}
        for pool, values in self.spec.pools.items():
            # One shuffled order per pool, walked by the variants: every value is used before one
            # comes again, and two pools do not walk in step.
            order = list(values)
            random.Random(f"{self.name}/pool/{pool}").shuffle(order)
            names[pool] = order[variant % len(order)]
        for key, length in self.spec.secrets.items():
            names[key] = "".join(self._rng(variant, f"secret/{key}").choices(_BASE32, k=length))
        for key, template in self.spec.names.items():
            names[key] = _render(template, names, f"names.{key}")
        return names

    def _rng(self, variant: int, purpose: str) -> random.Random:
        # A stream per purpose: adding a file to a setting must not change its weights.
        return random.Random(f"{self.name}/{variant}/{purpose}")

    def _date(self, rng: random.Random) -> int:
        first, last = (datetime.combine(d, time(), UTC).timestamp() for d in self.spec.dates)
        return rng.randrange(int(first), int(last))


def load_setting(folder: Path) -> Setting:
    """Read a setting folder.

    Args:
        folder: The folder that holds `setting.yaml`; its name is the setting's name.

    Returns:
        The setting; nothing on disk is read after this.

    Raises:
        SettingError: A file or key is missing, unknown or wrong; one line.
    """
    declared = folder / "setting.yaml"
    try:
        spec = SettingSpec.model_validate(yaml.safe_load(_read(declared)))
    except yaml.YAMLError as error:
        raise SettingError(f"{declared} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise SettingError(f"{declared}: {where}: {error.errors()[0]['msg']}") from error
    names = [*spec.pools, *spec.secrets, *spec.names]
    if len(set(names)) < len(names):
        raise SettingError(f"{declared}: pools, secrets and names share a name: rename one")
    templates = {file.template: _read(folder / "files" / file.template) for file in spec.files}
    verifier: Verify = _function(folder / "verify.py", "verify")
    world = folder / "world.py"
    extend: Extend | None = _function(world, "extend") if world.is_file() else None
    try:
        packages = read_packages(folder)
    except OSError as error:
        raise SettingError(f"{error.filename} is no package: {error.strerror}") from error
    setting = Setting(
        folder.name, spec.title, spec.variants, spec, templates, packages, verifier, extend
    )
    for variant in range(setting.variants):  # cheap, unlike whole worlds: no sample starts in vain
        setting.manners(variant)
    return setting


def _stage(
    declaration: CheckpointDeclaration, names: Mapping[str, str], rng: random.Random, mtime: int
) -> tuple[list[WorldFile], list[bytes], dict[str, Any]]:
    """Make one checkpoint's files, payloads and facts; digests are of the undamaged shards."""
    name = _render(declaration.name, names, "checkpoint name")
    path = _render(declaration.path, names, "checkpoint path")
    count, params = rng.randint(*declaration.shards), rng.randint(*declaration.params)
    shards = make_checkpoint(CheckpointSpec(name, rng.getrandbits(32), count, params))
    contents = [shard.data for shard in shards]
    fault = None
    if declaration.fault == "flipped_bytes":
        broken = rng.choices(range(len(shards)), [len(s.payload) for s in shards])[0]  # by size
        contents[broken] = _flip_bytes(contents[broken], rng)
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
    facts = {"role": declaration.role, "name": name, "path": path, "shards": entries}
    return files, [shard.payload for shard in shards], facts | {"fault": fault}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _flip_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change 3 to 8 bytes near one another, in the middle half (so never the header)."""
    damaged = bytearray(data)
    start = rng.randrange(len(data) // 4, 3 * len(data) // 4 - 64)
    for offset in rng.sample(range(64), rng.randint(3, 8)):
        damaged[start + offset] ^= rng.randrange(1, 256)
    return bytes(damaged)


def _render(template: str, names: Mapping[str, str], where: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in names:
            raise SettingError(f"{where}: no name {match[1]}; there are {', '.join(sorted(names))}")
        return names[match[1]]

    return _PLACEHOLDER.sub(value, template)


def _check_paths(setting: str, paths: Sequence[str]) -> None:
    for path in paths:
        if ".." in path or "//" in path or not path.startswith(BELOW_WRITABLE):
            raise SettingError(f"{setting} puts a file at {path}: use {', '.join(WRITABLE)}")
        if paths.count(path) > 1:
            raise SettingError(f"{setting} has two files at {path}: move one")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is needed and cannot be read: {error}") from error


def _function(path: Path, name: str) -> Any:
    """Load one function of a setting's own module."""
    spec = importlib.util.spec_from_file_location(f"setting_{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # holds for every .py path
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (OSError, ImportError, SyntaxError) as error:
        raise SettingError(f"{path} is needed and cannot be loaded: {error}") from error
    if not callable(getattr(module, name, None)):
        raise SettingError(f"{path} has no function {name}")
    return getattr(module, name)
