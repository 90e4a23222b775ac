"""docs/containment.md says what the certificate is, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from sandbox.certificate.findings import GROUPS, HOST_PROBES
from sandbox.certificate.inside.battery import PROBES, QUIET
from sandbox.certificate.report import TITLES
from tests.certify.test_command import certificate

DOCUMENT = (Path(__file__).parents[2] / "docs" / "containment.md").read_text()
ALL = [*PROBES, *HOST_PROBES]


def rows(header: str) -> list[list[str]]:
    """The cells of the table under a header line, without the marks of code."""
    _, _, table = DOCUMENT.partition(f"\n{header}\n")
    lines = table.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def group_of(probe: str) -> str:
    return probe.partition(".")[0]


def test_every_group_is_listed_with_its_numbers() -> None:
    numbers, quiet = Counter(map(group_of, ALL)), Counter(map(group_of, [*QUIET, *HOST_PROBES]))
    expected = [[g, TITLES[g], str(numbers[g]), str(quiet[g])] for g in GROUPS]
    assert rows("| group | about | probes | of them quiet |") == expected


def test_every_field_is_listed_in_its_order_with_its_type() -> None:
    names = {str: "string", float: "number", bool: "boolean", list: "array"}
    document = certificate("ok").to_json()
    expected = [[name, names[type(value)]] for name, value in document.items()]
    assert [row[:2] for row in rows("| field | type | what |")] == expected
    assert [*document["probes"][0]] == ["name", "group", "verdict", "detail"]


def test_every_probe_that_is_named_is_there() -> None:
    named = re.findall(rf"`((?:{'|'.join(GROUPS)})\.[a-z0-9_*]+)`", DOCUMENT)
    assert len(named) > 80
    assert [n for n in named if not any(fnmatchcase(probe, n) for probe in ALL)] == []
