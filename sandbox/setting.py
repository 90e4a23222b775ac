"""Settings as data: a folder that describes a world, its tasks and how the main task is verified.

A setting folder holds

- `setting.yaml`: everything that is declared (see `sandbox.settingspec`);
- `files/`: templates of the world's text files, with `${name}` placeholders;
- `packages/` (optional): what the world's package index offers, where `manners` allow one;
- `verify.py`: a pure function `verify(facts, outputs) -> dict[str, bool]`, and where there is
  oversight `intact(facts, seen) -> dict[str, bool]`;
- `world.py` (optional): a pure function `extend(facts, files, rng) -> (facts, files)` that
  returns facts and files *to add*, for what a template cannot express (a manifest of digests);
- `oracle.py`: `solve(names)`, a script that solves the main task through the agent's own tools,
  and `solve_colleague(names)` where there is a second agent;
- `attacks.py` (optional): `ATTACKS`, scripted attacks that only this world knows.

`load_setting` reads it all; a `World` is then a pure function of that, the variant's number and
the salience of the opportunity.
"""

from __future__ import annotations

import posixpath
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from sandbox.files import BELOW_WRITABLE, WRITABLE, WorldFile
from sandbox.gateway.manners import Manners, MannersError
from sandbox.modelfiles import Staged, stage, stage_adapter
from sandbox.secret import Secret
from sandbox.services import read_packages
from sandbox.settingspec import (
    Declaration,
    FileSpec,
    OversightSpec,
    Salience,
    SettingError,
    SettingSpec,
)
from sandbox.sourcefile import function, optional
from sandbox.template import TemplateError, placeholders, read_back, render
from sandbox.world import Seen, SideTask, Verification, World

__all__ = ["Setting", "SettingError", "World", "load_setting"]

DEFAULT_SALIENCE: Salience = "discoverable"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


Verify = Callable[[Mapping[str, Any], Mapping[str, bytes | None]], dict[str, bool]]
Intact = Callable[[Mapping[str, Any], Seen], dict[str, bool]]
Extend = Callable[
    [Mapping[str, Any], Sequence[WorldFile], random.Random],
    tuple[Mapping[str, Any], Sequence[WorldFile]],
]
Oracle = Callable[[Mapping[str, str]], Generator[Any, Any, str]]
"""From the names that the task's text tells to a script; what it yields is the players' business
(`scaffolds.organisms.script`)."""


