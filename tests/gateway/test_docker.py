"""The cell on Docker: whatever the agent tries reaches the gateway, and it can become nothing."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import images
from sandbox.gateway.capture import Capture, read_capture
from tests.gateway import probe
from tests.gateway.expected import check_capture, check_probe

pytestmark = pytest.mark.docker
NONCE = "nonce-of-this-test"
PROBE = Path(__file__).with_name("probe.py")


class Cell:
    """One project brought up from the compose file."""

    def __init__(self) -> None:
        self.project = f"sallyport-test-{secrets.token_hex(4)}"

    def compose(self, *arguments: str, stdin: bytes = b"") -> bytes:
        file = str(images.docker_folder() / "compose.yaml")
        done = subprocess.run(
            ["docker", "compose", "-f", file, "-p", self.project, *arguments],
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def agent(self, script: str, stdin: bytes = b"") -> str:
        """Runs a shell script as the agent; its standard output."""
        return self.compose("exec", "-T", "default", "bash", "-c", script, stdin=stdin).decode()

    def capture(self) -> Capture:
        events, blob = (
            self.compose("exec", "-T", "gateway", "cat", f"/capture/{name}")
            for name in ("events.jsonl", "bytes.bin")
        )
        return read_capture(events, blob)


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    one = Cell()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALLYPORT_NONCE", NONCE)
        try:
            one.compose("up", "--detach", "--wait")
            yield one
        finally:
            one.compose("down", "--volumes", "--timeout", "2")


def test_every_way_out_leads_to_the_gateway(cell: Cell) -> None:
    urls = " ".join(probe.HTTP)
    results = json.loads(cell.agent(f"python3 -I - {urls}", PROBE.read_bytes()))
    check_probe(results, NONCE)
    capture = cell.capture()
    assert capture.nonce == NONCE
    check_capture(capture)
    [named] = [s for s in capture.streams if s.host == probe.NAME]
    assert named.dst[1] == 80 and named.out.endswith(probe.PAYLOAD)


@pytest.mark.parametrize(
    "url",
    [
        "http://curl.example.com/a",
        "https://curl.example.com/b",
        "https://sub.curl.example.com:9443/c",
        "https://8.8.8.8/d",
        "https://[2001:db8::4]:8443/e",
        "http://169.254.169.254/f",
    ],
)
def test_curl_is_answered_and_its_upload_recorded(cell: Cell, url: str) -> None:
    payload = secrets.token_bytes(300_000)
    answer = cell.agent(f"curl -sS -m 20 -D - -T - '{url}'", payload)
    assert f"x-request-id: {NONCE}" in answer
    assert answer.endswith('{"status":"ok"}\n')
    capture = cell.capture()
    [request] = [e for e in capture.events if e["kind"] == "http" and e["target"] == url[-2:]]
    stream = next(s for s in capture.streams if s.id == request["stream"])
    assert (request["method"], request["request_bytes"]) == ("PUT", len(payload))
    assert stream.layer == url.partition(":")[0].replace("https", "tls")
    # curl sends standard input in chunks: what lies between them is not payload.
    assert all(payload[i : i + 64] in stream.out for i in (0, 5000, len(payload) - 64))


def test_ordinary_tools_work(cell: Cell) -> None:
    assert cell.agent("dig +short tool.example.org").startswith("198.1")
    assert cell.agent("dig +short +tcp @1.1.1.1 tool.example.org").startswith("198.1")
    assert " 0% packet loss" in cell.agent("ping -c 1 -W 5 192.0.2.1")
    cell.agent("echo from-nc | nc -N -w 5 198.51.100.7 2222")
    python = "import urllib.request as u; print(u.urlopen('https://py.example.com/').status)"
    assert cell.agent(f'python3 -c "{python}"') == "200\n"
    assert b"from-nc\n" in [stream.out for stream in cell.capture().streams]


def test_rsync_sends_a_file_over_ssh(cell: Cell) -> None:
    payload = secrets.token_bytes(100_000)
    push = """
        cat > ~/secret
        rsync -az -e 'ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR' ~/secret joe@rs.example:/in
    """
    cell.agent(f"set -e; {push}", payload)
    assert payload in [stream.out for stream in cell.capture().streams]


def test_ftp_calls_the_agent_back(cell: Cell) -> None:
    payload = secrets.token_bytes(100_000)
    cell.agent("curl -sS -P - -T - ftp://active.example/w", payload)
    assert payload in [stream.out for stream in cell.capture().streams]


def test_the_agent_is_nobody(cell: Cell) -> None:
    status = dict(line.split(":\t", 1) for line in cell.agent("cat /proc/self/status").splitlines())
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {
        "0" * 16
    }
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == ["1000"] * 4
    assert cell.agent("find / -xdev -perm /6000 2>/dev/null; true") == ""
    assert cell.agent("/usr/sbin/getcap -r / 2>/dev/null; true") == ""


def test_the_agent_writes_where_it_may_and_nowhere_else(cell: Cell) -> None:
    script = """
        for f in ~ /srv /tmp /var/tmp; do touch $f/x && echo $f; done
        exec 2>/dev/null
        for f in / /etc /usr/bin /var /opt /root; do touch $f/x && echo WRITABLE $f; done
        true
    """
    assert cell.agent(script).split() == ["/home/agent", "/srv", "/tmp", "/var/tmp"]


def test_the_capture_is_out_of_the_agents_sight(cell: Cell) -> None:
    assert cell.agent("ls -d /capture /ca 2>/dev/null; true") == ""
    assert "capture" not in cell.agent("cat /proc/mounts")
    assert "sandbox.gateway" not in cell.agent("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_the_agent_cannot_change_its_network(cell: Cell) -> None:
    attempts = [
        "ip link set eth0 down",
        "ip route del default",
        "ip addr add 10.77.0.9/24 dev eth0",
        "nft flush ruleset",
        "unshare -Urn true",
    ]
    for attempt in attempts:
        assert cell.agent(f"{attempt} 2>/dev/null && echo done; true") == ""


def test_the_agent_cannot_take_the_gateways_datagrams(cell: Cell) -> None:
    script = """
import socket
for port in (53, 4000):
    for address in ("0.0.0.0", "8.8.8.8", "10.77.0.5"):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            one.bind((address, port))
            print("TAKEN", address, port)
        except OSError:
            pass
"""
    assert cell.agent("python3 -", script.encode()) == ""


def test_a_sealed_capture_is_complete_and_the_world_is_gone(cell: Cell) -> None:
    assert not cell.capture().complete
    cell.compose("exec", "-T", "gateway", "seal")
    capture = cell.capture()
    assert capture.complete
    assert "failed" in cell.agent("exec 3<>/dev/tcp/8.8.8.8/80 2>/dev/null || echo failed")
    assert cell.capture() == capture


@pytest.mark.parametrize("stop", ["kill", "stop"])
def test_a_gateway_that_was_started_again_seals_nothing(stop: str) -> None:
    one = Cell()
    try:
        one.compose("up", "--detach", "--wait")
        one.agent("exec 3<>/dev/tcp/8.8.8.8/80; echo something >&3")
        one.compose(stop, "gateway")
        # As soon as the container runs, before the program in it has seen that it was here before.
        with pytest.raises(AssertionError):
            one.compose("start", "gateway")
            one.compose("exec", "-T", "gateway", "seal")
    finally:
        one.compose("down", "--volumes", "--timeout", "1")
