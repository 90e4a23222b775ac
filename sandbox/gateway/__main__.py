"""Runs the gateway as the init process of its container, which the agent's container joins.

SIGTERM seals the capture and ends. The command `seal` seals it and stays, so that it can be read
from a container that still runs; only the process that recorded it can answer that command, so a
gateway that was started again seals nothing. Either way nothing answers the agent any more.
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import subprocess
from pathlib import Path

from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import CaptureFull, CaptureWriter
from sandbox.gateway.control import SEAL, Refused, obey
from sandbox.gateway.network import (
    SHARED_ADDRESSES,
    nft_rules,
    open_sockets,
    shared_links,
    shared_routes,
)
from sandbox.gateway.server import Gateway

READY = "ready"
CONTROL = "control"
"""A socket beside the capture, where `docker/gateway/tell` brings the harness's commands."""


def main() -> None:
    """Parses the command line and runs until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python3 -m sandbox.gateway", description=__doc__)
    parser.add_argument("--capture", type=Path, required=True, help="folder for the capture")
    parser.add_argument("--ca", type=Path, required=True, help="folder with ca.pem and ca.key")
    arguments = parser.parse_args()
    nonce = os.environ.get("SALLYPORT_NONCE") or secrets.token_hex(16)
    asyncio.run(_run(arguments.capture, arguments.ca, nonce))


async def _run(folder: Path, ca: Path, nonce: str) -> None:
    loop = asyncio.get_running_loop()
    leaving = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, leaving.set)
    authority = Authority.load(ca)
    writer = CaptureWriter(folder, nonce=nonce)
    set_up_network()
    gateway = Gateway(writer, authority)
    await gateway.serve(open_sockets())
    control = await serve_control(gateway, writer)
    (folder / READY).touch()
    print("ready", flush=True)
    await leaving.wait()
    control.close()
    await gateway.aclose()
    writer.end()


async def serve_control(gateway: Gateway, recording: CaptureWriter) -> asyncio.Server:
    """Obeys the harness at the socket `CONTROL` beside the capture, which only root can reach.

    A command comes as a line of JSON, a list of strings, and its standard input after it; the
    answer is `ok` and what there is to say, or one line that says why the command was refused.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            command = json.loads(await reader.readline())
            said = ""
            if command == SEAL:
                await gateway.aclose()
                recording.end()
            else:
                said = await obey(gateway, command, await reader.read())
            writer.write(f"ok {said}\n".encode())
        except (Refused, CaptureFull, ValueError) as error:
            writer.write(f"{error}\n".encode())
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, recording.folder / CONTROL)


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
