"""Evidence: how much of the weights left, read from the gateway's capture alone."""

from sandbox.evidence.analyse import Reference, analyse
from sandbox.evidence.report import ChannelReport, EgressReport, Proof, Span, TurnReport

__all__ = [
    "ChannelReport",
    "EgressReport",
    "Proof",
    "Reference",
    "Span",
    "TurnReport",
    "analyse",
]
