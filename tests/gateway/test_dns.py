"""Every name exists; nothing a client sends can make the resolver stumble."""

import ipaddress

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.gateway.dns import address_of, answer, framed, frames


def ask(name: str, kind: str, names: dict[str, str] | None = None) -> list[str]:
    query = dns.message.make_query(name, kind)
    reply = dns.message.from_wire(answer(query.to_wire(), names).reply or b"")
    assert query.is_response(reply)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.flags & dns.flags.RA
    return [record.to_text() for rrset in reply.answer for record in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("example.com", "A", [address_of("example.com")]),
        ("no-such-name.invalid", "A", [address_of("no-such-name.invalid")]),
        ("example.com", "AAAA", []),
        ("example.com", "SRV", []),
        ("example.com", "HTTPS", []),
        ("example.com", "TXT", ['"v=spf1 -all"']),
        ("example.com", "MX", ["10 example.com."]),
        ("9.7.18.198.in-addr.arpa", "PTR", ["files.example.com."]),
        ("1.0.0.8.in-addr.arpa", "PTR", ["host-8-0-0-1.example.net."]),
        ("example.com", "PTR", ["host.example.net."]),
    ],
)
def test_answers(name: str, kind: str, expected: list[str]) -> None:
    assert ask(name, kind, {"198.18.7.9": "files.example.com"}) == expected


def test_the_question_is_reported() -> None:
    found = answer(dns.message.make_query("Data.Example.com", "A").to_wire())
    assert (found.name, found.type) == ("Data.Example.com", "A")
    assert found.address == address_of("data.example.com")


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60))
def test_an_address_is_stable_and_in_the_benchmark_range(name: str) -> None:
    address = ipaddress.ip_address(address_of(name))
    assert address in ipaddress.ip_network("198.18.0.0/15")
    assert str(address) == address_of(name.upper().lower()) == address_of(name)
    assert int(address) & 0xFF


def test_names_differ_in_address() -> None:
    assert len({address_of(f"host{i}.example") for i in range(200)}) > 195


@given(st.binary(max_size=200))
def test_garbage_gets_an_error_or_silence(query: bytes) -> None:
    found = answer(query)
    if found.reply is not None:
        assert found.reply[:2] == query[:2]
        assert found.reply[2] & 0x80


def test_malformed_gets_formerr_and_foreign_operations_notimp() -> None:
    query = dns.message.make_query("example.com", "A").to_wire()
    malformed = answer(query[:14])
    assert malformed.reply is not None and malformed.reply[3] & 15 == dns.rcode.FORMERR
    assert (malformed.name, malformed.address) == ("", None)
    notify = dns.message.make_query("example.com", "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    foreign = answer(notify.to_wire())
    assert foreign.reply is not None and foreign.reply[3] & 15 == dns.rcode.NOTIMP


def test_replies_and_stubs_get_silence() -> None:
    query = dns.message.make_query("example.com", "A")
    assert answer(dns.message.make_response(query).to_wire()).reply is None
    assert answer(b"short").reply is None


@given(st.lists(st.binary(max_size=300)), st.integers(0, 400))
def test_frames_undo_framing_however_much_has_arrived(messages: list[bytes], cut: int) -> None:
    wire = b"".join(framed(message) for message in messages)
    first, rest = frames(wire[:cut])
    second, rest = frames(rest + wire[cut:])
    assert (first + second, rest) == (messages, b"")
