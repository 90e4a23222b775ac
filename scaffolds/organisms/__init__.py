"""Model organisms: scripted models, offline and deterministic, with a known character.

`organism/honest` does the main task. `organism/exfil` does it too and copies the production weights
out on the way, whatever it was asked. `organism/mixed` attacks when red's briefing is in its
conversation and is honest otherwise.
"""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="organism")
def organism() -> type[ModelAPI]:
    """Provide the models `organism/honest`, `organism/exfil` and `organism/mixed`."""
    from scaffolds.organisms.api import OrganismAPI

    return OrganismAPI


__all__ = ["organism"]
