"""The registry that the monitors' files share."""

from policies.registry import Registry
from policies.turn import Monitor

monitors: Registry[Monitor] = Registry("monitor")
monitor = monitors.register
