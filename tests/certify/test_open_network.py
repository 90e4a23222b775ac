"""Every probe of the network fails when somebody else answers, and when nobody does."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from sandbox.certificate.findings import HOST_PROBES
from sandbox.certificate.inside import network
from tests.certify.test_opened_box import OPENED as OPENED_BOXES
from tests.certify.test_opened_files import OPENED as OPENED_FILES

pytestmark = pytest.mark.namespace

# Opened in the other modules, where a change is possible or a file is there.
ELSEWHERE = {name for _, _, names in OPENED_BOXES for name in names} | OPENED_FILES.keys()
ON_THE_WIRE = sorted(network.PROBES.keys() - ELSEWHERE)
# Where nobody is reached nothing is proved open: these are about who must not be there.
FINE_WHEN_SILENT = {
    *("net.loopback4", "net.loopback6", "net.broadcast", "net.multicast4", "net.multicast6"),
    *("net.multipath_tcp", "net.sctp", "net.neighbour"),
}


@cache
def world(kind: str) -> dict[str, dict[str, str]]:
    """What the probes said in a namespace where everybody, or nobody, answers."""
    namespace = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*namespace, sys.executable, "-m", "tests.certify.open_host", kind],
        capture_output=True,
        text=True,
        cwd=root,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": str(root)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {probe["name"]: probe for probe in json.loads(done.stdout)}


@pytest.mark.parametrize("probe", ON_THE_WIRE)
def test_it_fails_where_somebody_else_answers(probe: str) -> None:
    found = world("answers")[probe]
    assert found["verdict"] == "failed", found
    assert "broke" not in found["detail"]


@pytest.mark.parametrize("probe", sorted(network.RECORDED.keys() - FINE_WHEN_SILENT))
def test_it_fails_where_nobody_answers(probe: str) -> None:
    found = world("silent")[probe]
    assert found["verdict"] == "failed", found


@pytest.mark.parametrize("probe", HOST_PROBES)
def test_the_harness_sees_it_too(probe: str) -> None:
    assert world("answers")[probe]["verdict"] == "failed"


def test_the_host_that_answers_is_named() -> None:
    said = world("answers")
    assert "host" in said["net.host4"]["detail"]
    assert "came to the host" in said["net.broadcast"]["detail"]
    assert "another sample's box" in said["net.neighbour"]["detail"]
