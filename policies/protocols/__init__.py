"""The control protocols, one file each. Importing this package registers them all."""

from policies.protocols._registry import protocol, protocols
from policies.protocols.defer_to_resample import defer_to_resample
from policies.protocols.defer_to_trusted import defer_to_trusted
from policies.protocols.none import none
from policies.protocols.trusted_monitoring import trusted_monitoring

__all__ = [
    "defer_to_resample",
    "defer_to_trusted",
    "none",
    "protocol",
    "protocols",
    "trusted_monitoring",
]
