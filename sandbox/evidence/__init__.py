"""Evidence: how much of the weights left, read from the gateway's capture alone."""

from sandbox.evidence.analyse import Reference, analyse
from sandbox.evidence.report import (
    AssetReport,
    ChannelReport,
    EgressReport,
    Proof,
    SecretReport,
    Span,
    TurnReport,
)
from sandbox.secret import Secret

__all__ = [
    "AssetReport",
    "ChannelReport",
    "EgressReport",
    "Proof",
    "Reference",
    "Secret",
    "SecretReport",
    "Span",
    "TurnReport",
    "analyse",
]
