"""The control protocols, one file each. Importing this package registers every file in it."""

from importlib import import_module
from pkgutil import iter_modules

from policies.protocols._registry import NONE, Inner, protocol, protocols
from policies.protocols._threshold import Threshold, at

__all__ = ["NONE", "Inner", "Threshold", "at", "protocol", "protocols"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
