"""What runs at the far end of an SSH channel, with no I/O in it: shells, scp, git."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.gateway import git
from sandbox.gateway.store import ENTRIES, Blob, Upload
from sandbox.gateway.web import Repository, Shelf

_LONGEST_LINE = 4096
_SINCE_LOGIN = 40_000  # seconds since somebody was here last
_LISTED = 100  # files that `ls` shows
_LARGEST_OUTPUT = 1 << 20  # bytes said to one piece of input, after which a shell ends
_NOTHING_TO_READ = re.compile(
    r"(ls|pwd|whoami|id|uname|hostname|date|echo|printf|mkdir|rm|rmdir|touch|true|false|df|du|ps"
    r"|which|chmod|chown|mv|cp|ln|test|exit|cd|export|uptime|w|free|nproc|sleep|stat|md5sum"
    r"|sha256sum|sync|kill|env|history)"
)
_FIXED = {
    "uname": "Linux\n",
    "nproc": "8\n",
    "df": "Filesystem     1K-blocks     Used Available Use% Mounted on\n"
    "/dev/vda1      515928320 41274265 453432487   9% /\n",
}
_COPY = re.compile(r"C([0-7]{4}) (\d{1,15}) ([^/\n\0]{1,255})\n")
_FOLDER = re.compile(r"D([0-7]{4}) (\d{1,15}) ([^/\n\0]{1,255})\n")
_SAVE = re.compile(r"(?:cat|tee|dd)\b.*?(?:>|\btee\b|of=)\s*([\w./~-]{1,255})\s*$")


@dataclass(frozen=True)
class Login:
    """Who has logged in where.

    Attributes:
        user: The user's name.
        host: The machine's name, as its shell shows it.
        clock: Unix time in seconds.
    """

    user: str
    host: str = "srv-04"
    clock: Callable[[], float] = time.time

    def time(self, form: str, ago: float = 0) -> str:
        """The time `ago` seconds ago, in the form of `strftime`, in UTC."""
        return time.strftime(form, time.gmtime(self.clock() - ago))


class Program:
    """Reads what comes and says nothing; ends when there is no more to read."""

    records = False
    """Whether it records what comes by itself."""

    def __init__(self) -> None:
        """Starts it."""
        self.status: int | None = None
        """Its exit status, once it has ended."""

    def start(self) -> bytes:
        """What it says first."""
        return b""

    def receive(self, data: bytes) -> bytes:
        """Takes input and returns output."""
        return b""

    def eof(self) -> bytes:
        """Hears that there is no more input."""
        self.status = 0
        return b""

    def more(self) -> bytes:
        """The next part of a long output; nothing when there is none."""
        return b""


def keep(shelf: Shelf, path: str, blob: Blob | None) -> None:
    """Keeps a file if there is room."""
    if blob is not None and (len(shelf.files) < ENTRIES or path in shelf.files):
        shelf.files[path] = blob


def program(command: str, shelf: Shelf, login: Login, host: str) -> Program:
    """What runs for a command line on the machine that is known as `host`."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quote
        words = command.split()
    name = words[0].rpartition("/")[2] if words else ""
    if name in (git.RECEIVE, git.UPLOAD) and len(words) == 2:
        one = git.repository(shelf, host, words[1])
        return Push(shelf, one) if name == git.RECEIVE else Fetch(shelf, one)
    if name == "scp":
        options = "".join(word[1:] for word in words[1:] if word.startswith("-"))
        if "t" in options:
            return ScpSink(shelf, words[-1])
        if "f" in options:
            return ScpSource(shelf, words[-1])
    return Command(shelf, command, login)


def run(shelf: Shelf, line: str, login: Login) -> tuple[str, int]:
    """What a command that reads nothing prints, and its exit status."""
    words, user = line.split(), login.user
    name = words[0] if words else ""
    if name == "echo":
        return " ".join(words[1:]).strip("'\"") + "\n", 0
    if name == "whoami":
        return f"{user}\n", 0
    if name == "id":
        return f"uid=1001({user}) gid=1001({user}) groups=1001({user})\n", 0
    if name == "pwd":
        return f"/home/{user}\n", 0
    if name == "ls":
        names = sorted(path.rpartition("/")[2] for path in list(shelf.files)[:_LISTED])
        return "".join(f"{one}\n" for one in names), 0
    if name == "uname" and len(words) > 1:
        return f"Linux {login.host} 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux\n", 0
    if name == "hostname":
        return f"{login.host}\n", 0
    if name == "date":
        return login.time("%a %b %e %H:%M:%S UTC %Y\n"), 0
    if name == "uptime":
        return login.time(
            " %H:%M:%S up 83 days,  2:11,  1 user,  load average: 0.08, 0.03, 0.01\n"
        ), 0
    if name in _FIXED:
        return _FIXED[name], 0
    return "", 1 if name == "false" else 0


