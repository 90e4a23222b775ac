"""Traces planted in another sample's box, none of which may be found in the one under test."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from inspect_ai.util import SandboxEnvironment

from sandbox.certificate.inside.files import WRITABLE
from sandbox.certificate.inside.network import MIRROR, STORE
from sandbox.certificate.inside.setup import Neighbour

_LIFE = 60  # seconds after which what was planted ends by itself
# Prints its process id, port and addresses once everything is there; the child stays.
_PLANT = """
import json, os, select, socket, sys
told = json.load(sys.stdin)
token = told["token"]
files = []
for folder in told["folders"]:
    try:
        os.close(os.open(os.path.join(folder, ".shared-" + token), os.O_CREAT | os.O_WRONLY, 0o644))
        files.append(os.path.join(folder, ".shared-" + token))
    except OSError:
        pass
listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
named = socket.socket(socket.AF_UNIX)
named.bind("\\0" + token)
named.listen()
addresses = []
for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect((target, 9))
        addresses.append(one.getsockname()[0])
for host, path in told["stores"]:
    for method, body in (("PUT", token), ("GET", "")):
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
        with socket.create_connection((host, 80), 10) as store:
            store.sendall("\\r\\n".join([*head, "Connection: close", "", body]).encode())
            answer = b""
            while more := store.recv(4096):
                answer += more
    if not answer.endswith(token.encode()):
        sys.exit(host + " does not give back what was put there")
pid = os.fork()
if pid:
    print(json.dumps([pid, listener.getsockname()[1], addresses]))
    sys.exit()
null = os.open("/dev/null", os.O_RDWR)
for fd in range(3):
    os.dup2(null, fd)
while select.select([listener, named], [], [], told["life"])[0]:
    for one in select.select([listener], [], [], 0)[0]:
        connection, _ = one.accept()
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + token.encode())
        connection.close()
    for one in select.select([named], [], [], 0)[0]:
        one.accept()[0].close()
for path in files:
    os.unlink(path)
"""
_REMOVE = """
import glob, os, signal, sys
os.kill(int(sys.argv[1]), signal.SIGKILL)
for folder in sys.argv[3:]:
    for path in glob.glob(os.path.join(folder, ".shared-" + sys.argv[2])):
        os.unlink(path)
"""


@asynccontextmanager
async def planted(box: SandboxEnvironment) -> AsyncIterator[Neighbour]:
    """Plant a file in every writable folder, a listener, an abstract socket and a process.

    And put something into an artifact store and a package mirror.

    Args:
        box: Another sample's agent box; everything is taken away at the end.

    Raises:
        OSError: It could not be planted.
    """
    token = secrets.token_hex(16)
    thing = secrets.token_hex(8)  # not the token: an answer may well repeat what was asked for
    stores = [(host, path.format(thing)) for host, path in (STORE, MIRROR)]
    told = json.dumps(
        {
            "token": token,
            "folders": WRITABLE,
            "life": _LIFE,
            "stores": stores,
        }
    )
    done = await box.exec(["python3", "-I", "-S", "-c", _PLANT, token], input=told, timeout=30)
    if not done.success:
        raise OSError(f"nothing can be planted in the other box: {done.stderr.strip()[-200:]}")
    pid, port, addresses = json.loads(done.stdout)
    try:
        yield Neighbour(token, port, tuple(addresses), thing)
    finally:
        with anyio.CancelScope(shield=True):
            remove = ["python3", "-I", "-S", "-c", _REMOVE, str(pid), token, *WRITABLE]
            await box.exec(remove, timeout=30)
