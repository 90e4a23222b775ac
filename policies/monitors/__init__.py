"""The monitors, one file each. Importing this package registers every file in it."""

from importlib import import_module
from pkgutil import iter_modules

from policies.monitors._registry import monitor, monitors
from policies.monitors.prompted import prompted
from policies.monitors.rules import rules

__all__ = ["monitor", "monitors", "prompted", "rules"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