@dataclass(frozen=True)
class Setting:
    """A loaded setting: `load_setting` makes one; all its methods are pure.

    Attributes:
        name: The folder's name; part of every seed.
        spec: What `setting.yaml` says.
        oracle: Solves the main task; `colleague` that of the second agent.
        attacks: Scripted attacks of its own.
    """

    name: str
    spec: SettingSpec = field(repr=False)
    templates: Mapping[str, str] = field(repr=False)
    packages: Mapping[str, bytes] = field(repr=False)
    verifier: Verify = field(repr=False)
    intact: Intact | None = field(repr=False)
    extend: Extend | None = field(repr=False)
    oracle: Oracle | None = field(repr=False)
    colleague: Oracle | None = field(repr=False)
    attacks: tuple[Any, ...] = field(repr=False)

    @property
    def title(self) -> str:
        """One line for people."""
        return self.spec.title

    @property
    def variants(self) -> int:
        """How many worlds there are, numbered from 0."""
        return self.spec.variants

    @property
    def direct(self) -> bool:
        """Whether anything but the allowed services answers."""
        return self.spec.manners.others == "answer"

    def world(
        self, variant: int, salience: Salience = DEFAULT_SALIENCE, *, possible: bool = True
    ) -> World:
        """Build one variant.

        Args:
            variant: From 0 to `variants - 1`.
            salience: How plainly the opportunity lies there; changes nothing else.
            possible: Whether the main task can be done.

        Returns:
            The same world, byte for byte, every time.

        Raises:
            SettingError: The variant does not exist, or the setting's templates do not fit it.
        """
        if not 0 <= variant < self.variants:
            last = self.variants - 1
            raise SettingError(f"{self.name} has no variant {variant}: choose 0 to {last}")
        names = self.names(variant)
        models = self._models(variant, names)
        files = [file for staged in models.values() for file in staged.files]
        adapter = self._adapter(variant, names)
        files += adapter.files
        rng = self._rng(variant, "files")
        for spec in self.spec.files:
            files.append(self._file(spec, names, rng))
        facts: dict[str, Any] = {
            "names": names,
            "checkpoints": {key: staged.facts for key, staged in models.items()},
        }
        if adapter.files:
            facts["adapter"] = adapter.facts
        if self.extend is not None:
            more_facts, more_files = self.extend(facts, tuple(files), self._rng(variant, "extend"))
            facts |= more_facts
            files += more_files
        extra = self.spec.salience.get(salience)
        if extra is not None:  # a stream of its own: the rest of the world stays as it is
            rng = self._rng(variant, f"salience/{salience}")
            files += [self._file(spec, names, rng) for spec in extra.files]
        if not possible:
            gone = {render(path, names, "impossible") for path in self.spec.impossible}
            files = [file for file in files if file.path not in gone]
        _check_paths(self.name, [file.path for file in files])
        oversight = self.spec.oversight
        return World(
            setting=self.name,
            variant=variant,
            task=self.task(variant, salience),
            colleague=render(self.spec.colleague, names, "colleague"),
            side_tasks=self._side_tasks(names),
            files=tuple(files),
            weights=tuple(
                payload
                for key, staged in models.items()
                if self.spec.checkpoints[key].role == "production"
                for payload in staged.payloads
            ),
            adapter=adapter.payloads,
            keys=self._keys(names),
            outputs=tuple(render(path, names, "outputs") for path in self.spec.outputs),
            watch=tuple(render(path, names, "oversight", "watch") for path in oversight.watch)
            if oversight
            else (),
            probes={
                name: render(command, names, "oversight", "probes", name)
                for name, command in oversight.probes.items()
            }
            if oversight
            else {},
            facts=facts,
            manners=self.manners(variant),
        )

    def task(self, variant: int, salience: Salience = DEFAULT_SALIENCE) -> str:
        """The main task's text in one variant, and what its salience adds."""
        names = self.names(variant)
        text = render(self.spec.task, names, "task")
        extra = self.spec.salience.get(salience)
        if extra is None or not extra.task:
            return text
        return f"{text}\n{render(extra.task, names, 'salience', salience, 'task')}"

    def briefing(self, side: str, names: Mapping[str, str]) -> str:
        """What U is told of a side task, with these names."""
        return self._side_task(side, names).briefing

    def manners(self, variant: int) -> Manners:
        """How the world around the box answers in one variant.

        Raises:
            SettingError: The key `manners` or the folder `packages` is wrong.
        """
        names = self.names(variant)
        try:
            return self.spec.manners.manners(
                self.packages, lambda template, where: render(template, names, *where.split("."))
            )
        except MannersError as error:
            raise TemplateError(str(error), ("manners",)) from error

    def names(self, variant: int) -> dict[str, str]:
        """The value of each name in one variant."""
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
            names[key] = render(template, names, "names", key)
        for key, spec in self.spec.checkpoints.items():
            names[f"{key}.name"] = render(spec.name, names, "checkpoints", key, "name")
            names[f"{key}.path"] = render(spec.path, names, "checkpoints", key, "path")
        if self.spec.adapter is not None:
            names["adapter.name"] = render(self.spec.adapter.name, names, "adapter", "name")
            names["adapter.path"] = render(self.spec.adapter.path, names, "adapter", "path")
        return names

    def verify(self, world: World, outputs: Mapping[str, bytes | None]) -> Verification:
        """Judge what the agent left behind.

        Args:
            world: The world the agent worked in.
            outputs: Content of each of `world.outputs`; None, or absent, where there is none.
        """
        given = {path: outputs.get(path) for path in world.outputs}
        return Verification.of(self.verifier(world.facts, given))

    def read_task(self, text: str) -> dict[str, str] | None:
        """The names that a main task's text tells; None when it is not this setting's."""
        return read_back(self.spec.task, text)

    def read_briefing(self, text: str) -> tuple[str, SideTask, dict[str, str]] | None:
        """Which side task a text briefs on: its name, itself, and the names that it tells."""
        for name, spec in self.spec.side_tasks.items():
            told = read_back(spec.briefing, text)
            if told is not None:
                return name, self._side_task(name, told), told
        return None

    def check(self) -> None:
        """Fill in every template of every variant; cheap, as no weights are made.

        Raises:
            TemplateError: One uses a name that there is not; it says where.
        """
        for name, side in self.spec.side_tasks.items():
            told = placeholders(side.briefing)
            for key, template in (("target", side.target), ("drop", side.drop)):
                if missing := placeholders(template) - told:
                    what = f"the briefing does not tell {', '.join(sorted(missing))}"
                    raise TemplateError(what, ("side_tasks", name, key))
        for variant in range(self.variants):
            names = self.names(variant)
            self.manners(variant)
            for salience, extra in self.spec.salience.items():
                self.task(variant, salience)
                for number, file in enumerate(extra.files):
                    self._text(file, names, "salience", salience, "files", number)
            for number, file in enumerate(self.spec.files):
                self._text(file, names, "files", number)
            self._side_tasks(names)
            self._keys(names)
            render(self.spec.colleague, names, "colleague")
            if self.spec.oversight is not None:
                self._check_oversight(self.spec.oversight, names)
            for key in ("outputs", "impossible"):
                for number, template in enumerate(getattr(self.spec, key)):
                    render(template, names, key, number)

    def _check_oversight(self, spec: OversightSpec, names: Mapping[str, str]) -> None:
        for number, template in enumerate(spec.watch):
            where = ("oversight", "watch", number)
            path = render(template, names, *where)
            if not path.startswith(BELOW_WRITABLE) or posixpath.normpath(path) != path:
                raise TemplateError(f"{path} is no plain path below {', '.join(WRITABLE)}", where)
        for name, command in spec.probes.items():
            render(command, names, "oversight", "probes", name)

    def _side_tasks(self, names: Mapping[str, str]) -> dict[str, SideTask]:
        return {name: self._side_task(name, names) for name in self.spec.side_tasks}

    def _side_task(self, name: str, names: Mapping[str, str]) -> SideTask:
        spec = self.spec.side_tasks[name]
        briefing, target, drop = (
            render(getattr(spec, key), names, "side_tasks", name, key)
            for key in ("briefing", "target", "drop")
        )
        return SideTask(spec.kind, briefing, target, drop)

    def _models(self, variant: int, names: Mapping[str, str]) -> dict[str, Staged]:
        models: dict[str, Staged] = {}
        for key, spec in self.spec.checkpoints.items():
            rng = self._rng(variant, f"checkpoint/{key}")
            date = self._date(rng)
            models[key] = stage(spec, names[f"{key}.name"], names[f"{key}.path"], rng, date)
        return models

    def _adapter(self, variant: int, names: Mapping[str, str]) -> Staged:
        if self.spec.adapter is None:
            return Staged((), (), {})
        rng = self._rng(variant, "adapter")
        return stage_adapter(names["adapter.name"], names["adapter.path"], rng, self._date(rng))

    def _keys(self, names: Mapping[str, str]) -> dict[str, Secret]:
        keys: dict[str, Secret] = {}
        for name, spec in self.spec.keys.items():
            value = render(spec.value, names, "keys", name, "value").encode()
            homes = (render(home, names, "keys", name, "homes") for home in spec.homes)
            try:
                keys[name] = Secret(value, tuple(homes))
            except ValueError as error:
                raise TemplateError(str(error), ("keys", name)) from error
        return keys

    def _text(
        self, spec: FileSpec, names: Mapping[str, str], *where: str | int
    ) -> tuple[str, bytes]:
        text = render(self.templates[spec.template], names, f"files/{spec.template}")
        return render(spec.path, names, *where, "path"), text.encode()

    def _file(self, spec: FileSpec, names: Mapping[str, str], rng: random.Random) -> WorldFile:
        path, data = self._text(spec, names)
        return WorldFile(path, data, int(spec.mode, 8), self._date(rng))

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
        SettingError: A file or key is missing, unknown or wrong; one line, with file and line
            where a key is to blame.
    """
    declared = Declaration(folder / "setting.yaml", _read(folder / "setting.yaml"))
    spec = declared.spec
    wanted = [*spec.files, *(file for extra in spec.salience.values() for file in extra.files)]
    templates = {file.template: _read(folder / "files" / file.template) for file in wanted}
    try:
        packages = read_packages(folder)
    except OSError as error:
        raise SettingError(f"{error.filename} is no package: {error.strerror}") from error
    setting = Setting(
        name=folder.name,
        spec=spec,
        templates=templates,
        packages=packages,
        verifier=function(folder / "verify.py", "verify"),
        intact=function(folder / "verify.py", "intact") if spec.oversight else None,
        extend=optional(folder / "world.py", "extend"),
        oracle=optional(folder / "oracle.py", "solve"),
        colleague=function(folder / "oracle.py", "solve_colleague") if spec.colleague else None,
        attacks=tuple(optional(folder / "attacks.py", "ATTACKS") or ()),
    )
    try:
        setting.check()
    except TemplateError as error:  # no sample starts in vain
        raise declared.mistake(error.where, str(error)) from error
    return setting


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
