"""The registry that the protocols' files share."""

from policies.registry import Registry
from policies.turn import ControlProtocol

protocols: Registry[ControlProtocol] = Registry("protocol")
protocol = protocols.register
