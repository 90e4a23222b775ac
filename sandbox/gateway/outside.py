"""What all connections of one box share: the same world, however it is reached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import CaptureWriter
from sandbox.gateway.ftp import Transfer
from sandbox.gateway.manners import Manners
from sandbox.gateway.store import Store
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf, Site

DnsAnswer = Callable[[int, bytes], bytes | None]
"""Records the question of a DNS message on a stream and gives the reply."""

Dial = Callable[[str, tuple[str, int], Transfer], None]
"""Makes the data connection of a transfer, from an address of the world to one of the agent's."""

_PASSIVE = range(30000, 40000)
_AWAITED = 256  # data connections that are expected at once


class Outside:
    """The world of one box, as its connections need it."""

    def __init__(
        self,
        writer: CaptureWriter,
        authority: Authority,
        answer_dns: DnsAnswer,
        store: Store,
        manners: Manners | None = None,
        dial: Dial | None = None,
    ) -> None:
        """Starts with nothing stored.

        Args:
            writer: Where everything is recorded first.
            authority: Mints the certificate if a client speaks TLS.
            answer_dns: Answers DNS messages.
            store: Keeps what is put somewhere; the caller closes it.
            manners: How to answer; plainly if not given.
            dial: Calls the agent; if not given, no call is accepted.
        """
        self.dial: Dial = dial or _unreachable
        self.writer = writer
        self.authority = authority
        self.answer_dns = answer_dns
        self.manners = manners or Manners()
        self.shelf = Shelf(store)
        self._passive = 0
        self._awaited: OrderedDict[tuple[str, int], Transfer] = OrderedDict()

    def site(self, tape: Tape) -> Site:
        """What answers HTTP on a connection: what it is depends on whom the agent connected to."""
        return Site(self.shelf, self.manners, tape.nonce, self.manners.service(tape.host))

    def desk(self, address: str) -> Desk:
        """What an FTP connection to `address` needs."""
        return Desk(self, address)

    def awaited(self, address: str, port: int) -> Transfer | None:
        """The transfer whose data connection goes to this address and port; told only once."""
        return self._awaited.pop((address, port), None)

    def meet(self, address: str, port: int, transfer: Transfer) -> None:
        """Expects the data connection of a transfer at this address and port."""
        self._awaited[address, port] = transfer

    def expect(self, address: str, transfer: Transfer) -> int:
        """Expects the data connection of a transfer, and says at which port."""
        port = _PASSIVE[self._passive % len(_PASSIVE)]
        self._passive += 1
        self.meet(address, port, transfer)
        if len(self._awaited) > _AWAITED:
            self._awaited.popitem(last=False)
        return port


class Desk:
    """The files of the world, as one FTP connection sees them."""

    def __init__(self, outside: Outside, address: str) -> None:
        """Expects data connections at `address`."""
        self._outside = outside
        self._address = address

    def passive(self, transfer: Transfer) -> int:
        """The port at which the data connection of `transfer` is expected."""
        return self._outside.expect(self._address, transfer)

    def active(self, target: tuple[str, int], transfer: Transfer) -> None:
        """Calls the agent for the data connection of `transfer`."""
        self._outside.dial(self._address, target, transfer)

    def size(self, name: str) -> int | None:
        """Bytes of a file, if there is one."""
        blob = self._outside.shelf.files.get(name)
        return None if blob is None else blob.size

    def read(self, name: str) -> Iterator[bytes]:
        """Pieces of a file; none if there is no such file."""
        blob = self._outside.shelf.files.get(name)
        return iter(()) if blob is None else self._outside.shelf.store.read(blob)

    def names(self) -> list[str]:
        """Paths of all files."""
        return list(self._outside.shelf.files)


def _unreachable(source: str, target: tuple[str, int], transfer: Transfer) -> None:
    transfer.over = transfer.failed = True
