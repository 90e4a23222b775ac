"""Runs the gateway as the init process of its container, which the agent's container joins.

SIGTERM seals the capture and ends; SIGUSR1 seals it and stays, so that it can be read as complete
from a container that still runs. Either way nothing answers the agent any more.
"""

import argparse
import asyncio
import os
import secrets
import signal
import subprocess
from pathlib import Path

from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import CaptureWriter
from sandbox.gateway.manners import Manners, load_manners
from sandbox.gateway.network import (
    SHARED_ADDRESSES,
    nft_rules,
    open_sockets,
    shared_links,
    shared_routes,
)
from sandbox.gateway.server import Gateway

READY = "ready"
SEALED = "sealed"


def main() -> None:
    """Parses the command line and runs until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python3 -m sandbox.gateway", description=__doc__)
    parser.add_argument("--capture", type=Path, required=True, help="folder for the capture")
    parser.add_argument("--ca", type=Path, required=True, help="folder with ca.pem and ca.key")
    parser.add_argument("--manners", type=Path, help="folder with manners.json and packages/")
    arguments = parser.parse_args()
    nonce = os.environ.get("SALLYPORT_NONCE") or secrets.token_hex(16)
    manners = load_manners(arguments.manners) if arguments.manners else Manners()
    asyncio.run(_run(arguments.capture, arguments.ca, nonce, manners))


async def _run(folder: Path, ca: Path, nonce: str, manners: Manners) -> None:
    loop = asyncio.get_running_loop()
    sealing, leaving = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        sealing.set()
        leaving.set()

    loop.add_signal_handler(signal.SIGUSR1, sealing.set)
    loop.add_signal_handler(signal.SIGTERM, leave)
    authority = Authority.load(ca)
    writer = CaptureWriter(folder, nonce=nonce)
    set_up_network()
    gateway = Gateway(writer, authority, manners)
    await gateway.serve(open_sockets())
    (folder / READY).touch()
    print("ready", flush=True)
    await sealing.wait()
    await gateway.aclose()
    writer.end()
    (folder / SEALED).touch()
    print("sealed", flush=True)
    await leaving.wait()


def set_up_network() -> None:
    """Brings every address and port of this network namespace to the gateway's sockets.

    Raises:
        subprocess.CalledProcessError: `ip` or `nft` refused; its message is on stderr.
    """
    # Not every kernel has the dummy device; a bridge without ports does the same.
    dummy = subprocess.run(["ip", "-batch", "-"], input=shared_links("dummy").encode(), check=False)
    if dummy.returncode:
        _feed(["ip", "-batch", "-"], shared_links("bridge"))
    _feed(["ip", "-batch", "-"], shared_routes())
    _feed(["nft", "-f", "-"], nft_rules(*SHARED_ADDRESSES))


def _feed(command: list[str], text: str) -> None:
    subprocess.run(command, input=text.encode(), check=True)


if __name__ == "__main__":
    main()
