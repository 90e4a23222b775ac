"""FTP as a server speaks it, with no I/O in it."""

import ipaddress
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sandbox.gateway.lines import COMMANDS, LONGEST, Command, Said, command

_REPLIES = {
    "USER": "331 Please specify the password.",
    "PASS": "230 Login successful.",
    "ACCT": "230 Login successful.",
    "SYST": "215 UNIX Type: L8",
    "TYPE": "200 Switching to Binary mode.",
    "MODE": "200 Mode set to S.",
    "STRU": "200 Structure set to F.",
    "OPTS": "200 Always in UTF8 mode.",
    "PBSZ": "200 PBSZ set to 0.",
    "PROT": "200 PROT now Private.",
    "NOOP": "200 NOOP ok.",
    "ALLO": "202 ALLO command ignored.",
    "REST": "350 Restart position accepted (0).",
    "CWD": "250 Directory successfully changed.",
    "CDUP": "250 Directory successfully changed.",
    "DELE": "250 Delete operation successful.",
    "RMD": "250 Remove directory operation successful.",
    "RNFR": "350 Ready for RNTO.",
    "RNTO": "250 Rename successful.",
    "SITE": "200 SITE command ok.",
    "ABOR": "226 No transfer to ABOR.",
    "QUIT": "221 Goodbye.",
}
_FEATURES = "211-Features:\r\n EPSV\r\n PASV\r\n SIZE\r\n UTF8\r\n AUTH TLS\r\n211 End"


@dataclass
class Transfer:
    """One data connection and what goes over it.

    Attributes:
        name: Path of the file, "" until a command names it.
        content: What the gateway sends; None when it does not send, or not yet.
        keeps: Whether what the client sends is to be kept under `name`.
        over: Whether the data connection has ended.
        failed: Whether there was none, as the client did not accept it.
    """

    name: str = ""
    content: Iterator[bytes] | None = None
    keeps: bool = False
    over: bool = False
    failed: bool = False


class Desk(Protocol):
    """What an FTP connection needs from the world around it."""

    def passive(self, transfer: Transfer) -> int:
        """The port at which the data connection of `transfer` is expected."""

    def active(self, target: tuple[str, int], transfer: Transfer) -> None:
        """Calls the client at an address and port for the data connection of `transfer`."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, if there is one."""

    def read(self, name: str) -> Iterator[bytes]:
        """Pieces of a file."""

    def names(self) -> list[str]:
        """Paths of all files."""


