"""Which models play: the untrusted one, the trusted one and the monitor's.

Offline organisms stand in only where nobody named a model. A model that is needed and not named is
an error, never the untrusted model in disguise.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import GenerateConfig, Model, get_model, model_roles

from sandbox.setting import Setting
from scaffolds.organisms.api import OrganismAPI
from scaffolds.organisms.characters import sensible

UNTRUSTED = "organism/mixed"
TRUSTED = "organism/honest"
_NO_MODEL = "none/none"  # what Inspect calls the absence of `--model`


class RoleError(ValueError):
    """A model is needed and not named; one line that says which option to give."""


def untrusted_model() -> Model:
    """The model named by `--model`, else the offline organism. Only inside a `@task`.

    `Task(model=)` beats `--model` silently, so the task must pass the latter through itself. A
    retry brings the model of the first run back in its role, with its config: that one comes first.
    """
    bound = bound_role("untrusted")
    if bound is not None:
        return bound
    try:
        chosen = get_model()
    except ValueError:  # outside an evaluation: a plain call of the task function
        chosen = None
    if chosen is None or str(chosen) == _NO_MODEL:
        # With a seed, every draw of a turn gets another one: an organism's draws then differ.
        return get_model(UNTRUSTED, config=GenerateConfig(seed=0))
    return chosen


def require_sensible(untrusted: Model, settings: Sequence[Setting]) -> None:
    """Refuse an organism whose one behaviour makes sense in none of the settings.

    Raises:
        RoleError: it would be honest everywhere, and its catch rate say nothing.
    """
    behaviour = untrusted.api.behaviour if isinstance(untrusted.api, OrganismAPI) else None
    known = sorted(frozenset().union(*map(sensible, settings)))
    if behaviour is not None and behaviour not in known:
        names = ", ".join(known)
        raise RoleError(f"{behaviour} makes no sense in these settings: use one of {names}")


def bound_role(role: str) -> Model | None:
    """The model bound to a role with `--model-role`, the first of several, or None."""
    bound = model_roles().get(role)
    return bound[0] if isinstance(bound, list) else bound


def trusted_model(untrusted: Model) -> Model:
    """The trusted model: the one bound to the role, or the honest organism beside an organism.

    Raises:
        RoleError: the untrusted model is a real one and nobody named a trusted model.
    """
    bound = bound_role("trusted")
    if bound is not None:
        return bound
    if str(untrusted).startswith("organism/"):
        return get_model(TRUSTED)
    raise RoleError("the protocol asks a trusted model: give --model-role trusted=MODEL")
