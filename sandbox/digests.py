"""Digests of what a result rests on, so that two runs can be told to be of the same world."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sandbox.cell import Provider
from sandbox.images import digest, docker_folder

_CODE = Path(__file__).parent
_SYSTEM = Path("/etc/os-release")


def of_folder(folder: Path) -> str:
    """SHA-256 (hex) of a folder's files, by path and content; bytecode is left out."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest(
        {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in paths
            if "__pycache__" not in path.parts
        }
    )


def of_cell(provider: Provider) -> dict[str, str]:
    """SHA-256 (hex) of what makes a kind of cell and reads its capture, by name.

    Docker's images are known by what they are built from: each build makes a key of its own. A box
    of the other kind shows the host's programs, which are known by the system's release.
    """
    parts = {"gateway": _CODE / "gateway", "evidence": _CODE / "evidence"}
    parts |= {"docker": docker_folder()} if provider == "docker" else {"box": _CODE / "box"}
    found = {name: of_folder(folder) for name, folder in parts.items()}
    if provider == "namespace":
        release = _SYSTEM.read_bytes() if _SYSTEM.is_file() else b""
        found["system"] = hashlib.sha256(release).hexdigest()
    return found
