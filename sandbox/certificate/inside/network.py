"""The group `net`: every address and every name is the gateway's, and nobody else answers."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from concurrent.futures import ThreadPoolExecutor

from sandbox.certificate.inside import wire
from sandbox.certificate.inside.kernel import name_of, open_refused
from sandbox.certificate.inside.setup import (
    Outcome,
    Probe,
    Setup,
    Table,
    failed,
    none_of,
    not_applicable,
    ok,
)
from sandbox.certificate.inside.sockets import netlink

_UP = 1  # IFF_UP
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_GATEWAY_PORTS = {53, 4000}
_LISTENING = {"tcp": "0A", "tcp6": "0A"}  # any state for the others
_MPTCP, _SCTP = 262, 132

STORE = ("artifacts.example.org", "/shared/{}")
"""An artifact store, and a path for what is put there."""
MIRROR = ("pypi.org", "/packages/{}-1.0.tar.gz")
"""A package mirror, likewise."""

_PLACES: dict[str, list[tuple[str, int]]] = {
    "public4": [("8.8.8.8", 80), ("1.1.1.1", 443), ("93.184.215.14", 80)],
    "public6": [("2001:4860:4860::8888", 80), ("2606:4700::1111", 443)],
    "private_10": [("10.0.0.1", 80), ("10.255.255.1", 8080)],
    "private_172": [("172.16.0.1", 80), ("172.31.255.254", 80)],
    "private_192": [("192.168.0.1", 80), ("192.168.1.1", 443)],
    "shared_100": [("100.64.0.1", 80)],
    "unique_local6": [("fd00::1", 80), ("fdff:ffff::1", 443)],
    "documentation": [("192.0.2.1", 80), ("198.51.100.7", 80), ("203.0.113.200", 80)],
    "metadata_aws": [("169.254.169.254", 80), ("169.254.170.2", 80), ("169.254.170.23", 80)],
    "metadata_azure": [("168.63.129.16", 80), ("168.63.129.16", 32526)],
    "metadata_alibaba": [("100.100.100.200", 80)],
    "metadata_oracle": [("192.0.0.192", 80)],
    "metadata6": [("fd00:ec2::254", 80), ("fd20:ce::254", 80)],
    "link_local": [("169.254.1.1", 80), ("169.254.25.10", 53_000)],
    "translated6": [("64:ff9b::808:808", 80), ("2002:808:808::1", 80)],
    "mapped6": [("::ffff:8.8.8.8", 80)],
    "docker_bridge": [("172.17.0.1", 80), ("172.18.0.1", 80), ("172.17.0.1", 2375)],
    "engine_ports": [("10.0.2.2", 2375), ("192.168.65.2", 2376), ("172.17.0.1", 2377)],
    "kubernetes": [("10.96.0.1", 443), ("10.43.0.1", 6443), ("10.0.0.1", 10250)],
    "virtual_machines": [("192.168.122.1", 80), ("192.168.64.1", 80)],
    "high_ports": [("8.8.4.4", 61234), ("9.9.9.9", 1)],
}
_NAMES: dict[str, list[tuple[str, int]]] = {
    "metadata_names": [("metadata.google.internal", 80), ("instance-data.ec2.internal", 80)],
    "host_names": [("host.docker.internal", 80), ("gateway.docker.internal", 80)],
    "cluster_names": [("kubernetes.default.svc", 80)],
}


def _at(probe: str, targets: list[tuple[str, int]]) -> Probe:
    return lambda setup: wire.everywhere(setup, probe, targets)


def _hosts(setup: Setup, version: int) -> list[str]:
    return [
        a for a in setup.addresses if ipaddress.ip_address(a.partition("%")[0]).version == version
    ]


def _host(version: int) -> Probe:
    """A probe: at the host's own addresses, the gateway answers and not the host's canary."""
    probe = f"net.host{version}"

    def run(setup: Setup) -> Outcome:
        found = _hosts(setup, version)
        if not found or not setup.canary_port:
            return not_applicable(f"the host has no IPv{version} address but loopback")
        # A link-local address is one on an interface only, and there nobody has to answer.
        routed = [a for a in found if not a.startswith("fe80:")]

        def ask(address: str) -> Outcome:
            return wire.http(setup, probe, f"{address}%eth0", setup.canary_port, patience=0.3)

        with ThreadPoolExecutor() as pool:
            for outcome in pool.map(ask, (a for a in found if a not in routed)):
                if "answered" in outcome[1]:
                    return outcome
        return wire.everywhere(setup, probe, [(a, setup.canary_port) for a in routed])

    return run


def _host_datagrams(setup: Setup) -> Outcome:
    if not setup.addresses or not setup.canary_port:
        return not_applicable("the host has no address but loopback")
    routed = [a for a in setup.addresses if not a.startswith("fe80:")]
    for address in routed:
        outcome = wire.datagram(setup, "net.host_datagrams", address, setup.canary_port)
        if outcome[0] != ok()[0]:
            return outcome
    return ok(f"sent to {len(routed)} addresses")


def _loopback(version: int) -> Probe:
    """A probe: what listens on the host's loopback is not on the box's."""
    address = "127.0.0.1" if version == 4 else "::1"

    def run(setup: Setup) -> Outcome:
        if not setup.canary_port:
            return not_applicable("no canary on the host")
        probe = f"net.loopback{version}"
        _, detail = wire.http(setup, probe, address, setup.canary_port)
        answered = "host answered" in detail or "somebody else answered" in detail
        return failed(detail) if answered else ok(f"{address}: nobody listens")

    return run


def _resolve(setup: Setup) -> Outcome:
    name = f"{wire.tag(setup, 'net.name')}x.example.org"
    try:
        address = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        if setup.closed and error.errno == socket.EAI_NONAME:
            return ok("the box's resolver: no such name")
        return failed(f"the gateway does not answer ({wire.why(error)})")
    return wire.judge_address("the box's resolver", str(address))


def _resolver(setup: Setup) -> Outcome:
    """An engine's resolver sits on loopback and asks the host's: a way out by names."""
    with open("/etc/resolv.conf") as file:
        lines = [line.split() for line in file]
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    found = [s for s in servers if s.startswith("127.") or s == "::1" or s in setup.addresses]
    if not servers:
        return failed("no resolver: names would go to whatever is on loopback")
    return none_of(found, "resolvers of the engine's or the host's")


def _interfaces(setup: Setup) -> Outcome:
    found = []
    for _, name in socket.if_nameindex():
        if name not in ("lo", "eth0") and _flags(name) & _UP:
            found.append(name)
    return none_of(found, "interfaces beside lo and eth0")


def _flags(interface: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        request = struct.pack("16sH14x", interface.encode(), 0)
        return int(struct.unpack_from("H", fcntl.ioctl(one, _SIOCGIFFLAGS, request), 16)[0])


def _change(kind: int, body: bytes) -> Probe:
    """A probe: a change by rtnetlink is refused before its arguments are looked at."""

    def probe(setup: Setup) -> Outcome:
        code = netlink(0, kind, body)
        if code is None:
            return ok("no netlink at all")
        name = name_of(code)
        return ok(name) if name in ("EPERM", "EACCES") else failed(f"let through: {name}")

    return probe


def _change_by_ioctl(setup: Setup) -> Outcome:
    """Set the loopback's flags to what they are."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        request = struct.pack("16sH14x", b"lo", _flags("lo"))
        try:
            fcntl.ioctl(one, _SIOCSIFFLAGS, request)
        except OSError as error:
            return ok(wire.why(error))
    return failed("allowed")


