"""The gateway's network: every address is local, every port leads to one socket.

AnyIP routes (`local 0.0.0.0/0`) make every address local to the gateway's network namespace, and
nftables TPROXY hands every TCP connection and datagram to a transparent socket that still knows
where it was meant to go. Nothing is forwarded, because there is nowhere to forward it to.

Standard library only, and no import from this project: the rootless launcher loads just this file.
"""

import socket
from collections.abc import Sequence
from typing import NamedTuple

PORT = 4000
"""Where TPROXY sends TCP and UDP; not visible to the agent as a port of its own."""
DNS_PORT = 53
"""Where DNS goes: a reply must leave from port 53, so a socket has to sit on it."""

SHARED_ADDRESSES = ("10.77.0.5", "fd00:77::5")
"""The agent's own addresses where it shares the gateway's namespace."""
SHARED_RESOLVER = "10.77.0.1"
VETH_GATEWAY = ("10.0.2.2", "fd00:0:2::2")
"""The gateway's end of a veth pair."""
VETH_AGENT = ("10.0.2.15", "fd00:0:2::15")
"""The agent's end of a veth pair."""

ECHO_MARK = 0x5A11
"""Mark of the gateway's own answers to echo requests; the kernel's are dropped."""

# Linux values that the socket module of Python 3.11 does not name.
IP_PKTINFO = 8
IP_TRANSPARENT = 19
IP_RECVORIGDSTADDR = 20
IP_BIND_ADDRESS_NO_PORT = 24
IPV6_RECVORIGDSTADDR = 74
IPV6_TRANSPARENT = 75
SO_RCVBUFFORCE = 33
SO_RXQ_OVFL = 40
SO_MEMINFO = 55
_RECEIVE_BUFFER = 8 << 20  # bytes; datagrams that do not fit are lost (and counted as lost)
_BACKLOG = 1024


class GatewaySockets(NamedTuple):
    """The gateway's sockets, in the order in which their descriptors are passed on.

    Attributes:
        tcp4: Transparent listener for IPv4; `getsockname` of a connection is its destination.
        tcp6: The same for IPv6.
        udp4: Transparent socket for IPv4 datagrams, with IP_RECVORIGDSTADDR.
        udp6: The same for IPv6.
        dns4: As udp4, on port 53.
        dns6: As udp6, on port 53.
        icmp: Transparent raw socket that sees ICMP; what it sends is marked with `ECHO_MARK`.
        icmp6: The same for ICMPv6.
        call4: Unconnected socket for IPv4 connections to the agent, from any address.
        call6: The same for IPv6.
    """

    tcp4: socket.socket
    tcp6: socket.socket
    udp4: socket.socket
    udp6: socket.socket
    dns4: socket.socket
    dns6: socket.socket
    icmp: socket.socket
    icmp6: socket.socket
    call4: socket.socket
    call6: socket.socket

    def fds(self) -> list[int]:
        """The descriptors, to be sent to another process (SCM_RIGHTS) and read by `from_fds`."""
        return [one.fileno() for one in self]

    @classmethod
    def from_fds(cls, fds: Sequence[int]) -> "GatewaySockets":
        """The sockets behind descriptors received from the namespace where they were opened.

        Args:
            fds: As many as `fds` gives, in its order; owned by the sockets from now on.

        Raises:
            ValueError: There are more or fewer descriptors than sockets.
        """
        if len(fds) != len(cls._fields):
            raise ValueError(f"{len(cls._fields)} gateway sockets expected, got {len(fds)}")
        return cls(*(socket.socket(fileno=fd) for fd in fds))

    def close(self) -> None:
        """Closes all sockets; twice does nothing."""
        for one in self:
            one.close()


def open_sockets() -> GatewaySockets:
    """Opens the gateway's sockets in the network namespace of the caller.

    Raises:
        PermissionError: CAP_NET_ADMIN, CAP_NET_RAW or CAP_NET_BIND_SERVICE is missing there.
        OSError: A port is taken.
    """
    v4, v6 = socket.AF_INET, socket.AF_INET6
    return GatewaySockets(
        tcp4=_listener(v4),
        tcp6=_listener(v6),
        udp4=_datagrams(v4, PORT),
        udp6=_datagrams(v6, PORT),
        dns4=_datagrams(v4, DNS_PORT),
        dns6=_datagrams(v6, DNS_PORT),
        icmp=_echo(v4, socket.IPPROTO_ICMP),
        icmp6=_echo(v6, socket.IPPROTO_ICMPV6),
        call4=_transparent(v4, socket.SOCK_STREAM),
        call6=_transparent(v6, socket.SOCK_STREAM),
    )


