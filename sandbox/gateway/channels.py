"""SSH above its transport, with no I/O in it: whoever logs in, and the channels they open."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from sandbox.gateway.programs import Login, Program, Shell, program
from sandbox.gateway.rsync import Rsync, rsync_words
from sandbox.gateway.sftp import Sftp
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Shelf

SERVICE_REQUEST, SERVICE_ACCEPT = 5, 6
_AUTH_REQUEST, _AUTH_SUCCESS = 50, 52
_GLOBAL_REQUEST, _REQUEST_FAILURE = 80, 82
_OPEN, _OPEN_CONFIRMATION, _OPEN_FAILURE = 90, 91, 92
_WINDOW_ADJUST, _DATA, _EXTENDED_DATA, _EOF, _CLOSE = 93, 94, 95, 96, 97
_CHANNEL_REQUEST, _CHANNEL_SUCCESS, _CHANNEL_FAILURE = 98, 99, 100
_WINDOW = 2 << 20
_PACKET = 32 << 10
_CHANNELS = 10
_UNREAD = 4 << 20  # bytes of output that may wait for the client
_AT_ONCE = 256 << 10
_LABEL = re.compile(r"[a-z][a-z0-9-]{0,30}")
_SHOWN = 1000  # characters of a command that go into its event

Send = Callable[[int, bytes], None]
"""Sends a message of this number with this content."""


class _Channel:
    def __init__(self, peer: int, window: int, packet: int, tape: Tape) -> None:
        self.peer = peer
        self.window = window
        self.packet = packet
        self.tape = tape
        self.program: Program | None = None
        self.terminal = False
        self.pending = bytearray()
        self.used = 0
        self.closed = False


class Channels:
    """The messages of one SSH connection that are not about its encryption."""

    def __init__(self, tape: Tape, shelf: Shelf, send: Send) -> None:
        """Starts before the login.

        Args:
            tape: Records what is neither input of a channel nor content of a file.
            shelf: The files and repositories of the world.
            send: Sends a message.
        """
        self._tape = tape
        self._shelf = shelf
        self._send = send
        self._login = Login("user")
        self._channels: dict[int, _Channel] = {}
        self._next = 0
        self.over = False
        """Whether all channels that were opened are closed again."""
        self.delays = False
        """Whether a real server would have taken its time since this was last set to False."""

    def message(self, number: int, content: bytes) -> None:
        """Handles one message, which is on the tape unless it is input of a channel.

        Raises:
            ValueError: It is malformed.
        """
        if number not in (_DATA, _EXTENDED_DATA):
            self._tape.out(bytes([number]) + content)
        try:
            self._handle(number, content)
        except (struct.error, IndexError) as error:
            raise ValueError(f"malformed message {number}") from error

    def more(self) -> None:
        """Sends the next part of long outputs, as far as the client has room for them."""
        for one in self._channels.values():
            sent = 0
            while one.program is not None and not one.closed and sent < _AT_ONCE:
                if not one.pending:
                    self._say(one, one.program.more())
                part = self._flush(one)
                if not part:
                    break
                sent += part
            self._end(one)

    def finish(self) -> None:
        """Ends the programs that still run."""
        for one in self._channels.values():
            if one.program is not None:
                one.program.eof()
            one.tape.close()
        self._channels.clear()

    def _handle(self, number: int, content: bytes) -> None:
        if number == SERVICE_REQUEST:
            self._send(SERVICE_ACCEPT, content)
        elif number == _AUTH_REQUEST:
            self._log_in(content)
        elif number == _GLOBAL_REQUEST:
            if _string(content)[1][:1] != b"\0":
                self._send(_REQUEST_FAILURE, b"")
        elif number == _OPEN:
            self._open(content)
        elif (one := self._channels.get(int.from_bytes(content[:4], "big"))) is not None:
            self._of_channel(int.from_bytes(content[:4], "big"), one, number, content[4:])
        elif number in (_DATA, _EXTENDED_DATA):
            self._tape.out(content)

    def _log_in(self, content: bytes) -> None:
        user, rest = _string(content)
        method = _string(_string(rest)[1])[0]
        host = (self._tape.host or "").partition(".")[0].lower()
        self._login = Login(_name(user), host) if _LABEL.fullmatch(host) else Login(_name(user))
        self.delays = True
        self._tape.event("ssh", user=_shown(user), method=_shown(method))
        self._send(_AUTH_SUCCESS, b"")

    def _open(self, content: bytes) -> None:
        kind, rest = _string(content)
        peer, window, packet = struct.unpack_from("!III", rest)
        if kind != b"session" or len(self._channels) >= _CHANNELS:
            refused = struct.pack("!II", peer, 1) + _text(b"open failed") + _text(b"")
            self._send(_OPEN_FAILURE, refused)
            return
        number, self._next = self._next, self._next + 1
        tape = self._tape.part("ssh")
        self._channels[number] = _Channel(peer, window, max(1, min(packet, _PACKET)), tape)
        self._send(_OPEN_CONFIRMATION, struct.pack("!IIII", peer, number, _WINDOW, _PACKET))

    def _of_channel(self, number: int, one: _Channel, kind: int, content: bytes) -> None:
        if kind in (_DATA, _EXTENDED_DATA):
            self._take(one, content if kind == _DATA else content[4:])
        elif kind == _WINDOW_ADJUST:
            one.window = min(one.window + struct.unpack("!I", content)[0], 0xFFFFFFFF)
            # A program that had filled the window exactly has nothing pending, but may have more.
            if one.program is not None and not one.pending and not one.closed:
                self._say(one, one.program.more())
        elif kind == _EOF:
            if one.program is not None and not one.closed:
                self._say(one, one.program.eof())
        elif kind == _CHANNEL_REQUEST:
            self._request(one, content)
        elif kind == _CLOSE:
            if one.program is not None and one.program.status is None:
                one.program.eof()
            if not one.closed:
                self._send(_CLOSE, struct.pack("!I", one.peer))
            one.tape.close()
            del self._channels[number]
            self.over = not self._channels
            return
        self._flush(one)
        self._end(one)

    def _take(self, one: _Channel, content: bytes) -> None:
        data, after = _string(content)
        if one.program is None or not one.program.records:
            one.tape.out(data)
        one.tape.out(after)
        one.used += len(data)
        if one.used > _WINDOW // 2:
            self._send(_WINDOW_ADJUST, struct.pack("!II", one.peer, one.used))
            one.used = 0
        if one.program is not None and not one.closed:
            self._say(one, one.program.receive(data))

    def _request(self, one: _Channel, content: bytes) -> None:
        kind, rest = _string(content)
        wanted, rest = rest[:1] != b"\0", rest[1:]
        known = True
        if kind == b"pty-req":
            one.terminal = True
        elif kind in (b"shell", b"exec", b"subsystem") and one.program is None:
            one.program = self._program(one, kind, rest)
            known = one.program is not None
        else:
            known = kind in (b"env", b"window-change", b"signal")
        if wanted:
            answer = _CHANNEL_SUCCESS if known else _CHANNEL_FAILURE
            self._send(answer, struct.pack("!I", one.peer))
        if one.program is not None and kind in (b"shell", b"exec", b"subsystem"):
            self._say(one, one.program.start())
            self.delays = True

    def _program(self, one: _Channel, kind: bytes, rest: bytes) -> Program | None:
        if kind == b"shell":
            return Shell(self._shelf, self._login, one.terminal)
        command = _string(rest)[0]
        self._tape.event("ssh", command=_shown(command))
        if kind == b"exec":
            line = command.decode("utf-8", "replace")
            if (words := rsync_words(line)) is not None:
                return Rsync(self._shelf, one.tape, words)
            return program(line, self._shelf, self._login, self._tape.host or self._tape.dst[0])
        return Sftp(self._shelf, one.tape, self._login) if command == b"sftp" else None

    def _say(self, one: _Channel, output: bytes) -> None:
        one.tape.back(output)
        one.pending += output
        if len(one.pending) > _UNREAD:
            raise ValueError("output that the client does not read")

    def _flush(self, one: _Channel) -> int:
        """Sends what there is room for; returns how many bytes that was."""
        sent = 0
        while one.pending and one.window and not one.closed:
            part = bytes(one.pending[: min(one.window, one.packet)])
            del one.pending[: len(part)]
            one.window -= len(part)
            sent += len(part)
            self._send(_DATA, struct.pack("!I", one.peer) + _text(part))
        return sent

    def _end(self, one: _Channel) -> None:
        """Says that a program has ended, once all its output is sent."""
        if one.closed or one.pending or one.program is None or one.program.status is None:
            return
        one.closed = True
        peer = struct.pack("!I", one.peer)
        self._send(_EOF, peer)
        status = struct.pack("!I", one.program.status)
        self._send(_CHANNEL_REQUEST, peer + _text(b"exit-status") + b"\0" + status)
        self._send(_CLOSE, peer)


def _string(data: bytes) -> tuple[bytes, bytes]:
    length: int = struct.unpack_from("!I", data)[0]
    if len(data) < 4 + length:
        raise ValueError("a string that is cut short")
    return data[4 : 4 + length], data[4 + length :]


def _text(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def _shown(data: bytes) -> str:
    return data[:_SHOWN].decode("utf-8", "backslashreplace")


def _name(user: bytes) -> str:
    name = user[:32].decode("ascii", "ignore")
    return name if name.isidentifier() else "user"
