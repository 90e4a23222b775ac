"""SMTP and FTP on a connection, and the data connections that FTP opens beside it."""

from __future__ import annotations

from sandbox.gateway.ftp import Ftp, Transfer
from sandbox.gateway.lines import Said
from sandbox.gateway.smtp import Smtp
from sandbox.gateway.store import ENTRIES, Upload
from sandbox.gateway.talk import NOTHING, Talk, Turn
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf

_SHOWN = 1000  # characters of an argument that go into its event
_MOMENT = 0.05  # seconds after which a control connection looks whether a transfer is over
_LOOK = 0.1  # seconds after which a data connection looks whether it has something to send


class LineTalk(Talk):
    """SMTP or FTP, each command an event."""

    def __init__(self, tape: Tape, kind: str, machine: Smtp | Ftp) -> None:
        """Speaks `kind` ("smtp" or "ftp") by `machine`."""
        self._tape = tape
        self._kind = kind
        self._machine = machine
        self._met = False

    @property
    def patience(self) -> float | None:  # type: ignore[override]
        """A moment while a transfer is under way beside this connection."""
        return _MOMENT if self._machine.waiting else None

    def quiet(self) -> Turn:
        """Greets, or says that a transfer is over."""
        if self._met:
            return Turn(self._machine.poll())
        self._met = True
        return Turn(self._machine.greet())

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        self._met = True
        said: Said = self._machine.receive(data)
        for one in said.commands:
            self._tape.event(self._kind, verb=one.verb[:_SHOWN], argument=one.argument[:_SHOWN])
        if said.error is not None:
            self._tape.error(f"{self._kind.upper()}: {said.error}")
        start_tls = self._kind if said.start_tls else None
        return Turn(said.send, said.close, bool(said.send), start_tls=start_tls)


class DataTalk(Talk):
    """An FTP data connection; whether it sends is known only once its command has come."""

    patience = _LOOK

    def __init__(self, transfer: Transfer, shelf: Shelf) -> None:
        """Serves `transfer`."""
        self._transfer = transfer
        self._shelf = shelf
        self._upload = Upload(shelf.store)

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        self._upload.write(data)
        return NOTHING

    def quiet(self) -> Turn:
        """Begins to send, if that is what the command said."""
        return self.more() if self._transfer.content is not None else NOTHING

    def more(self) -> Turn:
        """The next part of the file."""
        if self._transfer.content is None:
            return NOTHING
        part = next(self._transfer.content, b"")
        return Turn(part, close=not part)

    def finish(self) -> None:
        """Keeps what came, if that is what the command said."""
        blob, files = self._upload.blob(), self._shelf.files
        name = self._transfer.name
        self._transfer.over = True
        if self._transfer.keeps and blob is not None and (len(files) < ENTRIES or name in files):
            files[name] = blob
