"""No probe is in the certificate that was never seen to fail."""

from __future__ import annotations

from sandbox.certificate.findings import GROUPS, HOST_PROBES
from sandbox.certificate.inside.battery import PROBES
from tests.certify import test_open_network, test_opened_box, test_opened_files

# Opened in tests of their own, in the modules above.
SINGLY = {
    *("fs.unix_sockets", "fs.outside_the_root", "leaks.descriptors", "leaks.streams"),
    *("priv.capability_files", "priv.sudo", "ns.abstract_sockets", "ns.host_abstract_socket"),
    *("ns.neighbour_socket", "ns.host_process", "ns.neighbour_process", "ns.host_shared_memory"),
}


def test_every_probe_has_an_opened_box() -> None:
    box = test_opened_box
    opened = {name for *_, names in box.OPENED + box.OPENED_AS_ROOT for name in names}
    opened |= {*box.PLAYED_CALLS, *box.LIMITS, *box.SOCKETS, *box.OWN_NAMESPACES}
    opened |= test_opened_files.OPENED.keys() | set(test_open_network.ON_THE_WIRE) | SINGLY
    assert opened == PROBES.keys()


def test_there_are_many_and_each_is_in_a_group() -> None:
    assert len(PROBES) + len(HOST_PROBES) >= 90
    assert {name.partition(".")[0] for name in PROBES} == set(GROUPS)
