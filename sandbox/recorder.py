"""The gateways of this process's namespace boxes, served by one thread with its own event loop.

Apart from Inspect's loop, so that no cancelled sample, slow scorer or other async backend can stop
a recording; in the harness, so that the capture is never near the agent.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sandbox.gateway import control
from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import CaptureWriter
from sandbox.gateway.network import GatewaySockets
from sandbox.gateway.owner import WhoHas, nobody_knows
from sandbox.gateway.server import Gateway

T = TypeVar("T")
_SYSTEM_TRUST = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Recording:
    """One box's gateway at work.

    Attributes:
        folder: where the capture grows.
        nonce: what this gateway, and no other, answers with.
    """

    folder: Path
    nonce: str
    writer: CaptureWriter
    gateway: Gateway


class Recorder:
    """Serves gateways until the process ends. Get the process's one with `recorder()`."""

    def __init__(self) -> None:
        self.authority = Authority.create()
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        thread.start()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def trust(self) -> str:
        """PEM of the authorities a box trusts: this machine's, so far as it has any, and ours."""
        system = _SYSTEM_TRUST.read_text() if _SYSTEM_TRUST.exists() else ""
        return system + self.authority.certificate_pem.decode()

    def start(
        self, sockets: GatewaySockets, folder: Path, who_has: WhoHas = nobody_knows
    ) -> Recording:
        """Serve `sockets` and record into `folder` (made here), with who sent as `who_has` says."""
        nonce = secrets.token_hex(16)
        writer = CaptureWriter(folder, nonce=nonce)
        gateway = Gateway(writer, self.authority, who_has=who_has)
        self._submit(gateway.serve(sockets)).result()
        return Recording(folder, nonce, writer, gateway)

    def obey(self, recording: Recording, command: list[str], given: bytes) -> str:
        """Run one command of `sandbox.gateway.control`; blocks until it is done, with its answer.

        Raises:
            Refused: See `control.obey`.
        """
        return self._submit(control.obey(recording.gateway, command, given)).result()

    def stop(self, recording: Recording) -> None:
        """Stop serving and seal the capture; blocks until it is done, twice does nothing."""
        self._submit(recording.gateway.aclose()).result()
        recording.writer.end()


@cache
def recorder() -> Recorder:
    """The process's recorder, started on first use."""
    return Recorder()
