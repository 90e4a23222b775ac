"""Every stream from a namespace box names the process that sent it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.box.owners import Owners
from sandbox.gateway.capture import Capture
from tests.sandbox.boxes import Cell, in_cell

SEND = """
import os, socket, subprocess, sys
print(os.getpid())
held = []
for family, kind, address, bound in [
    (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 9), None),
    (socket.AF_INET6, socket.SOCK_STREAM, ("2001:db8::1", 9), None),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:192.0.2.2", 9), None),
    (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.3", 9), None),
    (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.4", 9), ("10.0.2.15", 5000)),
    (socket.AF_INET6, socket.SOCK_DGRAM, ("2001:db8::2", 9), None),
    (socket.AF_INET6, socket.SOCK_DGRAM, ("::ffff:192.0.2.5", 9), None),
]:
    one = socket.socket(family, kind)
    if bound:
        one.bind(bound)
    if kind == socket.SOCK_DGRAM:
        one.sendto(b"x", address)
    else:
        one.connect(address)
    held.append(one)
"""


def captured(folder: Path, script: str) -> tuple[str, Capture]:
    async def work(cell: Cell) -> tuple[str, Capture]:
        done = await cell.sh(script)
        assert done.status == 0, done.stderr
        return done.stdout.decode(), await cell.capture()

    return in_cell(folder, work)


@pytest.mark.namespace
def test_every_kind_of_socket_has_its_owner(tmp_path: Path) -> None:
    script = SEND + "import time; time.sleep(0.3)\n"
    said, capture = captured(tmp_path, f"python3 - --note <<'END'\n{script}END\n")
    assert len(capture.streams) == 7
    for stream in capture.streams:
        assert (stream.pid, stream.command) == (int(said), "python3 - --note"), stream


@pytest.mark.namespace
def test_a_long_command_is_shortened_and_any_bytes_will_do(tmp_path: Path) -> None:
    words = "$(printf 'a\\377b')" + "x" * 500
    _, capture = captured(tmp_path, f"curl -s -o /dev/null http://192.0.2.1/ -H 'x:' -A {words}")
    [stream] = capture.streams
    assert stream.command is not None
    assert stream.command.startswith("curl -s -o /dev/null http://192.0.2.1/ -H x: -A a\\xffbxxx")
    assert len(stream.command) < 210


@pytest.mark.namespace
def test_a_box_with_thousands_of_connections_is_recorded_all_the_same(tmp_path: Path) -> None:
    flood = """
import socket
for number in range(1500):
    with socket.create_connection(("192.0.2.1", 9)) as one:
        one.sendall(b"%d" % number)
"""
    _, capture = captured(tmp_path, f"python3 - <<'END'\n{flood}END\n")
    sent = sorted(int(stream.out) for stream in capture.streams)
    assert sent == list(range(1500))


def test_looking_has_a_budget_and_never_fails() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.01  # each look at the clock takes a while
        return now[0]

    looks: list[str] = []

    class Counting(Owners):
        def _inode(self, proto: str, *addresses: object) -> str | None:
            looks.append(proto)
            return None

    src, dst = ("10.0.2.15", 1), ("192.0.2.1", 2)
    counting = Counting(1, clock)
    for _ in range(1000):  # which take ten seconds or more
        assert counting("tcp", src, dst) is None
    assert 10 <= len(looks) <= 40
    # A process that is not there.
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert Owners(done.pid)("tcp", src, dst) is None
    assert Owners(os.getpid())("udp", src, ("2001:db8::1", 2)) is None
