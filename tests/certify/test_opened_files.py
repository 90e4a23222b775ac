"""Every probe about files, devices and leaks fails in a box where that thing is there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.certificate.inside.setup import Neighbour
from tests.certify import openings

pytestmark = pytest.mark.namespace

_ROOT = "25 1 8:1 / / ro - ext4 /dev/sda rw\n"
_STACK = "00000000-00001000 rw-p 00000000 00:00 0 [stack]\n"
_TOKEN = "planted-in-another-box"


@dataclass(frozen=True)
class Opened:
    """How one probe's box is opened."""

    files: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()
    proc: bool = True
    options: Sequence[str] = ()
    setup: Mapping[str, Any] = field(default_factory=dict)


def there(*paths: str, content: str = "x", **more: Any) -> Opened:
    """A box with files that can be read and written."""
    return Opened({path: content for path in paths}, **more)


def of_the_kernel(path: str, content: str = "x", **more: str) -> Opened:
    """A box in which a file stands in for one of the kernel's."""
    return Opened({path: content} | more, proc=False)


def mounted(line: str, *paths: str) -> Opened:
    """A box that has one more mount, as the kernel would tell."""
    return Opened({"/proc/self/mountinfo": _ROOT + line}, folders=paths, proc=False)


OPENED: dict[str, Opened] = {
    "fs.root_folder": Opened(),
    "fs.etc": Opened(folders=["/etc"]),
    "fs.usr": Opened(options=["--tmpfs", "/usr/local"]),
    "fs.var": Opened(folders=["/var/lib"]),
    "fs.accounts": there("/etc/passwd"),
    "fs.core_pattern": of_the_kernel("/proc/sys/kernel/core_pattern"),
    "fs.modprobe": of_the_kernel("/proc/sys/kernel/modprobe"),
    "fs.binfmt": of_the_kernel("/proc/sys/fs/binfmt_misc/register"),
    "fs.sysrq": of_the_kernel("/proc/sysrq-trigger"),
    "fs.kernel_settings": of_the_kernel("/proc/sys/vm/overcommit_memory"),
    "fs.uevent_helper": there("/sys/kernel/uevent_helper"),
    "fs.release_agent": there("/sys/fs/cgroup/memory/release_agent"),
    "fs.sys": there("/sys/power/state"),
    "fs.cgroups": Opened(folders=["/sys/fs/cgroup"]),
    "fs.disk_mounts": mounted("26 25 8:1 /home /host rw - ext4 /dev/sda rw\n", "/host"),
    "fs.volumes_of_one_owner": mounted(
        "26 25 8:1 /v/one_tmp/_data /tmp rw - ext4 /dev/sda rw\n"
        "27 25 8:1 /v/two_srv/_data /srv rw - ext4 /dev/sda rw\n"
    ),
    "fs.shared_mounts": mounted("26 25 0:40 / /mnt ro - virtiofs share rw\n"),
    "fs.kernel_mounts": mounted("26 25 0:7 / /sys/kernel/debug rw - debugfs debugfs rw\n"),
    "fs.engine_sockets": there("/run/docker.sock"),
    "fs.host_file": there("/tmp/canary", setup={"canary_file": "/tmp/canary"}),
    "fs.gateway_files": Opened(folders=["/capture"]),
    "fs.private_keys": there("/etc/ssl/server.key", content="-----BEGIN PRIVATE KEY-----"),
    "fs.neighbour_files": there(
        f"/tmp/.shared-{_TOKEN}", setup={"neighbour": Neighbour(_TOKEN, 1, ())}
    ),
    "fs.devices": Opened(options=["--dev", "/dev", "--dev-bind", "/dev/null", "/dev/vda"]),
    "fs.disks": there("/dev/vda"),
    "fs.loop_devices": there("/dev/loop0"),
    "fs.memory_devices": there("/dev/mem"),
    "fs.kvm": there("/dev/kvm"),
    "fs.fuse": there("/dev/fuse"),
    "fs.tun": there("/dev/net/tun"),
    "fs.vsock_device": there("/dev/vsock"),
    "fs.kernel_log_device": there("/dev/kmsg"),
    "fs.consoles": there("/dev/tty1"),
    "fs.graphics": there("/dev/dri/card0"),
    "fs.userfault_device": there("/dev/userfaultfd"),
    "fs.kernel_memory": of_the_kernel("/proc/kcore"),
    "fs.kernel_log": of_the_kernel("/proc/kmsg"),
    "fs.kernel_keys": of_the_kernel(
        "/proc/keys", "0a I--Q--- 1 perm 3f010000 1000 1000 user token: 16\n"
    ),
    "fs.kernel_timers": of_the_kernel("/proc/timer_list"),
    "fs.physical_memory_map": of_the_kernel("/proc/vmallocinfo"),
    "fs.firmware": there("/sys/firmware/acpi/tables/DSDT"),
    "fs.kernel_addresses": of_the_kernel("/proc/kallsyms", "ffffffff81000000 T _text\n"),
    "fs.module_addresses": of_the_kernel("/proc/modules", "kvm 1 0 - Live 0xffffffffc0000000\n"),
    "fs.page_frames": Opened(
        {"/proc/self/maps": _STACK, "/proc/self/pagemap": "\1" * 8}, proc=False
    ),
    "net.resolver": there("/etc/resolv.conf", content="nameserver 127.0.0.11\n"),
    "net.listeners": of_the_kernel(
        "/proc/net/tcp",
        "sl local rem st tx tr when uid\n0: 00000000:0050 0:0 0A 0:0 0:0 0 4242 0\n",
    ),
    "resources.disk": Opened(options=["--tmpfs", "/srv"]),
    "resources.shared_memory": Opened(options=["--dev", "/dev"]),
    "resources.endless_mounts": mounted("26 25 0:50 / /tmp rw - ramfs none rw\n"),
    "resources.control_group": there("/sys/fs/cgroup/pids.max"),
    "resources.core_dumps": of_the_kernel("/proc/sys/kernel/core_pattern", "|/usr/bin/handler"),
    "resources.out_of_memory_score": of_the_kernel("/proc/self/oom_score_adj", "500"),
    "leaks.environment": Opened(options=["--setenv", "OPENAI_API_KEY", "x"]),
    "leaks.environment_of_init": of_the_kernel("/proc/1/environ", "AWS_SECRET_ACCESS_KEY=x\0"),
    "leaks.proxies": Opened(options=["--setenv", "https_proxy", "http://10.0.0.1"]),
    "leaks.services": Opened(options=["--setenv", "DOCKER_HOST", "unix:///run/x"]),
    "leaks.names_in_variables": Opened(options=["--setenv", "HARNESS", "sallyport"]),
    "leaks.hostname": Opened(setup={"hostname": socket.gethostname()}),
    "leaks.machine_id": there("/etc/machine-id", content="abc\n", setup={"machine": "abc"}),
    "leaks.credentials": there("/home/agent/.aws/credentials"),
    "leaks.mounted_secrets": there("/run/secrets/token"),
    "leaks.other_homes": there("/home/somebody/notes"),
    "leaks.names_in_mounts": mounted("26 25 8:1 /volumes/sallyport-1_tmp/_data /tmp rw - a b rw\n"),
    "leaks.names_in_groups": of_the_kernel("/proc/self/cgroup", "0::/sallyport/1\n"),
    "leaks.names_in_commands": of_the_kernel("/proc/7/cmdline", "sh\0pytest\0"),
    "leaks.kernel_command_line": of_the_kernel("/proc/cmdline", "quiet db_password=x"),
}


@pytest.mark.parametrize("probe", OPENED)
def test_the_probe_sees_it(probe: str, tmp_path: Path) -> None:
    opened = OPENED[probe]
    prefix = openings.stand_in(
        tmp_path,
        opened.files,
        folders=opened.folders,
        proc=opened.proc,
        options=opened.options,
    )
    found = openings.run(prefix, [probe], openings.told(**opened.setup))[probe]
    assert found.verdict == "failed", found
    assert "broke" not in found.detail, found


def test_a_socket_in_the_file_tree_is_seen(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        prefix = openings.stand_in(tmp_path, {}, options=["--bind", str(tmp_path), "/srv/host"])
        assert openings.run(prefix, ["fs.unix_sockets"])["fs.unix_sockets"].verdict == "failed"


def test_inherited_descriptors_are_seen(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        found = openings.run([], ["fs.outside_the_root", "leaks.descriptors"], fds=[folder])
    finally:
        os.close(folder)
    assert {probe.verdict for probe in found.values()} == {"failed"}, found


def test_a_standard_stream_that_is_a_file_of_the_host_is_seen(tmp_path: Path) -> None:
    found = openings.run([], ["leaks.streams"], stdin_file=tmp_path / "script")
    assert found["leaks.streams"].verdict == "failed"
