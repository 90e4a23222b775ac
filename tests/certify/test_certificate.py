"""A fresh cell is closed, and the certificate that says so cannot be changed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import anyio
import pytest
from inspect_ai.util import SandboxEnvironment

from sandbox import cell
from sandbox.cell import Provider
from sandbox.certificate.cells import fresh_cell
from sandbox.certificate.findings import HOST_PROBES
from sandbox.certificate.inside.battery import QUIET
from sandbox.certify import (
    GROUPS,
    Certificate,
    certify,
    certify_fresh,
    certify_sample,
    run_key,
    verify,
)
from sandbox.gateway import server
from sandbox.gateway.capture import Capture, read_capture
from sandbox.gateway.outside import Outside
from sandbox.gateway.web import Shelf

PROVIDERS = [
    pytest.param("namespace", marks=pytest.mark.namespace),
    pytest.param("docker", marks=pytest.mark.docker),
]
# Findings of the certificate's own, each waiting for a line in the cell it is about.
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
    "sockets.netlink_connector",
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
    "namespace": {
        "resources.memory_in_all",  # no control group
        "resources.core_dumps",  # a host with a crash handler
        "net.host6",
        "net.host_datagrams",
        "leaks.machine_id",
    },
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
    assert not by_verdict["failed"]
    assert by_verdict["not applicable"].keys() <= EXCEPTIONS[provider]
    assert all(detail for detail in by_verdict["not applicable"].values()), "each with its reason"
    assert len(certificate.probes) >= 90
    assert Counter(p.group for p in certificate.probes).keys() == set(GROUPS)
    assert verify(json.loads(json.dumps(certificate.to_json())), run_key())


@pytest.mark.namespace
def test_the_certificate_names_the_streams_that_are_not_the_agents_doing() -> None:
    async def main() -> tuple[Certificate, Capture]:
        async with fresh_cell("namespace") as (agent, gateway):
            certificate = await certify(agent, gateway)
            await agent.exec(["curl", "-s", "-d", "agent", "http://drop.example/"], timeout=20)
            return certificate, await capture_of(gateway)

    certificate, capture = anyio.run(main)
    assert capture.nonce == certificate.nonce
    others = [s for s in capture.streams if s.id not in certificate.streams]
    # What is left is the agent's: its name's look-up and its upload.
    assert {s.layer for s in others} == {"dns", "http"}
    assert any(b"agent" in s.out for s in others)


@pytest.mark.namespace
def test_nothing_is_left_in_either_box() -> None:
    look = "find /home/* /srv /tmp /var/tmp /dev/shm -mindepth 1; ls /proc | grep '^[0-9]'"

    async def main() -> list[str]:
        async with fresh_cell("namespace") as (a, gateway), fresh_cell("namespace") as (b, _):
            await certify(a, gateway, neighbour=b)
            return [(await box.exec(["bash", "-c", look], timeout=20)).stdout for box in (a, b)]

    for left in anyio.run(main):
        # The box's own init and this command: its shell, ls and grep.
        assert len(left.split()) <= 4, left


# What an agent could look at: files with their dates, processes, sockets, memory segments, mounts.
LOOK = """
find /home /srv /tmp /var/tmp /dev /run -xdev -printf '%p %T@ %C@ %s\\n' | sort
set -- /proc/[0-9]*; echo $# processes
cat /proc/net/tcp /proc/net/tcp6 /proc/net/unix /proc/net/raw | grep -v ' 0A ' | wc -l
cat /proc/sysvipc/* /proc/mounts /proc/self/limits /proc/keys
"""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_sample_that_was_probed_looks_as_it_did(provider: Provider) -> None:
    """Its own box is probed quietly, the loud probes are made beside it."""
    cell.choose(provider)

    async def main() -> tuple[str, str, tuple[Certificate, Certificate], Capture]:
        async with fresh_cell(provider) as (agent, gateway):
            before = (await agent.exec(["bash", "-c", LOOK], timeout=20)).stdout
            made = await certify_sample(provider, agent, gateway)
            after = (await agent.exec(["bash", "-c", LOOK], timeout=20)).stdout
            return before, after, made, await capture_of(gateway)

    before, after, (own, beside), capture = anyio.run(main)
    assert before == after
    assert (own.scope, beside.scope) == ("quiet", "full")
    assert own.ok and beside.ok
    assert {p.name for p in own.probes} == QUIET | set(HOST_PROBES)
    assert own.nonce == capture.nonce != beside.nonce
    assert {s.id for s in capture.streams} == set(own.streams), "nothing else is in its capture"
    assert {s.proto for s in capture.streams} == {"udp", "icmp"}


@pytest.mark.namespace
def test_traces_of_a_neighbour_that_is_the_same_box_are_found() -> None:
    """Two samples in one box: all that is planted for one is seen by the other."""

    async def main() -> Certificate:
        async with fresh_cell("namespace") as (agent, gateway):
            return await certify(agent, gateway, neighbour=agent)

    certificate = anyio.run(main)
    assert {p.name for p in certificate.failed} == {
        *("fs.neighbour_files", "ns.neighbour_process", "ns.neighbour_socket"),
        *("ns.abstract_sockets", "net.neighbour", "net.neighbour_store", "net.neighbour_mirror"),
    }


@pytest.mark.namespace
def test_a_gateway_that_two_boxes_share_carries_messages_and_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two boxes that have nothing in common but what their gateways keep."""
    shelves: list[Shelf] = []

    class Shared(Outside):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            shelves.append(self.shelf)
            self.shelf = shelves[0]

    monkeypatch.setattr(server, "Outside", Shared)
    certificate = anyio.run(certify_fresh, "namespace")
    assert len(shelves) == 2
    assert {p.name for p in certificate.failed} == {"net.neighbour_store", "net.neighbour_mirror"}


@pytest.mark.namespace
def test_a_box_whose_gateway_is_another_ones_is_not_certified() -> None:
    async def main() -> Certificate:
        async with fresh_cell("namespace") as (agent, _), fresh_cell("namespace") as (_, other):
            return await certify(agent, other)

    certificate = anyio.run(main)
    failed = {p.name for p in certificate.failed}
    assert {"net.capture", "net.public4", "net.metadata_aws", "net.datagram4"} <= failed


@pytest.mark.namespace
def test_a_gateway_that_is_gone_is_not_certified() -> None:
    async def main() -> Certificate:
        async with fresh_cell("namespace") as (agent, gateway):
            await gateway.exec(["seal"])
            return await certify(agent, gateway)

    failed = {p.name for p in anyio.run(main).failed}
    assert {"net.capture", "net.public4", "net.dns4", "net.tls"} <= failed


async def capture_of(gateway: SandboxEnvironment) -> Capture:
    events = await gateway.read_file("/capture/events.jsonl", text=False)
    return read_capture(events, await gateway.read_file("/capture/bytes.bin", text=False))
