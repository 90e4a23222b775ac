"""A git checkout as files of a world: one commit, made without git so that bytes never differ."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping

from sandbox.files import WorldFile

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
[remote "origin"]
\turl = {remote}
\tfetch = +refs/heads/*:refs/remotes/origin/*
[branch "main"]
\tremote = origin
\tmerge = refs/heads/main
[user]
\tname = {name}
\temail = {email}
"""


def blob_id(data: bytes) -> str:
    """The name that git gives a file's content, 40 hex digits."""
    return _object(b"blob", data)[0]


def checkout(
    folder: str, files: Mapping[str, WorldFile], remote: str, author: tuple[str, str], message: str
) -> tuple[str, list[WorldFile]]:
    """Make the folder `.git` of a clean checkout of the branch `main`, cloned from a remote.

    Args:
        folder: the checkout's folder in the box.
        files: what is committed, by path in the repository.
        remote: URL of the remote `origin`.
        author: name and address of who committed, and who commits here.
        message: the commit's.

    Returns:
        The commit's name, and the files; they do not include those that are committed.
    """
    name, email = author
    when = max(file.mtime for file in files.values())
    objects = dict(_object(b"blob", file.data) for file in files.values())
    tree = _tree(files, objects)
    who = f"{name} <{email}> {when} +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\n{message}\n"
    commit, stored = _object(b"commit", text.encode())
    objects[commit] = stored
    contents = {
        "HEAD": b"ref: refs/heads/main\n",
        "config": _CONFIG.format(remote=remote, name=name, email=email).encode(),
        "index": _index(files),
        "refs/heads/main": f"{commit}\n".encode(),
        "refs/remotes/origin/main": f"{commit}\n".encode(),
    } | {f"objects/{one[:2]}/{one[2:]}": stored for one, stored in sorted(objects.items())}
    return commit, [
        WorldFile(f"{folder}/.git/{path}", data, 0o644, when) for path, data in contents.items()
    ]


def _object(kind: bytes, data: bytes) -> tuple[str, bytes]:
    """An object's name, and how it lies on disk: stored, as compressors differ in their bytes."""
    whole = kind + b" %d\0" % len(data) + data
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest(), zlib.compress(whole, 0)


def _tree(files: Mapping[str, WorldFile], objects: dict[str, bytes]) -> str:
    """The name of the tree of some files; it and its subtrees are added to `objects`."""
    folders: dict[str, dict[str, WorldFile]] = {}
    entries: dict[str, tuple[str, str]] = {}  # in git's order, a folder's name ends with a slash
    for path, file in files.items():
        first, _, rest = path.partition("/")
        if rest:
            folders.setdefault(first, {})[rest] = file
        else:
            entries[first] = (_mode(file), blob_id(file.data))
    for name, inner in folders.items():
        entries[f"{name}/"] = ("40000", _tree(inner, objects))
    data = b"".join(
        f"{mode} {name.rstrip('/')}\0".encode() + bytes.fromhex(one)
        for name, (mode, one) in sorted(entries.items())
    )
    tree, stored = _object(b"tree", data)
    objects[tree] = stored
    return tree


def _index(files: Mapping[str, WorldFile]) -> bytes:
    """The index, version 2; with no times in it git compares contents."""
    data = struct.pack("!4sII", b"DIRC", 2, len(files))
    for path, file in sorted(files.items()):
        name = path.encode()
        entry = struct.pack("!10I", 0, 0, 0, 0, 0, 0, int(_mode(file), 8), 0, 0, len(file.data))
        entry += bytes.fromhex(blob_id(file.data)) + struct.pack("!H", len(name)) + name
        data += entry + b"\0" * (8 - len(entry) % 8)
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def _mode(file: WorldFile) -> str:
    return "100755" if file.mode & 0o100 else "100644"
