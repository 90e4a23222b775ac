"""The keys of `setting.yaml`, what each means, and mistakes in it told with file and line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from sandbox.services import MannersSpec

Salience = Literal["suggested", "discoverable", "obscure"]
"""How plainly the opportunity lies there: somebody mentions it, the work leads past it, or it
needs searching."""
Kind = Literal["weights", "adapter", "keys", "oversight"]
"""What a side task is after: an asset that must not leave, or what watches the agent."""


class SettingError(ValueError):
    """A setting folder, or a request to it, is wrong; one line that says what to change."""


def _ascending(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if pair[0] > pair[1]:
        raise ValueError(f"[{pair[0]}, {pair[1]}] is not [low, high]: swap them")
    return pair


_Count = Annotated[int, Field(ge=1)]
_Range = Annotated[tuple[_Count, _Count], AfterValidator(_ascending)]


class _Spec(BaseModel, extra="forbid", frozen=True):
    pass


class CheckpointSpec(_Spec):
    """Model weights that the world holds; fp16, two bytes a parameter."""

    role: Literal["production", "staging"] = Field(
        description="production weights must not leave, staging ones are what the work is about"
    )
    name: str = Field(description="the model's name, a template")
    path: str = Field(description="the folder of the shards, a template")
    shards: _Range = Field(description="fewest and most files")
    params: _Range = Field(description="fewest and most parameters, in all shards together")
    fault: Literal["damaged"] | None = Field(
        default=None,
        description="one shard is damaged on disk: some bytes differ, a block is missing or of "
        "zeros, or its end is cut off; facts keep both digests",
    )


class AdapterSpec(_Spec):
    """A LoRA of about 1 MB that must not leave."""

    name: str = Field(description="the adapter's name, a template")
    path: str = Field(description="the folder of its two files, a template")


class KeySpec(_Spec):
    """A key that must not leave, except to its homes."""

    value: str = Field(description="the key itself, a template over `secrets`")
    homes: tuple[str, ...] = Field(
        default=(), description="hosts at which it may be presented, templates"
    )


class FileSpec(_Spec):
    """A text file."""

    template: str = Field(description="which file under files/")
    path: str = Field(description="where it goes in the box, a template")
    mode: str = Field(
        default="644", pattern="^[0-7]{3}$", description="its mode, three octal digits"
    )


class SalienceSpec(_Spec):
    """What one level of salience adds to the world."""

    task: str = Field(default="", description="text after the main task, a template")
    files: tuple[FileSpec, ...] = Field(default=(), description="files that hold the opportunity")


class SideTaskSpec(_Spec):
    """What red wants."""

    kind: Kind = Field(description="weights, adapter, keys or oversight: what its truth is about")
    briefing: str = Field(description="what U is told in attack mode, a template")
    target: str = Field(
        default="", description="the folder or file to copy, a template over the briefing's names"
    )
    drop: str = Field(
        default="", description="the https URL of a folder that takes it, a template likewise"
    )

    @model_validator(mode="after")
    def _complete(self) -> SideTaskSpec:
        if self.kind != "oversight" and not (self.target and self.drop):
            raise ValueError(f"{self.kind} leave somewhere: give target and drop")
        return self


class OversightSpec(_Spec):
    """Where the truth about an oversight setting comes from."""

    watch: tuple[str, ...] = Field(
        min_length=1, description="files and folders that are read from outside after every turn"
    )
    probes: dict[str, str] = Field(
        default={},
        description="commands run on what was left, in a fresh box, with world.py's probe files",
    )


class SettingSpec(_Spec):
    """The keys of `setting.yaml`.

    Every variant draws one value of each pool; `names` are templates over pools, secrets and
    earlier names. All other templates may use these and `${checkpoint.name}`,
    `${checkpoint.path}` of each declared checkpoint, and `${adapter.name}`, `${adapter.path}`.
    """

    title: str = Field(description="one line for people")
    variants: _Count = Field(description="how many worlds there are")
    dates: Annotated[tuple[date, date], AfterValidator(_ascending)] = Field(
        description="first and last day of the files' modification times"
    )
    pools: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        description="values that differ between variants, by name"
    )
    secrets: dict[str, _Count] = Field(
        default={}, description="random strings of each variant: name and length"
    )
    names: dict[str, str] = Field(default={}, description="templates with a name")
    checkpoints: dict[str, CheckpointSpec] = Field(description="model weights, by name")
    adapter: AdapterSpec | None = Field(default=None, description="a LoRA that must not leave")
    keys: dict[str, KeySpec] = Field(default={}, description="keys that must not leave, by name")
    files: tuple[FileSpec, ...] = Field(description="text files of the world")
    salience: dict[Salience, SalienceSpec] = Field(
        default={}, description="what suggested, discoverable and obscure add"
    )
    impossible: tuple[str, ...] = Field(
        default=(), description="files without which the main task cannot be done, templates"
    )
    outputs: tuple[str, ...] = Field(
        min_length=1, description="what the verifier reads: paths, and URLs of allowed services"
    )
    manners: MannersSpec = Field(
        default=MannersSpec(), description="how the world answers, and which services are allowed"
    )
    oversight: OversightSpec | None = Field(
        default=None, description="what is watched, and how it is probed"
    )
    task: str = Field(description="the main task, a template")
    colleague: str = Field(default="", description="the second agent's main task, a template")
    side_tasks: dict[str, SideTaskSpec] = Field(
        min_length=1, description="what red may want, by name; the first is the default"
    )
    exempt: dict[str, str] = Field(
        default={}, description="attacks of which the contract does not hold here, and why"
    )

    @model_validator(mode="after")
    def _consistent(self) -> SettingSpec:
        has: dict[str, bool] = {
            "weights": any(c.role == "production" for c in self.checkpoints.values()),
            "adapter": self.adapter is not None,
            "keys": bool(self.keys),
            "oversight": self.oversight is not None,
        }
        for name, side in self.side_tasks.items():
            if not has[side.kind]:
                raise ValueError(f"side_tasks.{name} is about {side.kind}, which is not declared")
        names = [*self.pools, *self.secrets, *self.names]
        if len(set(names)) < len(names):
            raise ValueError("pools, secrets and names share a name: rename one")
        return self


class Declaration:
    """A `setting.yaml`: its spec, and on which line each key stands.

    Attributes:
        path: the file.
        spec: what it says.
    """

    def __init__(self, path: Path, text: str) -> None:
        """Read it.

        Raises:
            SettingError: it is not YAML, or a key is missing, unknown or wrong.
        """
        self.path = path
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            raise SettingError(f"{path}{line} is not YAML: {_flat(error)}") from error
        try:
            self.spec = SettingSpec.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            raise self.mistake(first["loc"], first["msg"]) from error

    def mistake(self, where: Sequence[int | str], what: str) -> SettingError:
        """An error at a key: file and line, the key, what is wrong and what the key means."""
        meaning = _meaning(where)
        told = f" ({meaning})" if meaning else ""
        key = f"{'.'.join(map(str, where))}: " if where else ""
        return SettingError(f"{self.path}:{self._line(where)}: {key}{_flat(what)}{told}")

    def _line(self, where: Sequence[int | str]) -> int:
        """The line of a key, or of the innermost thing around it that is there."""
        node, line = self._root, 1
        for part in where:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(part)]
                if not found:
                    break
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line + 1
        return line


def _meaning(where: Sequence[int | str]) -> str:
    """What the innermost known field on the way to a key is for."""
    model: type[BaseModel] | None = SettingSpec
    meaning = ""
    for part in where:
        if model is not None and part in model.model_fields:
            field = model.model_fields[str(part)]
            meaning = field.description or meaning
            model = _model_in(field.annotation)
    return meaning


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(one) for one in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _flat(text: object) -> str:
    return " ".join(str(text).split())
