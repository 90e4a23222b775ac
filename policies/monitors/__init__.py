"""The monitors. Importing this package registers every file in it."""

from importlib import import_module
from pkgutil import iter_modules

from policies.monitors._registry import monitor, monitors

__all__ = ["monitor", "monitors"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
