"""PID 1 inside the box: runs the commands that the harness sends, and outlives them.

Standard library only, and nothing of Sallyport: it is copied into the box and started by the
box's own Python. It speaks over file descriptor 3, a SEQPACKET socket whose other end the harness
holds. Messages: `exec` with five descriptors (request, stdin, stdout, stderr, status), `kill ID`,
and `hold` and `release`, which stop and continue whatever runs and are answered. The request is
JSON in a memory file, so its size has no limit of the socket's. The exit status goes back through
the status pipe; the pipe's end without a status means that the box died. When the harness goes away
the socket ends, PID 1 leaves, and the kernel kills everything inside.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
from typing import Any

CONTROL_FD = 3
_PR_SET_DUMPABLE = 4
_RATHER_KILLED = 100  # in thousandths of all memory
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def _child(request: dict[str, Any], stdio: list[int]) -> None:
    """Become the command; never returns."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        for target, source in enumerate(stdio):
            os.dup2(source, target)
        os.closerange(3, 1024)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        # When memory runs out, a command is killed and not what runs the commands.
        with open("/proc/self/oom_score_adj", "r+") as file:
            score = int(file.read())
            file.seek(0)
            file.write(str(min(1000, score + _RATHER_KILLED)))
        os.chdir(request["cwd"])
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except BaseException as error:  # the harness must learn why; this process ends here
        os.write(2, f"{request['argv'][0]}: {error}\n".encode())
        missing = isinstance(error, FileNotFoundError)
        os._exit(_NOT_FOUND if missing else _NOT_EXECUTABLE)


def main() -> None:
    """Serve until the harness closes its end."""
    # Not readable through /proc by the agent, who runs under the same user.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    control = socket.socket(fileno=CONTROL_FD)
    control.set_inheritable(False)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, tuple[str, int]] = {}  # pid -> (id, status pipe)
    control.send(b"up")
    while True:
        ready, _, _ = select.select([control.fileno(), wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
        while True:  # reap orphans of the agent as well as its commands
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in running:
                _, pipe = running.pop(pid)
                with contextlib.suppress(BrokenPipeError):  # the harness gave up waiting
                    os.write(pipe, str(os.waitstatus_to_exitcode(status)).encode())
                os.close(pipe)
        if control.fileno() not in ready:
            continue
        message, fds, _, _ = socket.recv_fds(control, 256, 5)
        if not message:
            os._exit(0)
        if message.startswith(b"kill "):
            wanted = message[5:].decode()
            for pid, (name, _) in running.items():
                if name == wanted:
                    try:
                        os.killpg(pid, signal.SIGKILL)
                    except ProcessLookupError:  # forked, but not yet the leader of its group
                        os.kill(pid, signal.SIGKILL)
            continue
        if message in (b"hold", b"release"):
            with contextlib.suppress(ProcessLookupError):  # nothing else runs
                os.kill(-1, signal.SIGSTOP if message == b"hold" else signal.SIGCONT)
            control.send(message)
            continue
        request_fd, *stdio, status_fd = fds
        with os.fdopen(request_fd, "rb") as file:
            file.seek(0)
            request = json.loads(file.read())
        try:
            pid = os.fork()
        except OSError as error:  # the agent used up its processes: its loss, not the box's end
            os.write(stdio[2], f"cannot start a process: {error}\n".encode())
            os.write(status_fd, str(_NOT_EXECUTABLE).encode())
            os.close(status_fd)
        else:
            if pid == 0:
                _child(request, stdio)
            running[pid] = (request["id"], status_fd)
        for fd in stdio:
            os.close(fd)


if __name__ == "__main__":
    main()