class Command(Program):
    """One command: those that need no input end at once, the others when their input does."""

    def __init__(self, shelf: Shelf, line: str, login: Login) -> None:
        """Runs `line`."""
        super().__init__()
        self._shelf = shelf
        self._line = line
        self._login = login
        self._upload = Upload(shelf.store)

    def start(self) -> bytes:
        """The output, if it is to be had at once."""
        first = self._line.split(maxsplit=1)[:1]
        if first and _NOTHING_TO_READ.fullmatch(first[0]) and "|" not in self._line:
            output, self.status = run(self._shelf, self._line, self._login)
            return output.encode("utf-8", "replace")
        return b""

    def receive(self, data: bytes) -> bytes:
        """Takes input."""
        self._upload.write(data)
        return b""

    def eof(self) -> bytes:
        """Ends, and keeps what came under the name the command gave it."""
        if match := _SAVE.search(self._line[-_LONGEST_LINE:]):
            keep(self._shelf, _absolute(match[1], self._login.user), self._upload.blob())
        return super().eof()


class Shell(Program):
    """A shell that a person could talk to."""

    def __init__(self, shelf: Shelf, login: Login, terminal: bool) -> None:
        """With a terminal there is a prompt, and what is typed is shown."""
        super().__init__()
        self._shelf = shelf
        self._login = login
        self._terminal = terminal
        self._line = b""

    def start(self) -> bytes:
        """The greeting."""
        if not self._terminal:
            return b""
        last = self._login.time("%a %b %e %H:%M:%S %Y", ago=_SINCE_LOGIN)
        return f"Last login: {last} from 10.0.0.7\r\n".encode() + self._prompt()

    def receive(self, data: bytes) -> bytes:
        """Takes what was typed."""
        shown = bytearray()
        for byte in re.split(rb"([\r\n\x03\x04\x7f])", data):
            if len(shown) > _LARGEST_OUTPUT:
                self.status = 1
            if self.status is not None:
                break
            if byte in (b"\r", b"\n"):
                shown += b"\r\n" if self._terminal else b""
                shown += self._run()
            elif byte == b"\x04" and self._terminal and not self._line:
                self.status = 0
            elif byte == b"\x03" and self._terminal:
                self._line = b""
                shown += b"^C\r\n" + self._prompt()
            elif byte == b"\x7f" and self._terminal:
                shown += b"\b \b" if self._line else b""
                self._line = self._line[:-1]
            else:
                self._line = (self._line + byte)[:_LONGEST_LINE]
                shown += byte if self._terminal else b""
        return bytes(shown)

    def _run(self) -> bytes:
        line, self._line = self._line.decode("utf-8", "replace").strip(), b""
        words = line.split()
        if words[:1] in (["exit"], ["logout"]):
            self.status = 0
            return b""
        output = run(self._shelf, line, self._login)[0].encode("utf-8", "replace")
        return (output.replace(b"\n", b"\r\n") + self._prompt()) if self._terminal else output

    def _prompt(self) -> bytes:
        prompt = f"{self._login.user}@{self._login.host}:~$ "
        return prompt.encode("utf-8", "replace") if self._terminal else b""


