"""What was pushed to git servers over HTTP: the files of each pushed commit. Pure.

For verifiers of main tasks whose result is a commit; see `deliveries` for all else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.evidence.decode import Budget
from sandbox.evidence.deliveries import LIMIT, deliveries
from sandbox.evidence.pack import Object, packs
from sandbox.gateway.capture import Capture
from sandbox.gateway.git import COMMAND, NOTHING, RECEIVE, first_packet

_LOOK = 512  # bytes of decoding that a look at a file or folder counts for
_LONGEST_PATH = 4096
_LONGEST_PACKET = 0xFFFF
_COMMANDS = 256
_TAGS = 8  # tags of tags
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0/]{1,4096})\0(.{20})", re.S)
_POINTS_TO = re.compile(rb"(?:tree|object) ([0-9a-f]{40})\n")

Objects = dict[bytes, Object]


@dataclass(frozen=True)
class Push:
    """One ref that was pushed.

    Attributes:
        host: As in `Delivery`.
        path: The repository's path on it, from the slash on, without `.git`.
        ref: Full name, such as "refs/heads/main".
        commit: What it points to now, in hex; empty when it was deleted.
        files: The regular files of that commit: content by path.
        turn: As in `Delivery`.
        allowed: As in `Delivery`.
        whole: False when `files` are not all of them: something of the commit was never pushed, or
            there were more than `LIMIT` bytes in all pushes, each file and folder of each commit
            taken for 512 more.
    """

    host: str
    path: str
    ref: str
    commit: str
    files: Mapping[str, bytes] = field(repr=False)
    turn: int | None
    allowed: bool
    whole: bool = True


def pushes(capture: Capture) -> tuple[Push, ...]:
    """Say what was pushed.

    Args:
        capture: A verified capture.

    Returns:
        Every ref of every push that came whole, in order.
    """
    budget = Budget(LIMIT)
    repositories: dict[tuple[str, str], Objects] = {}
    found: list[Push] = []
    for one in deliveries(capture):
        path, slash, service = one.path.rpartition("/")
        if one.method != "POST" or service != RECEIVE or not slash or not one.whole:
            continue
        path = path.removesuffix(".git")
        # A push leaves out what the server has from the ones before it.
        known = repositories.setdefault((one.host, path), {})
        commands, pack = _commands(one.body)
        for _ in packs(pack, budget, known):
            pass
        for ref, commit in commands:
            if commit == NOTHING:
                found.append(Push(one.host, path, ref, "", {}, one.turn, one.allowed))
                continue
            files, whole = _files(commit, known, budget)
            found.append(Push(one.host, path, ref, commit, files, one.turn, one.allowed, whole))
    return tuple(found)


def _commands(body: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """The refs with what they shall point to, and the pack behind them."""
    commands: list[tuple[str, str]] = []
    at = 0
    for _ in range(_COMMANDS):
        line = first_packet(body[at : at + _LONGEST_PACKET])
        length, content = line or (0, None)
        at += length
        if content is None:
            break
        if match := COMMAND.fullmatch(content):
            commands.append((match[3].decode(), match[2].decode()))
    return commands, body[at:]


def _files(commit: str, known: Objects, budget: Budget) -> tuple[dict[str, bytes], bool]:
    """The files of a commit or of what a tag is of, and whether that is all of them."""
    name: bytes | None = bytes.fromhex(commit)
    for _ in range(_TAGS):
        one = known.get(name or b"")
        if one is None or one.kind not in (b"tag", b"commit"):
            return {}, False
        match = _POINTS_TO.match(one.data)
        name = bytes.fromhex(match[1].decode()) if match else None
        if one.kind == b"commit":
            break
    files: dict[str, bytes] = {}
    whole = True
    folders = [(b"", name or b"")]
    while folders:
        folder, name = folders.pop()
        tree = known.get(name)
        if tree is None or tree.kind != b"tree":
            whole = False
            continue
        for mode, entry, content in _entries(tree.data):
            path = folder + entry
            if not budget.spend(_LOOK) or len(path) > _LONGEST_PATH:
                return files, False
            blob = known.get(content)
            if mode == b"40000":
                folders.append((path + b"/", content))
            elif mode.startswith(b"100") and blob is not None and blob.kind == b"blob":
                files[path.decode("utf-8", "replace")] = blob.data
            else:  # never pushed, or a link
                whole = whole and not mode.startswith(b"100")
    return files, whole


def _entries(tree: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Mode, name and object of each entry of a tree, up to damage."""
    at = 0
    while match := _ENTRY.match(tree, at):
        yield match[1], match[2], match[3]
        at = match.end()
