"""The gateway: takes every connection and datagram, records it, and only then answers."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from dataclasses import replace

from sandbox.gateway import dns, firewall
from sandbox.gateway.ca import Authority
from sandbox.gateway.capture import Address, CaptureFull, CaptureWriter
from sandbox.gateway.datagrams import Receive, receive_echo, receive_udp
from sandbox.gateway.dialling import Dialler
from sandbox.gateway.flows import Flows
from sandbox.gateway.ftp import Transfer
from sandbox.gateway.manners import Manners
from sandbox.gateway.network import GatewaySockets
from sandbox.gateway.outside import Outside
from sandbox.gateway.owner import WhoHas, nobody_knows
from sandbox.gateway.reads import drain, receive
from sandbox.gateway.session import Session
from sandbox.gateway.store import Store
from sandbox.gateway.tape import Tape

IDLE = 120.0
"""Seconds after which a connection without traffic is closed."""
_LINGER = 5.0  # seconds to go on reading after the gateway's side is done
_PER_WAKE = 64  # datagrams taken before other boxes in the same loop get their turn
_CONNECTIONS = 256  # at once; more wait in the backlog, so that one box cannot take all descriptors
_BACKLOG = 1024  # connections that may wait to be accepted when the gateway closes
_QUEUE = 1 << 16  # datagrams that may wait on a socket when the gateway closes
_PAUSE = 0.2  # seconds without accepting when the process is out of descriptors
_SETTLE = 0.2  # seconds for which a new turn waits for what the one before it still sends
_IDLE_ROUNDS = 8  # of the event loop without anything recorded: nothing waits in the sockets
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Gateway:
    """The outside world of one box.

    Several gateways may run in one event loop. The writer stays the caller's: after `aclose` it
    can be sealed with `CaptureWriter.end`.
    """

    def __init__(
        self,
        writer: CaptureWriter,
        authority: Authority,
        manners: Manners | None = None,
        who_has: WhoHas = nobody_knows,
    ) -> None:
        """Takes where to record, who signs and how to answer; nothing runs before `serve`."""
        self._writer = writer
        self._who_has = who_has
        self._store = Store(writer.folder)
        answer_dns = self._answer_dns
        self._outside = Outside(writer, authority, answer_dns, self._store, manners, self._dial)
        self._dialler: Dialler | None = None
        self._names: dict[str, str] = {}
        self._know_the_allowed()
        self._sockets: GatewaySockets | None = None
        self._listening = False
        self._resume: asyncio.TimerHandle | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flows = Flows(writer, self._open, self._ask, self._note, self._bars)
        self._crowded = False

    async def serve(self, sockets: GatewaySockets) -> None:
        """Starts serving in the running event loop and returns; `aclose` ends it.

        Args:
            sockets: What `open_sockets` opened in the box's namespace; the gateway's from now on.
        """
        loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._dialler = Dialler(sockets)
        for one in sockets:
            one.setblocking(False)
        self._listen()
        for one, proto, taken in _datagram_sockets(sockets):
            loop.add_reader(one.fileno(), self._take_datagrams, one, proto, taken, _PER_WAKE)

    @property
    def manners(self) -> Manners:
        """How the world answers."""
        return self._outside.manners

    def behave(self, manners: Manners) -> None:
        """Lets the world answer in this way from its first packet on, and records that it does.

        Raises:
            RuntimeError: The agent has seen another world already.
        """
        if self._writer.streams:
            raise RuntimeError("the world has answered already: it cannot change its manners")
        self._writer.event("manners", **manners.summary())
        self._outside.manners = manners
        self._know_the_allowed()

    async def begin_turn(self, index: int) -> None:
        """Records that a turn begins, after everything that has arrived by now.

        Raises:
            ValueError: It is not the next turn.
            CaptureFull: The capture is sealed.
        """
        await self._settle()
        self._writer.turn(index)

    async def left(self) -> int:
        """Bytes that the agent has sent so far, in all streams, with everything that has arrived.

        Counted as in the evidence: what is decoded from a stream counts beside it.
        """
        await self._settle()
        return self._writer.left

    async def _settle(self) -> None:
        """Lets the event loop take what waits in the sockets, if that comes to an end soon."""
        deadline = asyncio.get_running_loop().time() + _SETTLE
        idle, head = 0, self._writer.head
        while idle < _IDLE_ROUNDS and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0)
            idle = idle + 1 if self._writer.head == head else 0
            head = self._writer.head

    async def aclose(self) -> None:
        """Records what has already arrived, then closes everything; twice does nothing."""
        if (sockets := self._sockets) is not None:
            self._deafen()
            for listener in (sockets.tcp4, sockets.tcp6):
                self._accept(listener, _BACKLOG)
            for one, proto, receive in _datagram_sockets(sockets):
                self._take_datagrams(one, proto, receive, _QUEUE)
            if self._sockets is not None:  # else the capture is full, and says so
                with contextlib.suppress(CaptureFull):
                    self._flows.finish([one for one, _, _ in _datagram_sockets(sockets)])
            # Connections just accepted start here, so that cancelling finds them at work.
            await asyncio.sleep(0)
            self._stop()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._flows.close()
        self._store.close()

    def _stop(self) -> None:
        """Stops taking anything; readers go before their sockets, as numbers are used again."""
        if self._sockets is None:
            return
        loop = asyncio.get_running_loop()
        self._deafen()
        for one, _, _ in _datagram_sockets(self._sockets):
            loop.remove_reader(one.fileno())
        for connection in self._connections:
            connection.cancel()
        self._sockets.close()
        self._sockets = None

    # Connections

    def _listen(self) -> None:
        self._resume = None
        if self._sockets is None or self._listening:
            return
        self._listening = True
        loop = asyncio.get_running_loop()
        for listener in (self._sockets.tcp4, self._sockets.tcp6):
            loop.add_reader(listener.fileno(), self._accept, listener, _PER_WAKE)

    def _deafen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        if self._listening and self._sockets is not None:
            self._listening = False
            for listener in (self._sockets.tcp4, self._sockets.tcp6):
                loop.remove_reader(listener.fileno())

    def _accept(self, listener: socket.socket, limit: int) -> None:
        for _ in range(limit):
            if self._listening and len(self._connections) >= _CONNECTIONS:
                self._deafen()  # until a connection ends
                self._say_crowded()
                return
            try:
                connection, peer = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            connection.setblocking(False)
            task = asyncio.create_task(self._connection(connection, peer[:2]))
            self._connections.add(task)
            task.add_done_callback(self._connection_ended)

    def _say_crowded(self) -> None:
        if not self._crowded:
            self._crowded = True
            self._error(None, f"{_CONNECTIONS} connections at once: more have to wait")

    def _cannot_accept(self, error: OSError) -> None:
        self._error(None, f"cannot accept: {error.strerror}")
        if error.errno in _EXHAUSTED and self._sockets is not None:
            self._deafen()
            self._resume = asyncio.get_running_loop().call_later(_PAUSE, self._listen)

    def _connection_ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._crowded = self._crowded and len(self._connections) > _CONNECTIONS // 2
        if self._resume is None:
            self._listen()

    async def _connection(self, connection: socket.socket, src: Address) -> None:
        """Serves one connection to its end; nothing it does can stop the gateway."""
        with connection:
            try:
                await self._converse(connection, src)
            except CaptureFull:
                self._stop()

    def _dial(self, source: str, target: Address, transfer: Transfer) -> None:
        task = asyncio.create_task(self._call(source, target, transfer))
        self._connections.add(task)
        task.add_done_callback(self._connection_ended)

    async def _call(self, source: str, target: Address, transfer: Transfer) -> None:
        """Makes and serves the data connection of a transfer."""
        assert self._dialler is not None  # there is no FTP before `serve`
        try:
            async with self._dialler.call(source, target) as connection:
                address, port = connection.getsockname()[:2]
                self._outside.meet(address, port, transfer)
                await self._converse(connection, target)
        except CaptureFull:
            self._stop()
        except OSError as error:
            transfer.failed = True
            self._error(None, f"FTP: no call to port {target[1]}: {error.strerror or 'no answer'}")
        finally:
            transfer.over = True

    async def _converse(self, connection: socket.socket, src: Address) -> None:
        dst = connection.getsockname()[:2]
        host = self._names.get(dst[0])
        stream = self._open("tcp", src, dst)
        tape = Tape(self._writer, stream, src, dst, host, self._allows(host))
        if self._bars(dst):
            try:
                await firewall.turn_away(connection, tape)
            finally:
                tape.close()
            return
        session = Session(self._outside, tape)
        try:
            with self._recording_faults(stream):
                await self._exchange(connection, session)
        except asyncio.CancelledError:
            with self._recording_faults(stream):
                drain(connection, session.receive)
            raise
        finally:
            try:
                session.finish()
            finally:
                tape.close()

    def _open(self, proto: str, src: Address, dst: Address, layer: str = "raw") -> int:
        host = self._names.get(dst[0])
        allowed = self._allows(host)
        owner = self._who_has(proto, src, dst) if proto != "icmp" else None
        return self._writer.open(proto, src, dst, host, layer, allowed=allowed, owner=owner)

    def _allows(self, host: str | None) -> bool:
        return self._outside.manners.service(host) is not None

    @contextlib.contextmanager
    def _recording_faults(self, stream: int) -> Iterator[None]:
        try:
            yield
        except CaptureFull:
            raise
        except TimeoutError:
            self._error(stream, f"idle for {IDLE:.0f} s")
        except OSError as error:
            self._error(stream, error.strerror or str(error))
        except Exception as error:  # a fault of ours on some odd input: record it, keep serving
            self._error(stream, f"gateway fault: {error!r}")

    async def _exchange(self, connection: socket.socket, session: Session) -> None:
        silent = 0.0
        while True:
            patience = _LINGER if session.closing else session.patience
            try:
                data = await receive(connection, patience or IDLE, session.closing)
            except TimeoutError:
                silent += patience or IDLE
                if silent >= IDLE:
                    raise
                await self._answer(connection, session, session.quiet())
                continue
            if not data:
                return
            silent = 0.0
            if session.closing:
                session.receive(data)
            else:
                await self._answer(connection, session, session.receive(data))

    async def _answer(self, connection: socket.socket, session: Session, answer: bytes) -> None:
        """Sends what the session returned, and the rest of it."""
        loop = asyncio.get_running_loop()
        if session.delay:
            await asyncio.sleep(session.delay)
        try:
            while answer:
                async with asyncio.timeout(IDLE):
                    await loop.sock_sendall(connection, answer)
                answer = session.more()
            if session.closing:  # closing at once would reset it and lose what is on its way
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            if not session.closing:  # at the end the client may well be gone already
                raise

    # Datagrams

    def _take_datagrams(self, one: socket.socket, proto: str, receive: Receive, limit: int) -> None:
        for _ in range(limit):
            if self._sockets is None:  # the capture is full
                return
            try:
                datagram = receive(one)
            except BlockingIOError:
                return
            except OSError as error:  # such as an ICMP error that an earlier reply met
                self._error(None, f"{proto}: {error.strerror or error}")
                return
            if datagram is not None:
                try:
                    self._flows.take(one, proto, datagram)
                except CaptureFull:
                    self._stop()

    def _know_the_allowed(self) -> None:
        """Knows the addresses that a closed world leaves open, asked for or not."""
        if self._outside.manners.closed:
            self._names.update(firewall.addresses(self._outside.manners))

    def _bars(self, dst: Address) -> bool:
        """Whether a connection cannot get there."""
        manners, host = self._outside.manners, self._names.get(dst[0])
        return firewall.bars(manners, host) or firewall.bars_port(manners, host, dst[1])

    def _ask(self, query: bytes) -> dns.Answer:
        manners = self._outside.manners
        known = (lambda name: manners.service(name) is not None) if manners.closed else None
        return dns.answer(query, self._names, known)

    def _note(self, stream: int, answer: dns.Answer) -> None:
        if answer.type:
            extra = {"refused": True} if answer.refused else {}
            self._writer.event("dns", stream=stream, name=answer.name, type=answer.type, **extra)
        if answer.address is not None:
            self._names[answer.address] = answer.name

    def _answer_dns(self, stream: int, query: bytes) -> bytes | None:
        """For what came to an allowed host over a connection, and so has left."""
        answer = replace(self._ask(query), refused=False)
        self._note(stream, answer)
        return answer.reply

    def _error(self, stream: int | None, reason: str) -> None:
        self._writer.event("error", stream=stream, reason=reason)


def _datagram_sockets(sockets: GatewaySockets) -> list[tuple[socket.socket, str, Receive]]:
    udp = (sockets.udp4, sockets.udp6, sockets.dns4, sockets.dns6)
    icmp = (sockets.icmp, sockets.icmp6)
    return [
        *((one, "udp", receive_udp) for one in udp),
        *((one, "icmp", receive_echo) for one in icmp),
    ]
