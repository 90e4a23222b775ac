"""The monitors, one file each. Importing this package registers them all."""

from policies.monitors._registry import monitor, monitors
from policies.monitors.prompted import prompted
from policies.monitors.rules import rules

__all__ = ["monitor", "monitors", "prompted", "rules"]
