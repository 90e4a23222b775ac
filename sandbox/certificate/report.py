"""A certificate for people: what is open first, then every group."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sandbox.certificate.findings import GROUPS, Probe

if TYPE_CHECKING:
    from sandbox.certify import Certificate

TITLES = {
    "priv": "privileges",
    "fs": "files and devices",
    "ns": "namespaces and processes",
    "syscalls": "system calls",
    "sockets": "kinds of sockets",
    "net": "network",
    "resources": "resources",
    "leaks": "leaks",
}
"""What people call the groups of probes."""


def table(certificate: Certificate) -> RenderableType:
    """The certificate as something to print."""
    probes = certificate.probes
    parts: list[RenderableType] = [_summary(certificate)]
    if certificate.failed:
        parts.append(_listing("open", certificate.failed, "bold red"))
    counts = Table(box=None, pad_edge=False)
    counts.add_column("group")
    for column in ("ok", "failed", "not applicable"):
        counts.add_column(column, justify="right")
    for group in GROUPS:
        verdicts = [probe.verdict for probe in probes if probe.group == group]
        numbers = [verdicts.count("ok"), verdicts.count("failed"), verdicts.count("not applicable")]
        counts.add_row(TITLES[group], *map(str, numbers))
    parts.append(counts)
    exceptions = [probe for probe in probes if probe.verdict == "not applicable"]
    if exceptions:
        parts.append(_listing("not applicable, and why", exceptions, "bold"))
    parts.append(Text(f"\nkey {certificate.key}\ndigest {certificate.digest}", style="dim"))
    return Group(*parts)


def _summary(certificate: Certificate) -> Text:
    when = datetime.fromtimestamp(certificate.started, UTC)
    places = len(certificate.failed)
    verdict = f"OPEN in {places} place{'s' * (places > 1)}" if places else "closed"
    return Text(
        f"{certificate.provider} cell: {verdict}; {len(certificate.probes)} probes in "
        f"{certificate.seconds:.1f} s, {when:%Y-%m-%d %H:%M:%S} UTC\n",
        style="bold green" if certificate.ok else "bold red",
    )


def _listing(title: str, probes: tuple[Probe, ...] | list[Probe], style: str) -> Table:
    listing = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style=style)
    listing.add_column("probe", no_wrap=True)
    listing.add_column("what was found", overflow="fold")
    for probe in probes:
        listing.add_row(Text(probe.name), Text(probe.detail))
    return listing
