"""A frozen layer of a box's writable folders, as the harness holds it."""

from __future__ import annotations

import socket
import threading
import weakref

from sandbox.box.plan import BoxError


class Layer:
    """What a box had written when it was frozen; gone when nobody holds it any more."""

    def __init__(self, served: socket.socket) -> None:
        self._served = served
        self._turn = threading.Lock()
        weakref.finalize(self, served.close)

    def mount(self) -> int:
        """A descriptor of a mount of the layer, for one fork; the caller closes it.

        Raises:
            BoxError: The process that holds the layer was killed.
        """
        try:
            with self._turn:
                self._served.send(b"mount")
                _, received, _, _ = socket.recv_fds(self._served, 16, 1)
        except OSError as error:
            raise BoxError(f"the snapshot is gone: {error}") from error
        if not received:
            raise BoxError("the snapshot is gone: the process that held it ended")
        return received[0]
