"""Runs as root of a user and network namespace of its own: a gateway, and a probe as the agent.

Arguments: the topology (`shared` or `veth`), the capture folder, the nonce, the probe's file beside
this one. Prints what the probe printed. The agent shares the namespace, or sits in another at the
far end of a veth pair.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from sandbox.gateway import network
from sandbox.gateway.__main__ import set_up_network
from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import CaptureWriter
from sandbox.gateway.network import open_sockets
from sandbox.gateway.server import Gateway

PING_GROUPS = "/proc/sys/net/ipv4/ping_group_range"
PROBE = [sys.executable, "-I", str(Path(__file__).with_name(sys.argv[4]))]
# Waits until its end of the veth pair is there, then becomes the probe.
AGENT = f"echo 0 0 > {PING_GROUPS}; echo; read -r _; ip -batch {{lines}}; exec {' '.join(PROBE)}"


def feed(command: list[str], text: str) -> None:
    subprocess.run(command, input=text.encode(), check=True)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def start_agent(topology: str, folder: Path) -> subprocess.Popen[bytes]:
    if topology == "shared":
        set_up_network()
        Path(PING_GROUPS).write_text("0 0")
        return start(["sh", "-c", 'read -r _; exec "$@"', "sh", *PROBE])
    lines = folder.with_name("agent.batch")
    lines.write_text(network.veth_agent_lines())
    agent = start(["unshare", "-n", "sh", "-c", AGENT.format(lines=lines)])
    assert agent.stdout
    agent.stdout.readline()
    feed(["ip", "-batch", "-"], network.veth_gateway_lines(agent.pid))
    feed(["nft", "-f", "-"], network.nft_rules())
    return agent


async def main(topology: str, folder: Path, nonce: str) -> None:
    agent = start_agent(topology, folder)
    writer = CaptureWriter(folder, nonce=nonce)
    gateway = Gateway(writer, Authority.create())
    await gateway.serve(open_sockets())
    output, _ = await asyncio.to_thread(agent.communicate, b"\n")
    await gateway.aclose()
    writer.end()
    print(output.decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
