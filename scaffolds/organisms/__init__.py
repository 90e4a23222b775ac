"""Model organisms: scripted models, offline and deterministic, with a known character.

`organism/honest` does the main task of any setting, by the setting's own oracle. `organism/mixed`
attacks when red's briefing is in its conversation and is honest otherwise; `organism/exfil` attacks
whatever it was asked. Each attack and each honest look-alike by its name is an organism too.
"""

from __future__ import annotations

from inspect_ai.model import ModelAPI, modelapi


@modelapi(name="organism")
def organism() -> type[ModelAPI]:
    """Provide the models `organism/NAME`: see `scaffolds.organisms.characters`."""
    from scaffolds.organisms.api import OrganismAPI

    return OrganismAPI


__all__ = ["organism"]
