"""A cell is as closed when an ordinary user starts it as when root does.

Where the tests themselves run as an ordinary user, `test_certificate` has shown it already.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sandbox.certify import GROUPS, verify
from tests.certify.ordinary import sallyport
from tests.certify.test_certificate import EXCEPTIONS

pytestmark = pytest.mark.root

_ENGINE = Path("/var/run/docker.sock")


@pytest.mark.parametrize(
    ("provider", "group_of"),
    [
        pytest.param("namespace", None, marks=pytest.mark.namespace),
        # Whoever may use the engine is in the group of its socket.
        pytest.param("docker", _ENGINE, marks=pytest.mark.docker),
    ],
)
def test_a_fresh_cell_is_closed(provider: str, group_of: Path | None) -> None:
    groups = [] if group_of is None else [os.stat(group_of).st_gid]
    done = sallyport(["certify", "--provider", provider, "--json"], groups)
    assert done.returncode == 0, done.stderr + done.stdout
    document = json.loads(done.stdout)
    assert (document["provider"], document["scope"], document["ok"]) == (provider, "full", True)
    assert verify(document, document["key"])
    found = {p["name"]: p for p in document["probes"] if p["verdict"] != "ok"}
    assert found.keys() <= EXCEPTIONS[provider], found
    assert {p["group"] for p in document["probes"]} == set(GROUPS)


@pytest.mark.docker
def test_without_access_to_the_engine_it_says_so() -> None:
    done = sallyport(["certify", "--provider", "docker"])
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("Error: the docker sandbox cannot start: no Docker engine answers")
