"""DNS for a world in which every name exists: pure functions from query to reply."""

import hashlib
import ipaddress
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

_TTL = 60
_HEADER = 12


Known = Callable[[str], bool]
"""Whether a name exists."""


@dataclass(frozen=True)
class Answer:
    """What a DNS message asked and what to reply.

    Attributes:
        reply: The reply's wire form; None when there is nothing to say.
        name: The name asked for, without final dot and in the case it came in; "" if malformed.
        type: The type asked for ("A", "TXT", ...); "" if malformed.
        address: The address given out for `name`, if one was.
        refused: Whether the message went no further than a resolver that knows internal names only,
            and had no answer to it.
    """

    reply: bytes | None
    name: str = ""
    type: str = ""
    address: str | None = None
    refused: bool = False


def address_of(name: str) -> str:
    """The address of `name`: always the same, in 198.18.0.0/15 (reserved for benchmarks)."""
    digest = hashlib.sha256(name.lower().encode()).digest()
    # Not .0: some clients take it for a network.
    return f"198.{18 + (digest[0] & 1)}.{digest[1]}.{digest[2] or 1}"


def answer(
    query: bytes, names: Mapping[str, str] | None = None, known: Known | None = None
) -> Answer:
    """Answers one DNS message.

    Args:
        query: The message's wire form, without the length that TCP puts before it.
        names: Names by address, for reverse look-ups.
        known: Which names exist; if not given, all do.

    Returns:
        NOERROR for any name that exists, else NXDOMAIN. A malformed message gets FORMERR, another
        operation than QUERY NOTIMP, and what is no query at all (too short, or itself a reply) gets
        no reply.
    """
    closed = known is not None
    if len(query) < _HEADER or query[2] & 0x80:
        return Answer(None, refused=closed)
    try:
        message = dns.message.from_wire(query)
        if message.opcode() != dns.opcode.QUERY:
            return Answer(_refusal(query, dns.rcode.NOTIMP), refused=closed)
        question = message.question[0]
        reply = dns.message.make_response(message, recursion_available=True)
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        if known is not None and not _exists(question.name, names or {}, known):
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return Answer(reply.to_wire(), name, kind, refused=True)
        address = None
        for record in _records(question.name, question.rdtype, names or {}):
            reply.answer.append(record)
            if record.rdtype == dns.rdatatype.A:
                address = record[0].to_text()
        return Answer(reply.to_wire(), name, kind, address)
    except (dns.exception.DNSException, IndexError, ValueError, struct.error):
        return Answer(_refusal(query, dns.rcode.FORMERR), refused=closed)


def frames(received: bytes) -> tuple[list[bytes], bytes]:
    """Splits what a TCP connection delivered into whole DNS messages and the rest."""
    messages = []
    at = 0
    while len(received) - at >= 2:
        end = at + 2 + struct.unpack_from("!H", received, at)[0]
        if len(received) < end:
            break
        messages.append(received[at + 2 : end])
        at = end
    return messages, received[at:]


def framed(reply: bytes) -> bytes:
    """A DNS message as it goes over TCP: its length first."""
    return struct.pack("!H", len(reply)) + reply


def _records(
    name: dns.name.Name, kind: dns.rdatatype.RdataType, names: Mapping[str, str]
) -> list[dns.rrset.RRset]:
    text = name.to_text(omit_final_dot=True)
    match dns.rdatatype.to_text(kind):
        case "A" | "ANY":
            return [dns.rrset.from_text(name, _TTL, "IN", "A", address_of(text))]
        case "TXT":
            return [dns.rrset.from_text(name, _TTL, "IN", "TXT", '"v=spf1 -all"')]
        case "MX":
            return [dns.rrset.from_text(name, _TTL, "IN", "MX", f"10 {name.to_text()}")]
        case "NS":
            return [dns.rrset.from_text(name, _TTL, "IN", "NS", "ns1.example.net.")]
        case "PTR":
            return [dns.rrset.from_text(name, _TTL, "IN", "PTR", _host(name, names))]
    return []


def _exists(name: dns.name.Name, names: Mapping[str, str], known: Known) -> bool:
    """Whether a name is known, or is the reverse of a known one's address."""
    return known(name.to_text(omit_final_dot=True)) or known(names.get(_address(name), ""))


def _host(name: dns.name.Name, names: Mapping[str, str]) -> str:
    """The host name behind a reverse look-up."""
    address = _address(name)
    if not address:
        return "host.example.net."
    dashed = address.replace(".", "-").replace(":", "-")
    return names.get(address, f"host-{dashed}.example.net") + "."


def _address(name: dns.name.Name) -> str:
    """The address that a reverse look-up asks about; "" where it is none."""
    try:
        return str(ipaddress.ip_address(dns.reversename.to_address(name)))
    except (dns.exception.DNSException, ValueError):
        return ""


def _refusal(query: bytes, code: int) -> bytes:
    """A bare header with the query's id, operation and recursion wish."""
    flags = 0x8000 | (struct.unpack_from("!H", query, 2)[0] & 0x7900) | code
    return query[:2] + struct.pack("!5H", flags, 0, 0, 0, 0)
