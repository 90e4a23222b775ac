"""What `probe.py` must have seen, and what the gateway must have recorded of it."""

from sandbox.gateway.capture import Capture
from sandbox.gateway.dns import address_of, framed
from tests.gateway import probe


def check_probe(results: dict[str, str], nonce: str) -> None:
    """Every probe was answered, and by the gateway with this nonce."""
    address = address_of(probe.NAME)
    expected = {
        **{f"tcp {one}": "" for one in probe.TCP},
        **{f"udp {one}": "" for one in probe.UDP},
        **{f"dns {one}": address for one in probe.DNS},
        **{f"dns/tcp {one}": address for one in probe.DNS},
        **{f"ping {one}": f"{one} {len(probe.PAYLOAD)}" for one in probe.PING},
    }
    assert {name: results[name] for name in expected} == expected
    asked = [name for name in results if name.startswith("http ")]
    assert asked
    assert {results[name] for name in asked} == {nonce}


def check_capture(capture: Capture) -> None:
    """Every byte of every probe is in the capture, under the destination it was sent to."""
    got = {(s.proto, s.dst): s.out for s in capture.streams if s.layer == "raw"}
    for address in probe.TCP:
        assert got["tcp", address] == probe.PAYLOAD
    for address in probe.UDP:
        assert got["udp", address] == probe.PAYLOAD
    for one in probe.PING:
        assert got["icmp", (one, 0)] == probe.PAYLOAD
    asked = {(s.proto, s.dst, s.out) for s in capture.streams if s.layer == "dns"}
    for one in probe.DNS:
        assert ("udp", (one, 53), probe.query()) in asked
        assert ("tcp", (one, 53), framed(probe.query())) in asked
    posted = [s.out for s in capture.streams if s.layer == "http"]
    assert posted
    assert all(probe.PAYLOAD in out for out in posted)
