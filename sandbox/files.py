"""Files of a world, and the archive in which they reach the agent's box."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

AGENT_ID = 1000
"""uid and gid of the user `agent`, who owns every file of a world."""
WRITABLE = ("/home/agent", "/srv", "/tmp")
"""The places in the box where a world can put files."""
BELOW_WRITABLE = tuple(f"{place}/" for place in WRITABLE)
"""What the path of every file of a world starts with."""


@dataclass(frozen=True)
class WorldFile:
    """One regular file of a world.

    Attributes:
        path: Absolute path in the box, under one of `WRITABLE`.
        data: The whole content.
        mode: Permission bits.
        mtime: Modification time, whole unix seconds.
    """

    path: str
    data: bytes
    mode: int = 0o644
    mtime: int = 1_767_225_600


def pack(files: Iterable[WorldFile]) -> bytes:
    """Pack files for `tar -x -p -f - -C /`, run in the box by the user `agent`.

    Returns:
        An uncompressed GNU tar, root-relative, everything owned by the agent; the writable places
        themselves have no entry, as the agent may not change their modes and dates.
    """
    files = tuple(files)
    folders: dict[str, int] = {}
    for file in files:
        for folder in map(str, PurePosixPath(file.path).parents):
            if folder.startswith(BELOW_WRITABLE):
                folders[folder] = max(folders.get(folder, 0), file.mtime)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, mtime in sorted(folders.items()):
            _add(archive, tarfile.DIRTYPE, WorldFile(path, b"", 0o755, mtime))
        for file in files:
            _add(archive, tarfile.REGTYPE, file)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, kind: bytes, file: WorldFile) -> None:
    entry = tarfile.TarInfo(file.path.lstrip("/"))
    entry.type, entry.mode, entry.mtime, entry.size = kind, file.mode, file.mtime, len(file.data)
    entry.uid, entry.gid, entry.uname, entry.gname = AGENT_ID, AGENT_ID, "agent", "agent"
    archive.addfile(entry, io.BytesIO(file.data))
