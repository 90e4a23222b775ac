"""Addresses in Inspect's log viewer. Pure.

`inspect view --log-dir FOLDER` serves a page whose routes are `#/logs/LOG`, with the log's path in
that folder, and `#/logs/LOG/samples/sample/ID/EPOCH/`.
"""

from __future__ import annotations

import os.path
import shlex
from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import quote

from policies.measure.rows import Row

HOST = "http://127.0.0.1:7575"
"""Where `inspect view` listens unless it is told otherwise."""


class Viewer:
    """The log viewer over the folder that holds all of some logs.

    Args:
        logs: their paths, absolute; at least one.
    """

    def __init__(self, logs: Sequence[str]):
        self._folder = PurePath(os.path.commonpath([PurePath(log).parent for log in logs]))

    @property
    def command(self) -> str:
        """What starts it."""
        return f"inspect view --log-dir {shlex.quote(str(self._folder))}"

    def log(self, log: str) -> str:
        """The address of one of the logs."""
        return f"{HOST}/#/logs/{quote(PurePath(log).relative_to(self._folder).as_posix())}"

    def sample(self, row: Row) -> str:
        """The address of a sample of one of the logs."""
        return f"{self.log(row.run.log)}/samples/sample/{quote(row.id, safe='')}/{row.epoch}/"