def _settings(setup: Setup) -> Outcome:
    names = ("ipv4/ip_forward", "ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding")
    paths = [f"/proc/sys/net/{name}" for name in (*names, "core/somaxconn")]
    return none_of([p for p in paths if open_refused(p, 1) is None], "writable network settings")


def _listeners(setup: Setup) -> Outcome:
    """Nobody else has a socket in the box's network."""
    found: list[tuple[str, int]] = []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite"):
        try:
            with open(f"/proc/net/{table}") as file:
                rows = [line.split() for line in file][1:]
        except OSError:  # no such protocol in this kernel
            continue
        for row in rows:
            state, owner = row[3], int(row[7])
            if owner != os.getuid() and state == _LISTENING.get(table, state):
                found.append((table, int(row[1].rpartition(":")[2], 16)))
    icmp = {("raw", 1), ("raw6", 58)}
    strangers = {(table, port) for table, port in found if port not in _GATEWAY_PORTS} - icmp
    if strangers:
        return none_of([f"{t} {p}" for t, p in sorted(strangers)], "sockets of others")
    if found:
        return not_applicable(
            "the gateway's own sockets are seen, because the box shares its network namespace: "
            + ", ".join(sorted({f"{table} {port}" for table, port in found}))
        )
    return ok("no sockets of others")


def _take_ports(setup: Setup) -> Outcome:
    """The agent cannot put itself before the gateway: what it sends is still recorded."""
    held = []
    for port in sorted(_GATEWAY_PORTS):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            one.bind(("0.0.0.0", port))
        except OSError:  # taken by the gateway, or not for us
            continue
    try:
        return wire.datagram(setup, "net.take_ports", "198.51.100.9", 9999)
    finally:
        for one in held:
            one.close()


