"""A fresh cell is closed, and the certificate that says so cannot be changed."""

from __future__ import annotations

import json
from collections import Counter

import anyio
import pytest

from sandbox import cell
from sandbox.cell import Provider
from sandbox.certify import GROUPS, certify_fresh, run_key, verify

PROVIDERS = [
    pytest.param("namespace", marks=pytest.mark.namespace),
    pytest.param("docker", marks=pytest.mark.docker),
]
# Findings of the certificate's own, each waiting for a line in the cell it is about.
KNOWN_OPEN = {
    "namespace": {"resources.shared_memory"},  # /dev and /dev/shm have no size in the box
    "docker": {"ns.own_cgroup"},  # compose.yaml does not say `cgroup: private`
}
# What Docker cannot have closed without another filter, a user mapping or quotas.
DOCKER_EXCEPTIONS = {
    "priv.root_of_the_host",
    "ns.own_user",
    "ns.trace_init",
    "ns.memory_of_init",
    "syscalls.read_init",
    "syscalls.take_descriptors",
    "syscalls.type_ahead",
    "sockets.netlink_audit",
    "sockets.netlink_diagnosis",
    "sockets.netlink_generic",
    "sockets.netlink_netfilter",
    "sockets.netlink_uevent",
    "sockets.netlink_xfrm",
    "net.listeners",
    "net.host6",  # a host without IPv6
    "net.host_datagrams",
    "resources.core_dumps",
    "resources.disk",
    "leaks.names_in_mounts",
    "leaks.machine_id",  # a host without one
}
EXCEPTIONS = {
    "namespace": {"resources.memory_in_all", "net.host6", "net.host_datagrams", "leaks.machine_id"},
    "docker": DOCKER_EXCEPTIONS,
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_fresh_cell_is_closed(provider: Provider) -> None:
    cell.choose(provider)
    certificate = anyio.run(certify_fresh, provider)
    assert certificate.provider == provider
    by_verdict = {
        verdict: {p.name: p.detail for p in certificate.probes if p.verdict == verdict}
        for verdict in ("failed", "not applicable")
    }
    assert by_verdict["failed"].keys() <= KNOWN_OPEN[provider], by_verdict["failed"]
    assert by_verdict["not applicable"].keys() <= EXCEPTIONS[provider]
    assert all(detail for detail in by_verdict["not applicable"].values()), "each with its reason"
    assert len(certificate.probes) >= 90
    assert Counter(p.group for p in certificate.probes).keys() == set(GROUPS)
    assert verify(json.loads(json.dumps(certificate.to_json())), run_key())