def nft_rules(*local: str) -> str:
    """The nftables ruleset that brings everything to the gateway's sockets (for `nft -f -`).

    There is no match on the source, so that a spoofed one changes nothing.

    Args:
        local: Addresses (IPv4 or IPv6) to leave alone beside loopback: the agent's own where it
            shares the namespace, none where it sits at the other end of a veth pair.
    """
    own = "".join(
        f"    {'ip6' if ':' in address else 'ip'} daddr {address} return\n" for address in local
    )
    return (
        "table inet sallyport {\n"
        "  chain inbound {\n"
        "    type filter hook prerouting priority mangle; policy accept;\n"
        "    ip daddr 127.0.0.0/8 return\n"
        "    ip6 daddr ::1 return\n"
        f"{own}"
        f"    meta nfproto ipv4 udp dport {DNS_PORT} tproxy ip to :{DNS_PORT} accept\n"
        f"    meta nfproto ipv6 udp dport {DNS_PORT} tproxy ip6 to :{DNS_PORT} accept\n"
        f"    meta nfproto ipv4 meta l4proto {{ tcp, udp }} tproxy ip to :{PORT} accept\n"
        f"    meta nfproto ipv6 meta l4proto {{ tcp, udp }} tproxy ip6 to :{PORT} accept\n"
        "  }\n"
        # The kernel would answer for any address: whom a ping reaches is for the gateway to say.
        "  chain outbound {\n"
        "    type filter hook output priority filter; policy accept;\n"
        "    ip saddr 127.0.0.0/8 return\n"
        "    ip6 saddr ::1 return\n"
        f"{own.replace('daddr', 'saddr')}"
        f"    meta mark {ECHO_MARK} accept\n"
        "    icmp type echo-reply drop\n"
        "    icmpv6 type echo-reply drop\n"
        "  }\n"
        "}\n"
    )


def shared_links(kind: str) -> str:
    """`ip -batch` lines that make the agent's interface in a namespace without a wire.

    Args:
        kind: Type of the stand-in device: "dummy", or "bridge" where the kernel has no dummy.
    """
    return f"link set lo up\nlink add eth0 type {kind}\n"


def shared_routes() -> str:
    """`ip -batch` lines for a namespace that agent and gateway share (after `shared_links`)."""
    v4, v6 = SHARED_ADDRESSES
    return (
        f"addr add {v4}/24 dev eth0\n"
        f"addr add {v6}/64 dev eth0 nodad\n"
        "link set eth0 up\n"
        # Only for show: the routes below decide.
        f"route add default via {SHARED_RESOLVER} dev eth0\n"
        f"route add local 0.0.0.0/0 dev lo src {v4}\n"
        # The connected network is more specific than 0/0 and would lead into the void.
        f"route add local 10.77.0.0/24 dev lo src {v4}\n"
        f"route add local ::/0 dev lo src {v6}\n"
    )


def veth_gateway_lines(agent_pid: int) -> str:
    """`ip -batch` lines for the gateway's end of a veth pair, run in the gateway's namespace.

    Args:
        agent_pid: A process in the agent's network namespace, where the other end goes.
    """
    v4, v6 = VETH_GATEWAY
    return (
        "link set lo up\n"
        f"link add gw0 type veth peer name eth0 netns {agent_pid}\n"
        f"addr add {v4}/24 dev gw0\n"
        f"addr add {v6}/64 dev gw0 nodad\n"
        "link set gw0 up\n"
        "route add local 0.0.0.0/0 dev lo\n"
        # IPv6 asks the local table before it looks for the longest prefix: there, ::/0 would
        # swallow the replies to the agent as well.
        "route add local ::/0 dev lo table main\n"
    )


def veth_agent_lines() -> str:
    """`ip -batch` lines for the agent's end of a veth pair, run in the agent's namespace."""
    v4, v6 = VETH_AGENT
    return (
        "link set lo up\n"
        f"addr add {v4}/24 dev eth0\n"
        f"addr add {v6}/64 dev eth0 nodad\n"
        "link set eth0 up\n"
        f"route add default via {VETH_GATEWAY[0]}\n"
        f"route add default via {VETH_GATEWAY[1]}\n"
    )


# No socket sets SO_REUSEADDR: in a shared namespace it would let the agent bind the same UDP port
# and take datagrams away from the record.


def _listener(family: socket.AddressFamily) -> socket.socket:
    listener = _transparent(family, socket.SOCK_STREAM)
    listener.bind(("", PORT))
    listener.listen(_BACKLOG)
    return listener


def _datagrams(family: socket.AddressFamily, port: int) -> socket.socket:
    datagrams = _transparent(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        datagrams.setsockopt(socket.IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
    else:
        datagrams.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1)
    _roomy(datagrams)
    datagrams.bind(("", port))
    return datagrams


def _echo(family: socket.AddressFamily, protocol: int) -> socket.socket:
    echo = socket.socket(family, socket.SOCK_RAW, protocol)
    _make_transparent(echo)
    echo.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, ECHO_MARK)
    if family == socket.AF_INET6:
        # IPv4 hands out the header with the packet; IPv6 has to be asked for the destination.
        echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    _roomy(echo)
    return echo


def _transparent(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    one = socket.socket(family, kind)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    _make_transparent(one)
    return one


def _make_transparent(one: socket.socket) -> None:
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)


def _roomy(one: socket.socket) -> None:
    """Asks for a large receive queue and for the number of datagrams lost to it."""
    one.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    try:
        one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:  # in a user namespace of an ordinary user: as much as is allowed
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
