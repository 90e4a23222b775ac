"""A box's writable folders: made, built upon frozen ones, and frozen. For `launch.py` only.

All of them are memory with a size limit, mounted in a mount namespace that the box's keeper has to
itself, so that nothing is left once its processes are gone. A folder of a fork is an overlay: what
was frozen below, never written again, and an upper layer of the fork's own.

Standard library only, as in `launch.py`.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path

ROOT = "/sys"
"""Where a keeper mounts: a folder that every machine has and no program started there needs."""
FREEZE = b"freeze"
"""Message to a keeper, with a socket: freeze the folders and serve them on that socket."""
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 0x2, 0x4, 0x20
_MS_RDONLY, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x1, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
# The same numbers on every architecture.
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT = 428, 429
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _AT_FDCWD = 1, 4, -100
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags))
    _check(_libc.mount(*arguments, options.encode()), f"cannot mount {kind}")


def _unmount(target: str) -> None:
    _check(_libc.umount2(target.encode(), _MNT_DETACH), f"cannot unmount {target}")


def _memory(target: Path, size: int) -> None:
    target.mkdir()
    _mount("tmpfs", str(target), "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode=755,size={size}")


def _open_tree(path: str) -> int:
    """A mount of its own of what is mounted at `path`; gone when the descriptor is closed."""
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | os.O_CLOEXEC)
    return _check(_libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD, path.encode(), flags), "open_tree")


def _attach(mount: int, target: Path) -> None:
    target.mkdir(exist_ok=True)
    where = str(target).encode()
    result = _libc.syscall(_SYS_MOVE_MOUNT, mount, b"", _AT_FDCWD, where, _MOVE_MOUNT_F_EMPTY_PATH)
    _check(result, "move_mount")
    os.close(mount)


def _own_mounts() -> None:
    _check(_libc.unshare(_CLONE_NEWNS), "cannot make a mount namespace")
    _mount("none", "/", "none", _MS_REC | _MS_PRIVATE)


class Folders:
    """The writable folders of one box, in its keeper's mount namespace."""

    def __init__(self, modes: list[str], size: int, copy: list[str], overlay: str) -> None:
        """Make the mount namespace; the caller has a user namespace of its own.

        Args:
            modes: Permissions of each folder, octal.
            size: Bytes that fit into each.
            copy: The command before `cp`: it shows `/from` and `/to` and nothing else of the host,
                because what is copied is an agent's and may change meanwhile.
            overlay: Name of the kernel's overlay file system.
        """
        self._modes = modes
        self._size = size
        self._copy = copy
        self._overlay = overlay
        self._numbers = [str(number) for number in range(len(modes))]
        _own_mounts()
        _mount("tmpfs", ROOT, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
        os.chdir(ROOT)

    def make(self, layers: list[int]) -> bool:
        """Make the folders, to be found as `ROOT`/seen/0 and so on.

        Args:
            layers: Mounts of frozen folders, the newest first; owned by this call. None: empty.

        Returns:
            Whether they are overlays; else they hold a copy of the one layer.

        Raises:
            OSError: The machine cannot.
        """
        for name in ("own", "seen"):
            Path(name).mkdir()
        for depth, mount in enumerate(layers):
            _attach(mount, Path(str(depth)))
        for number, mode in zip(self._numbers, self._modes, strict=True):
            _memory(Path("own", number), self._size)
            for name in ("work", "data"):
                Path("own", number, name).mkdir()
            Path("own", number, "data").chmod(int(mode, 8))
            Path("seen", number).mkdir()
        try:
            if layers:
                self._stack(len(layers))
                return True
        except OSError:
            # Kernels before 5.11 and some distributions refuse overlays to ordinary users. There,
            # no box stands on layers, so that each snapshot is one layer and holds everything.
            if len(layers) > 1:
                raise
        for number in self._numbers:
            if layers:
                self._duplicate(f"0/{number}", f"own/{number}/data")
            _mount(f"own/{number}/data", f"seen/{number}", "none", _MS_BIND)
        return False

    def _stack(self, depth: int) -> None:
        for number in self._numbers:
            below = Path("0", number).stat()
            data = Path("own", number, "data")
            data.chmod(below.st_mode & 0o7777)
            os.utime(data, ns=(below.st_atime_ns, below.st_mtime_ns))
            lower = ":".join(f"{layer}/{number}" for layer in range(depth))
            options = (
                f"lowerdir={lower},upperdir=own/{number}/data,workdir=own/{number}/work"
                ",userxattr,volatile"
            )
            _mount("overlay", f"seen/{number}", self._overlay, _MS_NOSUID | _MS_NODEV, options)

    def freeze(self, served: socket.socket) -> None:
        """Copy what this box has written since it was made, and serve it to forks.

        A process of its own holds the copy: it answers each message on `served` with a mount of
        it, and ends when the other end is closed.

        Raises:
            OSError: It cannot be copied.
        """
        _memory(Path("frozen"), self._size * len(self._numbers))
        try:
            for number in self._numbers:
                self._duplicate(f"own/{number}/data", f"frozen/{number}")
            flags = _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
            _mount("tmpfs", "frozen", "tmpfs", flags)
            layer = _open_tree("frozen")
            go_between = os.fork()
            if go_between == 0:  # an orphan from the start: nobody here has to wait for its end
                try:
                    if os.fork() == 0:
                        _serve(served, layer)
                finally:
                    os._exit(0)
            os.waitpid(go_between, 0)
            os.close(layer)
        finally:
            _unmount("frozen")
            Path("frozen").rmdir()

    def _duplicate(self, source: str, target: str) -> None:
        Path(target).mkdir(exist_ok=True)
        command = [*self._copy, "--ro-bind", f"{ROOT}/{source}", "/from"]
        command += ["--bind", f"{ROOT}/{target}", "/to", "--", "cp", "-a", "/from/.", "/to"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise OSError(f"the box's files cannot be copied: {lines[-1]}")


def _serve(served: socket.socket, layer: int) -> None:
    """Hold one frozen layer and nothing else of the box that it came from."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness ends it by closing the socket
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) not in (0, 1, 2, served.fileno(), layer):
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(entry))
    with contextlib.suppress(OSError):  # no network is needed; an empty one is as good as none
        _check(_libc.unshare(_CLONE_NEWNET), "cannot make a network namespace")
    _own_mounts()
    os.chdir("/")
    _unmount(ROOT)
    _attach(layer, Path(ROOT))
    while served.recv(16):
        mount = _open_tree(ROOT)
        socket.send_fds(served, [b"layer"], [mount])
        os.close(mount)
