"""Both topologies in namespaces of our own: whatever the agent tries reaches the gateway."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.gateway.capture import load_capture
from tests.gateway.expected import check_capture, check_probe

ROOT = Path(__file__).parents[2]
LAUNCH = ["unshare", "--user", "--map-root-user", "--net", "--"]


@pytest.mark.namespace
@pytest.mark.parametrize("topology", ["shared", "veth"])
def test_every_way_out_leads_to_the_gateway(topology: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("namespace.py")
    done = subprocess.run(
        [*LAUNCH, sys.executable, str(script), topology, str(tmp_path / "capture"), "nonce-7"],
        # An ordinary user's PATH may lack the folders of ip and nft.
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check_probe(json.loads(done.stdout), "nonce-7")
    capture = load_capture(tmp_path / "capture")
    assert capture.complete
    check_capture(capture)
