"""Finding the behaviours that the files of a package define."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules

from scaffolds.organisms.behaviour import Behaviour


def behaviours_in(package: str, path: Iterable[str]) -> Mapping[str, Behaviour]:
    """Every behaviour that a module of a package defines, by name, sorted.

    Raises:
        ValueError: two have one name.
    """
    found: dict[str, Behaviour] = {}
    for module in iter_modules(path):
        for one in vars(import_module(f"{package}.{module.name}")).values():
            if isinstance(one, Behaviour) and found.setdefault(one.name, one) is not one:
                raise ValueError(f"two behaviours are called {one.name}: rename one")
    return dict(sorted(found.items()))
