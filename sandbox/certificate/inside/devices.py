"""The group `fs`, second half: devices, and the kernel's memory and secrets."""

from __future__ import annotations

import glob
import os
import stat
import struct

from sandbox.certificate.inside.files import WRITABLE
from sandbox.certificate.inside.kernel import name_of, open_refused
from sandbox.certificate.inside.setup import (
    Outcome,
    Probe,
    Setup,
    Table,
    failed,
    none_of,
    ok,
)

_PLAIN_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
_PAGE_FRAME = (1 << 55) - 1  # bits of a pagemap entry that hold the frame's number
_KERNEL_SECRETS = 64  # bytes read of each file


def _device(*patterns: str) -> Probe:
    """A probe: no device that matches can be opened for reading or for writing."""

    def probe(setup: Setup) -> Outcome:
        paths = [path for pattern in patterns for path in sorted(glob.glob(pattern))]
        opened = [
            path
            for path in paths
            if open_refused(path) is None or open_refused(path, os.O_WRONLY) is None
        ]
        return none_of(opened, "devices that open") if paths else ok("not there")

    return probe


def _unreadable(*patterns: str) -> Probe:
    """A probe: what matches is not there, cannot be opened, or reads as empty."""

    def probe(setup: Setup) -> Outcome:
        found = []
        for path in (path for pattern in patterns for path in sorted(glob.glob(pattern))):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:  # as it should be
                continue
            try:
                if os.read(fd, _KERNEL_SECRETS):
                    found.append(path)
            except OSError:  # opens, but says nothing
                continue
            finally:
                os.close(fd)
        return none_of(found, "readable kernel files")

    return probe


def _device_list(setup: Setup) -> Outcome:
    found = []
    for root, _, names in os.walk("/dev"):
        if root.startswith("/dev/pts"):
            continue
        for path in (os.path.join(root, name) for name in names):
            mode = os.lstat(path).st_mode
            plain = os.path.basename(path) in _PLAIN_DEVICES
            if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not plain):
                found.append(path)
    return none_of(found, "devices beyond the plain ones")


def _make_block_device(setup: Setup) -> Outcome:
    """The machine's own disks, as the kernel lists them, and the first loop device."""
    with open("/proc/partitions") as file:
        rows = [line.split() for line in file]
    disks = [(int(row[0]), int(row[1])) for row in rows if row and row[0].isdigit()]
    return _made(setup, stat.S_IFBLK, [*disks[:8], (7, 0)])


def _make_memory_device(setup: Setup) -> Outcome:
    return _made(setup, stat.S_IFCHR, [(1, 1)])


def _made(setup: Setup, kind: int, devices: list[tuple[int, int]]) -> Outcome:
    """No device node can be made that opens."""
    refusals = set()
    for folder in filter(os.path.isdir, WRITABLE):
        path = os.path.join(folder, f".{setup.mark}")
        for device in devices:
            try:
                os.mknod(path, kind | 0o600, os.makedev(*device))
            except OSError as error:
                refusals.add(name_of(error.errno or 0))
                continue
            try:
                refusal = open_refused(path)
            finally:
                os.unlink(path)
            if refusal not in ("EACCES", "EPERM"):
                return failed(f"made in {folder}: {refusal or 'and it opens'}")
            refusals.add(f"made, but does not open: {refusal}")
    return ok(", ".join(sorted(refusals)))


def _kernel_addresses(setup: Setup) -> Outcome:
    refusal = open_refused("/proc/kallsyms")
    if refusal:
        return ok(refusal)
    with open("/proc/kallsyms") as file:
        shown = {line.split()[0] for line, _ in zip(file, range(200), strict=False)}
    return none_of(sorted(shown - {"0" * 16}), "kernel addresses")


def _module_addresses(setup: Setup) -> Outcome:
    refusal = open_refused("/proc/modules")
    if refusal:
        return ok(refusal)
    with open("/proc/modules") as file:
        shown = {line.split()[5] for line in file}
    return none_of(sorted(shown - {"0x" + "0" * 16}), "addresses of kernel modules")


def _keys(setup: Setup) -> Outcome:
    """No key of the harness's user; that a session has keyrings tells nobody anything."""
    refusal = open_refused("/proc/keys")
    if refusal:
        return ok(refusal)
    with open("/proc/keys") as file:
        fields = [line.split(None, 8) for line in file]
    return none_of([" ".join(f[7:9]) for f in fields if f[7] != "keyring"], "visible keys")


def _page_frames(setup: Setup) -> Outcome:
    """Where in the machine's memory a page lies is the first half of a memory attack."""
    page = bytearray(1 << 16)
    page[:] = b"x" * len(page)
    with open("/proc/self/maps") as file:
        stack = next((line.split("-")[1].split()[0] for line in file if "[stack]" in line), None)
    if stack is None:
        return failed("cannot find this process's stack")
    try:
        with open("/proc/self/pagemap", "rb") as file:
            file.seek((int(stack, 16) - 4096) // 4096 * 8)
            entry = struct.unpack("<Q", file.read(8))[0]
    except OSError as error:
        return ok(name_of(error.errno or 0))
    frame = entry & _PAGE_FRAME
    return failed(f"page frame {frame:#x} is shown") if frame else ok("frames are hidden")


PROBES: Table = {
    "fs.devices": _device_list,
    "fs.disks": _device("/dev/vd*", "/dev/sd*", "/dev/xvd*", "/dev/nvme*", "/dev/dm-*"),
    "fs.loop_devices": _device("/dev/loop*", "/dev/mapper/*", "/dev/md*", "/dev/zram*"),
    "fs.memory_devices": _device("/dev/mem", "/dev/kmem", "/dev/port", "/dev/hwrng"),
    "fs.kvm": _device("/dev/kvm", "/dev/vfio/*", "/dev/iommu"),
    "fs.fuse": _device("/dev/fuse", "/dev/cuse"),
    "fs.tun": _device("/dev/net/tun", "/dev/ppp"),
    "fs.vsock_device": _device("/dev/vsock", "/dev/vhost-*"),
    "fs.kernel_log_device": _device("/dev/kmsg"),
    "fs.consoles": _device("/dev/tty[0-9]*", "/dev/ttyS*", "/dev/vcs*", "/dev/input/*"),
    "fs.graphics": _device("/dev/dri/*", "/dev/nvidia*", "/dev/fb*"),
    "fs.userfault_device": _device("/dev/userfaultfd"),
    "fs.make_block_device": _make_block_device,
    "fs.make_memory_device": _make_memory_device,
    "fs.kernel_memory": _unreadable("/proc/kcore", "/proc/vmcore"),
    "fs.kernel_log": _unreadable("/proc/kmsg"),
    "fs.kernel_keys": _keys,
    "fs.kernel_timers": _unreadable("/proc/timer_list", "/proc/sched_debug"),
    "fs.physical_memory_map": _unreadable("/proc/vmallocinfo", "/proc/kpage*", "/proc/mtrr"),
    "fs.firmware": _unreadable("/sys/firmware/acpi/tables/*", "/sys/firmware/dmi/tables/*"),
    "fs.kernel_addresses": _kernel_addresses,
    "fs.module_addresses": _module_addresses,
    "fs.page_frames": _page_frames,
}