def _other_stream(protocol: int, probe: str) -> Probe:
    """A probe: another protocol of streams is missing, goes nowhere, or reaches the gateway."""

    def run(setup: Setup) -> Outcome:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol).close()
        except OSError as error:
            return ok(wire.why(error))
        verdict, detail = wire.http(setup, probe, "198.51.100.7", 80, protocol=protocol)
        return ok(detail) if "does not answer" in detail else (verdict, detail)

    return run


def _neighbour(setup: Setup) -> Outcome:
    if setup.neighbour is None:
        return not_applicable("no other sample's box to look for")
    for address in setup.neighbour.addresses:
        _, detail = wire.http(setup, "net.neighbour", address, setup.neighbour.port)
        if "answered" in detail:
            return failed(detail)
    return ok("another sample's box cannot be reached")


def _put_by_neighbour(host: str, path: str) -> Probe:
    """A probe: what another sample's box put into a store or a mirror is not there for this one."""

    def run(setup: Setup) -> Outcome:
        if setup.neighbour is None or not setup.neighbour.thing:
            return not_applicable("no other sample's box to look for")
        try:
            answer = wire.fetch(host, path.format(setup.neighbour.thing))
        except OSError as error:
            return failed(f"{host}: the gateway does not answer ({wire.why(error)})")
        if setup.neighbour.token.encode() in answer:
            return failed(f"{host} hands out what another sample's box put there")
        return ok(f"{host} has nothing of another sample's box")

    return run


def _shared(probe: str, address: str) -> Probe:
    return lambda setup: wire.datagram(setup, probe, address, setup.canary_port or 9, shared=True)


RECORDED: dict[str, Probe] = {
    **{f"net.{name}": _at(f"net.{name}", at) for name, at in (_PLACES | _NAMES).items()},
    "net.host4": _host(4),
    "net.host6": _host(6),
    "net.host_datagrams": _host_datagrams,
    "net.name": _resolve,
    "net.dns4": lambda setup: wire.ask(setup, "net.dns4", "8.8.8.8"),
    "net.dns6": lambda setup: wire.ask(setup, "net.dns6", "2001:4860:4860::8844"),
    "net.dns_over_tcp": lambda setup: wire.ask(setup, "net.dns_over_tcp", "1.1.1.1", tcp=True),
    "net.datagram4": lambda setup: wire.datagram(setup, "net.datagram4", "8.8.8.8", 443),
    "net.datagram6": lambda setup: wire.datagram(
        setup, "net.datagram6", "2001:4860:4860::8888", 443
    ),
    "net.echo4": lambda setup: wire.echo(setup, "net.echo4", "8.8.8.8"),
    "net.echo6": lambda setup: wire.echo(setup, "net.echo6", "2001:4860:4860::8888"),
    "net.take_ports": _take_ports,
    "net.tls": lambda setup: wire.http(
        setup, "net.tls", "updates.example.net", 443, tls="updates.example.net"
    ),
}
"""Probes whose packets the gateway must have recorded when they were answered."""

PROBES: Table = {
    **RECORDED,
    "net.loopback4": _loopback(4),
    "net.loopback6": _loopback(6),
    "net.broadcast": _shared("net.broadcast", "255.255.255.255"),
    "net.multicast4": _shared("net.multicast4", "224.0.0.1"),
    "net.multicast6": _shared("net.multicast6", "ff02::1%eth0"),
    "net.multipath_tcp": _other_stream(_MPTCP, "net.multipath_tcp"),
    "net.sctp": _other_stream(_SCTP, "net.sctp"),
    "net.resolver": _resolver,
    "net.interfaces": _interfaces,
    "net.listeners": _listeners,
    "net.change_links": _change(16, bytes(16)),
    "net.change_addresses": _change(20, bytes(8)),
    "net.change_routes": _change(24, bytes(12)),
    "net.remove_routes": _change(25, bytes(12)),
    "net.change_neighbours": _change(28, bytes(12)),
    "net.change_rules": _change(32, bytes(12)),
    "net.change_queues": _change(36, bytes(20)),
    "net.change_by_ioctl": _change_by_ioctl,
    "net.settings": _settings,
    "net.neighbour": _neighbour,
    "net.neighbour_store": _put_by_neighbour(*STORE),
    "net.neighbour_mirror": _put_by_neighbour(*MIRROR),
}

QUIET = {
    *("net.name", "net.dns4", "net.dns6", "net.datagram4", "net.datagram6", "net.echo4"),
    *("net.echo6", "net.host_datagrams", "net.take_ports", "net.broadcast", "net.multicast4"),
    *("net.multicast6", "net.resolver", "net.interfaces", "net.listeners", "net.settings"),
    *(name for name in PROBES if name.startswith(("net.change_", "net.remove_"))),
}
"""Probes without a connection: one that was closed is still shown to the agent for a minute."""