class Ftp:
    """One FTP control connection."""

    def __init__(self, desk: Desk, address: str, client: str = "") -> None:
        """Starts a connection.

        Args:
            desk: The files, and where data connections are expected.
            address: IP address the client connected to.
            client: The client's own IP address.
        """
        self._client = client
        self._desk = desk
        self._address = ipaddress.ip_address(address)
        self._buffer = b""
        self._folder = "/"
        self._transfer: Transfer | None = None  # whose port was told, and no command yet
        self._running: Transfer | None = None
        self._target: tuple[str, int] | None = None  # where the client waits to be called
        self._count = 0
        self._closed = False

    @staticmethod
    def greet() -> bytes:
        """What the server says first."""
        return b"220 (vsFTPd 3.0.3)\r\n"

    @property
    def waiting(self) -> bool:
        """Whether the end of a transfer is to be announced when it comes; see `poll`."""
        return self._running is not None and not self._closed

    def poll(self) -> bytes:
        """What is to be sent if the transfer under way is over by now."""
        if self._running is None or not self._running.over:
            return b""
        failed, self._running = self._running.failed, None
        if failed:
            return b"425 Failed to establish connection.\r\n"
        return b"226 Transfer complete.\r\n"

    def receive(self, data: bytes) -> Said:
        """Takes the client's next bytes; after the close they are ignored."""
        if self._closed:
            return Said()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        send = bytearray()
        commands: list[Command] = []
        start_tls, error = False, None
        for line in lines:
            if self._closed or start_tls:
                break
            self._count += 1
            if self._count > COMMANDS:
                self._closed = True
                send += b"421 Too many commands.\r\n"
                break
            one = command(line)
            commands.append(one)
            send += (self._reply(one) + "\r\n").encode("latin-1", "replace")
            start_tls = one.verb == "AUTH" and one.argument.upper().startswith(("TLS", "SSL"))
        if len(self._buffer) > LONGEST:
            error, self._closed = "a line that is too long", True
        return Said(bytes(send), tuple(commands), self._closed, start_tls, error)

    def _reply(self, one: Command) -> str:
        match one.verb:
            case "AUTH":
                return "234 Proceed with negotiation."
            case "FEAT":
                return _FEATURES
            case "PWD":
                return f'257 "{self._folder}" is the current directory'
            case "MKD":
                return f'257 "{self._path(one.argument)}" created'
            case "CWD" if one.argument:
                self._folder = self._path(one.argument)
            case "PASV" | "EPSV":
                return self._passive(one.verb)
            case "SIZE":
                size = self._desk.size(self._path(one.argument))
                return "550 Could not get file size." if size is None else f"213 {size}"
            case "STOR" | "APPE" | "STOU" | "RETR" | "LIST" | "NLST":
                return self._start(one)
            case "PORT" | "EPRT":
                return self._active(one)
            case "QUIT":
                self._closed = True
        return _REPLIES.get(one.verb, "500 Unknown command.")

    def _passive(self, verb: str) -> str:
        self._transfer, self._target = Transfer(), None
        port = self._desk.passive(self._transfer)
        if verb == "EPSV":
            return f"229 Entering Extended Passive Mode (|||{port}|)"
        if self._address.version != 4:
            return "425 Use EPSV."
        numbers = [*self._address.packed, port >> 8, port & 255]
        return f"227 Entering Passive Mode ({','.join(map(str, numbers))})."

    def _active(self, one: Command) -> str:
        target = _target(one)
        # Only the client itself is called: nobody else's address is taken, as by any server.
        if target is None or target[0] != self._client:
            return f"500 Illegal {one.verb} command."
        self._transfer, self._target = Transfer(), target
        return f"200 {one.verb} command successful. Consider using PASV."

    def _start(self, one: Command) -> str:
        transfer, self._transfer = self._transfer, None
        if transfer is None:
            return "425 Use PORT or PASV first."
        transfer.name = self._path(one.argument)
        if one.verb == "RETR":
            if self._desk.size(transfer.name) is None:
                transfer.content = iter(())
                return "550 Failed to open file."
            transfer.content = self._desk.read(transfer.name)
        elif one.verb in ("LIST", "NLST"):
            transfer.content = self._listing(long=one.verb == "LIST")
        else:
            transfer.keeps = True
        self._running = transfer
        if self._target is not None:
            self._desk.active(self._target, transfer)
        return "150 Ok to send data."

    def _listing(self, long: bool) -> Iterator[bytes]:
        folder = self._folder.rstrip("/") + "/"
        names = [name for name in self._desk.names() if name.startswith(folder)]
        for name in sorted(names):
            size = self._desk.size(name) or 0
            when = time.strftime("%b %d %H:%M", time.gmtime())
            row = f"-rw-r--r--    1 1000     1000     {size:12} {when} " if long else ""
            yield f"{row}{name.removeprefix(folder)}\r\n".encode("latin-1", "replace")

    def _path(self, name: str) -> str:
        path = name if name.startswith("/") else f"{self._folder.rstrip('/')}/{name}"
        return path[:LONGEST]


def _target(one: Command) -> tuple[str, int] | None:
    """The address and port of a PORT or EPRT command, if it has any."""
    try:
        if one.verb == "PORT":
            *address, high, low = (int(word) for word in one.argument.split(","))
            if not 0 <= high < 256 or not 0 <= low < 256:
                return None
            return str(ipaddress.IPv4Address(bytes(address))), high << 8 | low
        _, _, host, number, _ = one.argument.split(one.argument[:1])
        port = int(number)
        return (str(ipaddress.ip_address(host)), port) if 0 < port < 1 << 16 else None
    except ValueError:
        return None
