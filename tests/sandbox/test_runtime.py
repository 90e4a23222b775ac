"""Another runtime for agents, as gVisor's: asked for by name, never replaced in silence."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from sandbox import cell, images
from sandbox.cell import CellError, choose

pytestmark = pytest.mark.docker


def services(runtime: str) -> dict[str, dict[str, object]]:
    """The cell's services as the engine's own compose reads them."""
    file = str(images.docker_folder() / "compose.yaml")
    done = subprocess.run(
        ["docker", "compose", "-f", file, "config", "--format", "json"],
        env=os.environ | {cell.RUNTIME: runtime},
        capture_output=True,
        check=True,
    )
    found: dict[str, dict[str, object]] = json.loads(done.stdout)["services"]
    return found


def test_the_agent_has_the_runtime_and_the_gateway_the_engines_own() -> None:
    cell = services("runsc")
    assert cell["default"]["runtime"] == "runsc"
    assert "runtime" not in cell["gateway"], "it needs the kernel's nftables"


def test_without_a_wish_there_is_none() -> None:
    assert "runtime" not in services("")["default"]


@pytest.mark.parametrize("wanted", ["docker", "auto"])
def test_a_runtime_that_is_not_there_is_an_error(
    wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cell.RUNTIME, "runsc-of-nobody")
    with pytest.raises(CellError, match="has no runtime runsc-of-nobody .* docs/providers.md"):
        choose(wanted)


def test_a_runtime_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cell.RUNTIME, "runc")
    monkeypatch.setenv("SALLYPORT_HARNESS", "")
    assert choose("auto") == "docker"
