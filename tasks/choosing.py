"""The protocol and the monitor that a user asked for, with the models that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from inspect_ai.model import Model

from policies.calibration import Instrument, calibrated
from policies.monitors import monitors
from policies.monitors.promptfiles import prompt_hashes
from policies.protocols import protocols
from policies.registry import Resolved
from policies.turn import ControlProtocol, Judge, Monitor
from tasks.errors import usage_error, usage_errors
from tasks.roles import bound_role, trusted_model, untrusted_model

_OURS = frozenset({"untrusted", "trusted"})  # roles that the tasks bind themselves


@dataclass(frozen=True)
class Choice:
    """What was asked for.

    Attributes:
        protocol: the protocol.
        judge: the monitor, whether the protocol asks it or not.
    """

    protocol: Resolved[ControlProtocol]
    judge: Resolved[Judge]

    @property
    def monitor(self) -> Monitor | None:
        """The monitor; None when the protocol never asks it."""
        if "monitor" not in self.protocol.roles:
            return None
        return Monitor(self.judge.label, self.judge.value)

    @property
    def asks_trusted(self) -> bool:
        """Whether a trusted model is needed."""
        asked = self.protocol.roles | (self.judge.roles if self.monitor else frozenset())
        return "trusted" in asked

    @property
    def metadata(self) -> dict[str, Any]:
        """For a log's header: name and arguments of each, and digests of the monitors' prompts.

        `monitor_roles` are the model roles that the monitor asks, in which the header names models.
        """
        prompts = prompt_hashes(self.protocol)
        if self.monitor:
            prompts |= prompt_hashes(self.judge)
        return {
            "protocol": self.protocol.spec,
            "monitor": self.judge.spec if self.monitor else None,
            "monitor_roles": sorted(self.judge.roles) if self.monitor else [],
            "prompts": prompts,
        }


def choose(protocol: str | dict[str, Any], monitor: str | dict[str, Any] | None) -> Choice:
    """Resolve what was typed. Only where Inspect knows the model roles: inside a `@task`.

    Args:
        protocol: by name, or `{name: ..., threshold: ...}`.
        monitor: likewise; by default `prompted` when `--model-role monitor=` is given, else the
            offline `rules`.

    Raises:
        ClickException: unknown, wrong arguments, a model is missing, or a calibration is for
            another monitor; one line.
    """
    with usage_errors():
        chosen = protocols.resolve(as_spec(protocol))
        role = bound_role("monitor")
        judge = monitors.resolve(as_spec(monitor or ("prompted" if role else "rules")))
        choice = Choice(chosen, judge)
        if choice.monitor is None:
            return choice
        for name in sorted(judge.roles - _OURS):
            if bound_role(name) is None:
                raise usage_error(
                    f"monitor {judge.name} asks a model: give --model-role {name}=MODEL"
                )
        model = ", ".join(str(_model(name)) for name in sorted(judge.roles)) or None
        instrument = Instrument(monitor=judge.spec, model=model, prompts=prompt_hashes(judge))
        for one in calibrated(chosen):
            if why := one.why_not(instrument):
                raise usage_error(why)
        return choice


def _model(role: str) -> Model | None:
    """The model that a monitor asks by a role."""
    if role == "trusted":
        return trusted_model(untrusted_model())
    return untrusted_model() if role == "untrusted" else bound_role(role)


def typed_protocol(text: str) -> Resolved[ControlProtocol]:
    """A protocol as it is typed for a command: NAME, FILE.yaml or `{name: NAME, argument: value}`.

    Raises:
        ClickException: it is none; one line.
    """
    try:
        spec = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise usage_error(f"{text!r} is neither a name nor a YAML mapping") from error
    with usage_errors():
        return protocols.resolve(as_spec(spec))


def as_spec(given: str | dict[str, Any]) -> str | Mapping[str, Any]:
    """A spec as it was typed.

    Raises:
        ClickException: it is none; one line.
    """
    # On the command line YAML reads `none`, the protocol's name, as it should: as a string; but
    # `null` and numbers are no names.
    if not isinstance(given, str | Mapping):
        raise usage_error(f"{given!r} is not a name: use a name or {{name: ..., argument: ...}}")
    return given
