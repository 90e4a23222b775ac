"""HTTP/2 for clients that insist on it, by h2; what is decoded is recorded as decoded.

The connection's stream holds the decoded heads and every frame that is neither a head nor data;
each request's body has a stream of its own. So every byte is recorded once, and none is framed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from sandbox.gateway import firewall, sites
from sandbox.gateway.http import Exchange
from sandbox.gateway.talk import Talk, Turn, record
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Handler, Request, Site

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = 9
_LARGEST_FRAME = 16384  # what the gateway announces, by saying nothing
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9
_PADDED = 0x8
_STREAMS = 32
_WINDOW = 1 << 20
_AT_ONCE = 256 << 10


class _Exchange:
    """A request on its way, or its answer."""

    def __init__(self, request: Request, handler: Handler, tape: Tape) -> None:
        self.request = request
        self.handler = handler
        self.tape = tape
        self.body = 0
        self.pieces: Iterator[bytes] = iter(())
        self.piece = b""
        self.answering = False


class Http2Talk(Talk):
    """One HTTP/2 connection."""

    records = True

    def __init__(self, tape: Tape, site: Site) -> None:
        """Waits for the preface."""
        self._tape = tape
        self._site = site
        self._buffer = b""
        self._preface = b""
        self._broken = False
        self._exchanges: OrderedDict[int, _Exchange] = OrderedDict()
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._connection.initiate_connection()
        settings = h2.settings.SettingCodes
        self._connection.update_settings(
            {settings.MAX_CONCURRENT_STREAMS: _STREAMS, settings.INITIAL_WINDOW_SIZE: _WINDOW}
        )
        self._connection.increment_flow_control_window(_WINDOW)

    def receive(self, data: bytes) -> Turn:
        """Takes the client's next bytes."""
        if self._broken:
            self._tape.out(data)
            return Turn()
        if len(self._preface) < len(PREFACE):
            taken, data = _split(data, len(PREFACE) - len(self._preface))
            self._preface += taken
            self._tape.out(taken)
            self._frame(taken, -1, 0)
        self._buffer += data
        ended = False
        while len(self._buffer) >= _HEAD and not self._broken:
            length = int.from_bytes(self._buffer[:3], "big")
            if length > _LARGEST_FRAME:
                self._break("a frame larger than was agreed on")
            elif len(self._buffer) < _HEAD + length:
                break
            else:
                frame, self._buffer = _split(self._buffer, _HEAD + length)
                ended = self._frame(frame, frame[3], frame[4]) or ended
        if self._broken:
            self._tape.out(self._buffer)
            self._buffer = b""
        return self._turn(ended)

    def more(self) -> Turn:
        """The next part of long answers, as far as the client has room for them."""
        return Turn() if self._broken else self._turn(False)

    def finish(self) -> None:
        """Records what is held back and the requests without end."""
        self._tape.out(self._buffer)
        self._buffer = b""
        for number in list(self._exchanges):
            self._end(number, 0)

    def _frame(self, frame: bytes, kind: int, flags: int) -> bool:
        """Handles one frame; returns whether a request ended."""
        if kind == _DATA:
            padding = frame[_HEAD] if flags & _PADDED and len(frame) > _HEAD else 0
            self._tape.out(frame[len(frame) - padding :] if padding else b"")
        elif kind not in (-1, _HEADERS, _CONTINUATION) or (kind == _HEADERS and flags & _PADDED):
            self._tape.out(frame)
        try:
            events = self._connection.receive_data(frame)
            return any([self._handle(event) for event in events])
        except h2.exceptions.ProtocolError as error:
            problem = str(error) or type(error).__name__
        except (ValueError, KeyError, IndexError, AssertionError, UnicodeError) as error:
            problem = f"{type(error).__name__}: {error}"  # h2 on some odd input
        if kind in (_DATA, _HEADERS, _CONTINUATION):
            self._tape.out(frame)
        self._break(problem)
        return False

    def _break(self, problem: str) -> None:
        self._tape.error(f"HTTP/2: {problem[:200]}")
        self._broken = True

    def _handle(self, event: h2.events.Event) -> bool:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event.stream_id or 0, event.headers or [])
        elif isinstance(event, h2.events.TrailersReceived):
            one = self._exchanges.get(event.stream_id or 0)
            self._tape.out(_head(event.headers or []), one is not None and one.tape.refused)
        elif isinstance(event, h2.events.DataReceived):
            number = event.stream_id or 0
            if (one := self._exchanges.get(number)) is not None and event.data:
                one.tape.out(event.data)
                one.body += len(event.data)
                one.handler.take(event.data)
            self._connection.acknowledge_received_data(event.flow_controlled_length or 0, number)
        elif isinstance(event, h2.events.StreamEnded):
            return self._answer(event.stream_id or 0)
        elif isinstance(event, h2.events.StreamReset):
            self._end(event.stream_id or 0, 0)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._broken = True
        return False

    def _begin(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        host = fields.get(":authority", fields.get("host"))
        request = Request(fields.get(":method", ""), fields.get(":path", "/"), host, fields)
        barred = firewall.barred(self._site.manners, request)
        self._tape.out(_head(headers), barred is not None)
        tape = self._tape.part("http")
        if barred is None:
            handler = sites.handler(self._site, request)
        else:
            handler = firewall.Forbidden()
            tape.refuse(f"HTTP for {barred}, which is not allowed")
        self._exchanges[number] = _Exchange(request, handler, tape)

    def _answer(self, number: int) -> bool:
        one = self._exchanges.get(number)
        if one is None or one.answering:
            return False
        answer = one.handler.answer()
        one.answering = True
        head = one.request.method == "HEAD"
        one.pieces = iter(()) if head else iter(answer.body)
        headers = [(":status", str(answer.status)), *self._site.common(answer)]
        self._connection.send_headers(number, headers, end_stream=head or not answer.length)
        record(one.tape, _exchange(one, answer.status))
        if head or not answer.length:
            self._end(number, answer.status)
        return True

    def _end(self, number: int, status: int) -> None:
        one = self._exchanges.pop(number, None)
        if one is not None:
            if not one.answering:
                record(one.tape, _exchange(one, status))
            one.tape.close()

    def _turn(self, delay: bool) -> Turn:
        sent = 0
        for number, one in list(self._exchanges.items()):
            if self._broken:
                break
            try:
                while one.answering and sent < _AT_ONCE:
                    count = self._send_part(number, one)
                    if not count:
                        break
                    sent += count
            except h2.exceptions.ProtocolError as error:  # the client reset it meanwhile
                self._tape.error(f"HTTP/2: {error}")
                self._end(number, 0)
        send: bytes = self._connection.data_to_send() or b""
        self._tape.back(send)
        return Turn(send, self._broken, delay)

    def _send_part(self, number: int, one: _Exchange) -> int:
        """Sends a piece of an answer; returns its length, 0 when over or when there is no room."""
        if not one.piece:
            following = next(one.pieces, None)
            if following is None:
                self._connection.end_stream(number)
                self._end(number, 200)
                return 0
            one.piece = following
        room = min(
            self._connection.local_flow_control_window(number),
            self._connection.max_outbound_frame_size,
        )
        piece, one.piece = _split(one.piece, max(0, room))
        if piece:
            self._connection.send_data(number, piece)
        return len(piece)


def _exchange(one: _Exchange, status: int) -> Exchange:
    request = one.request
    return Exchange(request.method, request.target, request.host, status, one.body)


def _head(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in headers) + b"\r\n"


def _split(data: bytes, at: int) -> tuple[bytes, bytes]:
    return data[:at], data[at:]
