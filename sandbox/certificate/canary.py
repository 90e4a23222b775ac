"""What the host keeps and serves, to prove that a box cannot get at it.

A random token at a random port on every address of the host (TCP and UDP, IPv4 and IPv6), at an
abstract socket, in a file, in a shared memory segment and on a process's command line. Whoever
else connects while it is served gets a random number, and is told nothing more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from sandbox.certificate.inside.setup import Setup

_TRIES = 20  # for a port that is free four times over
_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"
_PATIENCE = 1.0  # seconds for a visitor to say something
_IPC_CREAT, _IPC_RMID = 0o1000, 0


class Canary:
    """A token that is served until `close`.

    Attributes:
        token: What whoever reaches the host gets.
        port: The port on every address of this machine.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self._visits: list[bytes] = []
        self._selector = selectors.DefaultSelector()
        self.port, self._sockets = _four_sockets()
        if sys.platform == "linux":
            self._sockets.append(_abstract_listener(self.token))
        for one in self._sockets:
            self._selector.register(one, selectors.EVENT_READ)
        self._wake, woken = socket.socketpair()
        self._sockets.append(woken)
        self._selector.register(woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, args=(woken,), daemon=True)
        self._thread.start()

    def visits(self) -> tuple[bytes, ...]:
        """What every visitor so far has sent."""
        return tuple(self._visits)

    def close(self) -> None:
        """Stop serving."""
        self._wake.close()
        self._thread.join()
        self._selector.close()
        for one in self._sockets:
            one.close()

    def _serve(self, woken: socket.socket) -> None:
        while True:
            for key, _ in self._selector.select():
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is woken:
                    return
                # A visitor's faults are its own: whatever it did before, it was here.
                with contextlib.suppress(OSError):
                    self._answer(one)

    def _answer(self, one: socket.socket) -> None:
        if one.type == socket.SOCK_DGRAM:
            payload, sender = one.recvfrom(4096)
            self._visits.append(payload)
            one.sendto(self.token.encode(), sender)
            return
        connection, _ = one.accept()
        with connection:
            connection.settimeout(_PATIENCE)
            self._visits.append(b"")
            self._visits[-1] = connection.recv(4096)
            connection.sendall(_ANSWER + self.token.encode())


def _four_sockets() -> tuple[int, list[socket.socket]]:
    for _ in range(_TRIES):
        sockets: list[socket.socket] = []
        port = 0
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                if family == socket.AF_INET6 and not _has_ipv6():
                    continue
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    one = socket.socket(family, kind)
                    sockets.append(one)
                    if family == socket.AF_INET6:
                        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    one.bind(("", port))
                    port = one.getsockname()[1]
                    if kind == socket.SOCK_STREAM:
                        one.listen()
        except OSError:  # taken for another protocol: another number may be free
            for one in sockets:
                one.close()
            continue
        return port, sockets
    raise OSError("no free port for the host's canary: close some listeners")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
            one.bind(("::", 0))
    except OSError:  # not in this kernel, or switched off
        return False
    return True


def _abstract_listener(name: str) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.bind("\0" + name)
    one.listen()
    return one


def host_addresses() -> tuple[str, ...]:
    """This machine's own IP addresses without loopback, sorted."""
    found = set()
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                found.add(address.address.partition("%")[0])
    return tuple(sorted(a for a in found if not a.startswith("127.") and a != "::1"))


@contextlib.contextmanager
def _process(token: str) -> Iterator[None]:
    """A process that has a token on its command line; it ends with this one at the latest."""
    command = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()", token]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.communicate()


@contextlib.contextmanager
def _segment() -> Iterator[int]:
    """The key of a shared memory segment; 0 on a machine without."""
    if sys.platform != "linux":
        yield 0
        return
    libc = ctypes.CDLL(None, use_errno=True)
    key = secrets.randbelow(1 << 30) + 1
    segment = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
    try:
        yield key if segment >= 0 else 0
    finally:
        if segment >= 0:
            libc.shmctl(segment, _IPC_RMID, None)


def _namespaces() -> dict[str, str]:
    folder = Path("/proc/self/ns")
    if not folder.is_dir():
        return {}
    return {path.name: os.readlink(path) for path in folder.iterdir()}


def _machine_id() -> str:
    path = Path("/etc/machine-id")
    return path.read_text().strip() if path.exists() else ""


@contextlib.contextmanager
def host_canaries(mark: str, nonce: str) -> Iterator[tuple[Setup, Canary]]:
    """Serve and plant everything; gone at the end.

    Args:
        mark: The run's, for the probes' packets.
        nonce: What the gateway answers with.
    """
    canary = Canary()
    process = secrets.token_hex(16)
    with (
        contextlib.closing(canary),
        tempfile.NamedTemporaryFile("w", prefix="sallyport-canary-") as file,
        _process(process),
        _segment() as key,
    ):
        file.write(canary.token)
        file.flush()
        Path(file.name).chmod(0o644)
        yield (
            Setup(
                mark=mark,
                nonce=nonce,
                addresses=host_addresses(),
                canary_port=canary.port,
                canary_token=canary.token,
                canary_file=file.name,
                canary_process=process,
                canary_key=key,
                namespaces=_namespaces(),
                hostname=socket.gethostname(),
                machine=_machine_id(),
            ),
            canary,
        )
