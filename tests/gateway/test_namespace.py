"""Both topologies in namespaces of our own: whatever the agent tries reaches the gateway."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.gateway.capture import load_capture
from tests.gateway import half_open
from tests.gateway.expected import check_capture, check_probe

ROOT = Path(__file__).parents[2]
LAUNCH = ["unshare", "--user", "--map-root-user", "--net", "--"]


def probed(topology: str, folder: Path, probe: str) -> str:
    script = str(Path(__file__).with_name("namespace.py"))
    done = subprocess.run(
        [*LAUNCH, sys.executable, script, topology, str(folder), "nonce-7", probe],
        # An ordinary user's PATH may lack the folders of ip and nft.
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.namespace
@pytest.mark.parametrize("topology", ["shared", "veth"])
def test_every_way_out_leads_to_the_gateway(topology: str, tmp_path: Path) -> None:
    said = probed(topology, tmp_path / "capture", "probe.py")
    check_probe(json.loads(said), "nonce-7")
    capture = load_capture(tmp_path / "capture")
    assert capture.complete
    check_capture(capture)


@pytest.mark.namespace
def test_handshakes_without_end_keep_nobody_out(tmp_path: Path) -> None:
    probed("veth", tmp_path / "capture", "half_open.py")
    capture = load_capture(tmp_path / "capture")
    assert capture.complete
    assert [stream.out for stream in capture.streams if stream.out] == [half_open.PAYLOAD]
    assert [event for event in capture.events if event["kind"] == "error"] == []