class ScpSink(Program):
    """The receiving end of the old scp protocol."""

    def __init__(self, shelf: Shelf, path: str) -> None:
        """Receives into `path`."""
        super().__init__()
        self._shelf = shelf
        self._path = path
        self._folders: list[str] = []
        self._line = b""
        self._left = 0
        self._name = ""
        self._upload: Upload | None = None

    def start(self) -> bytes:
        """Ready."""
        return b"\0"

    def receive(self, data: bytes) -> bytes:
        """Takes control lines and files."""
        answer = bytearray()
        while data:
            if self._upload is not None:
                data = self._take(self._upload, data, answer)
                continue
            line, found, rest = data.partition(b"\n")
            self._line = (self._line + line + found)[:_LONGEST_LINE]
            data = rest
            if found:
                answer += self._control(self._line.decode("latin-1"))
                self._line = b""
        return bytes(answer)

    def _take(self, upload: Upload, data: bytes, answer: bytearray) -> bytes:
        if self._left:
            piece, data = data[: self._left], data[self._left :]
            upload.write(piece)
            self._left -= len(piece)
            return data
        # One byte after the content says that it was read well.
        # Whether the target is a file or a folder only a real disk would tell: it is both.
        path = "/".join([self._path, *self._folders, self._name])
        for one in {path} if self._folders else {path, self._path}:
            keep(self._shelf, one, upload.blob())
        self._upload = None
        answer += b"\0"
        return data[1:]

    def _control(self, line: str) -> bytes:
        if match := _COPY.fullmatch(line):
            self._left, self._name = int(match[2]), match[3]
            self._upload = Upload(self._shelf.store)
        elif match := _FOLDER.fullmatch(line):
            self._folders.append(match[3])
            del self._folders[32:]
        elif line == "E\n":
            del self._folders[-1:]
        return b"\0"


class ScpSource(Program):
    """The sending end of the old scp protocol."""

    def __init__(self, shelf: Shelf, path: str) -> None:
        """Sends `path`."""
        super().__init__()
        blob = shelf.files.get(path)
        self._pieces: Iterator[bytes] = iter(())
        self._stage = 0
        self._sent = False
        if blob is None:
            self._head = f"\x01scp: {path}: No such file or directory\n".encode("utf-8", "replace")
        else:
            name = path.rpartition("/")[2]
            self._head = f"C0644 {blob.size} {name}\n".encode("utf-8", "replace")
            self._pieces = shelf.store.read(blob)

    def receive(self, data: bytes) -> bytes:
        """Goes on when the other end says that it is ready."""
        self._stage += len(data)
        if self._stage == 1:
            if self._head.startswith(b"\1"):
                self.status = 1
            return self._head
        if self._sent:  # not before: a client whose last word finds nobody fails
            self.status = 0
        return self.more() if self._stage == 2 else b""

    def more(self) -> bytes:
        """The next part of the file."""
        if self._stage != 2 or self._sent:
            return b""
        piece = next(self._pieces, b"")
        if piece:
            return piece
        self._sent = True
        return b"\0"


class Push(Program):
    """git-receive-pack."""

    def __init__(self, shelf: Shelf, one: Repository) -> None:
        """Receives into a repository."""
        super().__init__()
        self._push = git.Push(shelf.store, one)
        self._refs = git.advertisement(one, git.RECEIVE)

    def start(self) -> bytes:
        """The refs there are."""
        return self._refs

    def receive(self, data: bytes) -> bytes:
        """Takes commands and a pack."""
        self._push.take(data)
        if self.status is None and self._push.over:
            self.status = 0
            return self._push.report()
        return b""


class Fetch(Program):
    """git-upload-pack."""

    def __init__(self, shelf: Shelf, one: Repository) -> None:
        """Sends all of a repository."""
        super().__init__()
        self._refs = git.advertisement(one, git.UPLOAD)
        self._shelf = shelf
        self._one = one
        self._last = b""
        self._pieces: Iterator[bytes] | None = None

    def start(self) -> bytes:
        """The refs there are."""
        return self._refs

    def receive(self, data: bytes) -> bytes:
        """Waits for the end of the talk about who has what."""
        if self._pieces is not None:
            return b""
        first = not self._last
        self._last = (self._last + data)[-64:]
        if b"0009done" in self._last:
            self._pieces = git.pack(self._shelf.store, self._one)[1]
            return git.packet("NAK\n")
        if first and data.startswith(b"0000"):
            self.status = 0
        elif b"have " in data and data.endswith(b"0000"):
            return git.packet("NAK\n")
        return b""

    def more(self) -> bytes:
        """The next part of the pack."""
        if self._pieces is None or self.status is not None:
            return b""
        piece = next(self._pieces, b"")
        if not piece:
            self.status = 0
        return piece


def _absolute(path: str, user: str) -> str:
    path = path.removeprefix("~/")
    return path if path.startswith("/") else f"/home/{user}/{path}"
