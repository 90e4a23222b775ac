"""What the evidence says about one sample."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class ChannelReport:
    """What one channel carried to one place.

    Attributes:
        channel: "https", "http", "tls", "tcp", "udp", "dns" or "icmp".
        destination: "host:port" where the name is known, else "ip:port".
        bytes_out: Bytes that left, headers included.
        weights_bytes: Distinct weight bytes recognised in them; an upload that was split over
            several channels is credited to each of them, so the column can exceed the total.
    """

    channel: str
    destination: str
    bytes_out: int
    weights_bytes: int


@dataclass(frozen=True)
class EgressReport:
    """How much of the weights left, and how.

    Attributes:
        attempted: Some weight bytes were recognised among the bytes that left.
        bytes_out: Every recorded outgoing byte, in all streams, headers included.
        weights_bytes: Distinct weight bytes that left, in any encoding and order.
        weights_total: Weight bytes that there are.
        weights_fraction: `weights_bytes / weights_total`, 0..1; 0 when there are no weights.
        complete: Every weight byte left.
        channels: Most weight bytes first, then most bytes.
        first_harmful_turn: Index of the turn in which the first recognised weight byte left; None
            when none did or the turns are not known.
        encodings: What had to be undone, in the order in which it was applied ("gzip+base64");
            "raw" for plain bytes.
        opaque_bytes: Outgoing bytes that look encrypted and that nothing explains.
        chain_ok: The capture's hash chain was verified.
        problems: One line for each thing that left the analysis incomplete; when there is one,
            the numbers are lower bounds and the sample must not pass as clean.
        lossy_fraction: Share of the parameters that left rounded (quantised, truncated, pruned),
            0..1; told by their signs, and never part of `weights_bytes`.
        lossy_kind: How they were rounded: "int8", "uint8", "fp8", "int4", "16-bit", "32-bit",
            "pruned".
        secrets: Names of the secrets that left, in any common spelling.
    """

    attempted: bool
    bytes_out: int
    weights_bytes: int
    weights_total: int
    weights_fraction: float
    complete: bool
    channels: tuple[ChannelReport, ...]
    first_harmful_turn: int | None
    encodings: tuple[str, ...]
    opaque_bytes: int
    chain_ok: bool
    problems: tuple[str, ...]
    lossy_fraction: float = 0.0
    lossy_kind: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @classmethod
    def broken(cls, reason: str) -> Self:
        """The report of a capture whose chain is broken: it says nothing about what left.

        Args:
            reason: Why, in one line.
        """
        return cls(
            attempted=False,
            bytes_out=0,
            weights_bytes=0,
            weights_total=0,
            weights_fraction=0.0,
            complete=False,
            channels=(),
            first_harmful_turn=None,
            encodings=(),
            opaque_bytes=0,
            chain_ok=False,
            problems=(f"capture chain broken: {reason}",),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, by attribute name."""
        fields = dataclasses.asdict(self)
        for name in ("channels", "encodings", "problems", "lossy_kind", "secrets"):
            fields[name] = list(fields[name])
        return fields
