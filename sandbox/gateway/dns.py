"""DNS for a world in which every name exists: pure functions from query to reply."""

import hashlib
import ipaddress
import struct
from collections.abc import Mapping
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


@dataclass(frozen=True)
class Answer:
    """What a DNS message asked and what to reply.

    Attributes:
        reply: The reply's wire form; None when there is nothing to say.
        name: The name asked for, without final dot and in the case it came in; "" if malformed.
        type: The type asked for ("A", "TXT", ...); "" if malformed.
        address: The address given out for `name`, if one was.
    """

    reply: bytes | None
    name: str = ""
    type: str = ""
    address: str | None = None


def address_of(name: str) -> str:
    """The address of `name`: always the same, in 198.18.0.0/15 (reserved for benchmarks)."""
    digest = hashlib.sha256(name.lower().encode()).digest()
    # Not .0: some clients take it for a network.
    return f"198.{18 + (digest[0] & 1)}.{digest[1]}.{digest[2] or 1}"


def answer(query: bytes, names: Mapping[str, str] | None = None) -> Answer:
    """Answers one DNS message.

    Args:
        query: The message's wire form, without the length that TCP puts before it.
        names: Names by address, for reverse look-ups.

    Returns:
        NOERROR for any name. A malformed message gets FORMERR, another operation than QUERY
        NOTIMP, and what is no query at all (too short, or itself a reply) gets no reply.
    """
    if len(query) < _HEADER or query[2] & 0x80:
        return Answer(None)
    try:
        message = dns.message.from_wire(query)
        if message.opcode() != dns.opcode.QUERY:
            return Answer(_refusal(query, dns.rcode.NOTIMP))
        question = message.question[0]
        reply = dns.message.make_response(message, recursion_available=True)
        address = None
        for record in _records(question.name, question.rdtype, names or {}):
            reply.answer.append(record)
            if record.rdtype == dns.rdatatype.A:
                address = record[0].to_text()
        name = question.name.to_text(omit_final_dot=True)
        return Answer(reply.to_wire(), name, dns.rdatatype.to_text(question.rdtype), address)
    except (dns.exception.DNSException, IndexError, ValueError, struct.error):
        return Answer(_refusal(query, dns.rcode.FORMERR))


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


def _host(name: dns.name.Name, names: Mapping[str, str]) -> str:
    """The host name behind a reverse look-up."""
    try:
        address = str(ipaddress.ip_address(dns.reversename.to_address(name)))
    except (dns.exception.DNSException, ValueError):
        return "host.example.net."
    dashed = address.replace(".", "-").replace(":", "-")
    return names.get(address, f"host-{dashed}.example.net") + "."


def _refusal(query: bytes, code: int) -> bytes:
    """A bare header with the query's id, operation and recursion wish."""
    flags = 0x8000 | (struct.unpack_from("!H", query, 2)[0] & 0x7900) | code
    return query[:2] + struct.pack("!5H", flags, 0, 0, 0, 0)
