"""The group `ns`: the box's namespaces are its own, closed, and hold nothing of anybody else's."""

from __future__ import annotations

import ctypes
import os
import socket

from sandbox.certificate.inside import kernel
from sandbox.certificate.inside.kernel import attempt, in_child, name_of, number, refused, syscall
from sandbox.certificate.inside.setup import (
    Outcome,
    Probe,
    Setup,
    Table,
    failed,
    none_of,
    not_applicable,
    ok,
)

_PTRACE_SEIZE = 0x4206  # attaches without stopping
_MS_BIND, _MS_REMOUNT = 4096, 32
_OPEN_TREE_CLONE = 1
# Chosen so that nothing is mounted even where it is allowed: no such kind of file system, and a
# folder that is no mount. The kernel looks at who asks before it looks at these.
_MOUNT = (b"none", b"/tmp", b"no-such-kind", 0, None)
_NO_MOUNT = b"/usr/bin"
_SIGCHLD = 17


def _unshare(flag: int) -> Probe:
    return refused("unshare", flag)


def _own(kind: str) -> Probe:
    """A probe: the box is not in the harness's namespace of this kind."""

    def probe(setup: Setup) -> Outcome:
        theirs = setup.namespaces.get(kind)
        if theirs is None:
            return not_applicable("the harness has no such namespace to compare with")
        ours = os.readlink(f"/proc/self/ns/{kind}")
        return failed(f"the harness's own: {ours}") if ours == theirs else ok(ours)

    return probe


def _own_user(setup: Setup) -> Outcome:
    verdict, detail = _own("user")(setup)
    status = kernel.status()
    harmless = os.getuid() != 0 and int(status["CapBnd"], 16) == 0
    if verdict == failed("")[0] and harmless and status.get("NoNewPrivs") == "1":
        return not_applicable(
            "the engine maps no users (userns-remap): the user namespace is the host's, "
            "but nothing here has or can get a capability in it"
        )
    return verdict, detail


def _clone_user(setup: Setup) -> Outcome:
    call = number("clone")
    if call is None:
        return not_applicable("no number for clone on this machine")

    def work() -> Outcome:
        pid, code = syscall(call, kernel.CLONE_NEWUSER | _SIGCHLD, 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        if pid < 0:
            return ok(name_of(code)) if name_of(code) == "EPERM" else failed(name_of(code))
        os.waitpid(pid, 0)
        return failed("a child in a new user namespace")

    return in_child(work)


def _clone3_user(setup: Setup) -> Outcome:
    arguments = ctypes.create_string_buffer(88)
    ctypes.c_uint64.from_buffer(arguments, 0).value = kernel.CLONE_NEWUSER
    ctypes.c_uint64.from_buffer(arguments, 32).value = _SIGCHLD

    def work() -> Outcome:
        pid, code = syscall(435, ctypes.addressof(arguments), 88)
        if pid == 0:
            os._exit(0)
        if pid > 0:
            os.waitpid(pid, 0)
            return failed("a child in a new user namespace")
        return ok(name_of(code)) if name_of(code) in ("EPERM", "ENOSYS") else failed(name_of(code))

    return in_child(work)


def _mount_as_new_root(setup: Setup) -> Outcome:
    unshare, mount = number("unshare"), number("mount")
    if unshare is None or mount is None:
        return not_applicable("no numbers for these calls on this machine")

    def work() -> Outcome:
        result, code = syscall(unshare, kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        if result < 0:
            return ok(name_of(code))
        return attempt(mount, *_MOUNT)

    return in_child(work)


def _enter_namespaces(setup: Setup) -> Outcome:
    call = number("setns")
    if call is None:
        return not_applicable("no number for setns on this machine")

    def work() -> Outcome:
        entered = []
        for pid in ("1", str(os.getppid())):
            for kind in sorted(os.listdir("/proc/self/ns")):
                try:
                    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
                except OSError:  # as it should be
                    continue
                result, code = syscall(call, fd, 0)
                # EINVAL: one's own user namespace, which nobody may enter again.
                if result == 0 or name_of(code) not in ("EPERM", "EACCES", "EINVAL"):
                    entered.append(f"{kind} of process {pid}")
        return none_of(entered, "namespaces that can be entered")

    return in_child(work)


def more_privileged(pid: int) -> str | None:
    """What process `pid` has that this one has not; None when they are equals."""
    try:
        with open(f"/proc/{pid}/status") as file:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        here = kernel.status()
        for kind in os.listdir("/proc/self/ns"):
            if os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"):
                return f"another {kind} namespace"
    except OSError as error:
        return f"what cannot be seen ({name_of(error.errno or 0)})"
    if fields["Uid"].split() != here["Uid"].split():
        return "another user"
    for name in ("CapEff", "CapPrm"):
        if int(fields[name], 16) & ~int(here[name], 16):
            return "more capabilities"
    if fields.get("Seccomp") != here.get("Seccomp"):
        return "another system-call filter"
    if int(here["CapEff"], 16):
        return "capabilities"
    return None


def among_equals(outcome: Outcome, what: str) -> Outcome:
    """A way into process 1 is harmless where that is the agent's own and no more than it."""
    if outcome[0] != failed("")[0]:
        return outcome
    more = more_privileged(1)
    if more is not None:
        return failed(f"{what}: it has {more}")
    return not_applicable(
        f"{what} is possible, but that is the agent's own process: same user, namespaces and "
        "filter, no capability"
    )


def _trace_init(setup: Setup) -> Outcome:
    outcome = refused("ptrace", _PTRACE_SEIZE, 1, 0, 0)(setup)
    return among_equals(outcome, "tracing process 1")


def _root_of_init(setup: Setup) -> Outcome:
    try:
        theirs, ours = os.stat("/proc/1/root/"), os.stat("/")
    except OSError as error:
        return ok(name_of(error.errno or 0))
    same = (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
    return ok("the box's own root") if same else failed("process 1 has another root")


def _memory_of_init(setup: Setup) -> Outcome:
    refusal = kernel.open_refused("/proc/1/mem", os.O_RDWR)
    outcome = ok(refusal) if refusal else failed("/proc/1/mem opens")
    return among_equals(outcome, "writing process 1's memory")


def _processes(setup: Setup) -> Outcome:
    """Nobody else's, process 1 excepted: that may have shut itself against the agent."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as file:
                name = file.read().strip()
            owner = os.stat(f"/proc/{pid}").st_uid
        except OSError:  # gone meanwhile
            continue
        if name == "kthreadd" or (pid != "1" and owner != os.getuid()):
            found.append(f"{name} ({pid}) of user {owner}")
    return none_of(found, "processes of others")


def _command_lines(token: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if token.encode() in file.read():
                    found.append(f"process {pid}")
        except OSError:  # gone meanwhile, or not for us to see
            continue
    return found


def _host_process(setup: Setup) -> Outcome:
    if not setup.canary_process:
        return not_applicable("no canary on the host")
    return none_of(_command_lines(setup.canary_process), "processes of the host")


def _abstract_sockets(setup: Setup) -> Outcome:
    with open("/proc/net/unix") as file:
        names = [line.split()[-1] for line in file if " @" in line]
    return none_of(names, "abstract sockets")


def abstract_socket_answers(name: str) -> bool:
    """Whether somebody listens on the abstract socket `name`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(2)
        try:
            one.connect("\0" + name)
        except OSError:  # nobody, as it should be
            return False
    return True


def _host_abstract_socket(setup: Setup) -> Outcome:
    if not setup.canary_token or not setup.namespaces:
        return not_applicable("no canary on the host")
    if abstract_socket_answers(setup.canary_token):
        return failed("the host's abstract socket answers")
    return ok("the host's abstract socket is not there")


def _shared_memory(setup: Setup) -> Outcome:
    if not setup.canary_key:
        return not_applicable("no canary on the host")
    found = ctypes.CDLL(None, use_errno=True).shmget(setup.canary_key, 0, 0)
    return failed("the host's segment is there") if found >= 0 else ok("the host's is not there")


def _signal_others(setup: Setup) -> Outcome:
    """No process of another user takes a signal (0 tests, and sends nothing)."""
    reached = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                continue
            os.kill(int(pid), 0)
        except OSError:  # gone, or refused
            continue
        reached.append(f"process {pid}")
    return none_of(reached, "processes of others that take signals")


def _neighbour_process(setup: Setup) -> Outcome:
    if setup.neighbour is None:
        return not_applicable("no other sample's box to look for")
    return none_of(_command_lines(setup.neighbour.token), "processes of another sample's box")


def _neighbour_socket(setup: Setup) -> Outcome:
    if setup.neighbour is None:
        return not_applicable("no other sample's box to look for")
    if abstract_socket_answers(setup.neighbour.token):
        return failed("an abstract socket of another sample's box answers")
    return ok("not there")


PROBES: Table = {
    **{f"ns.own_{kind}": _own(kind) for kind in ("net", "mnt", "pid", "ipc", "uts", "cgroup")},
    "ns.own_user": _own_user,
    "ns.new_user": _unshare(kernel.CLONE_NEWUSER),
    "ns.new_net": _unshare(kernel.CLONE_NEWNET),
    "ns.new_mnt": _unshare(kernel.CLONE_NEWNS),
    "ns.new_pid": _unshare(kernel.CLONE_NEWPID),
    "ns.new_ipc": _unshare(kernel.CLONE_NEWIPC),
    "ns.new_uts": _unshare(kernel.CLONE_NEWUTS),
    "ns.new_cgroup": _unshare(kernel.CLONE_NEWCGROUP),
    "ns.new_time": _unshare(kernel.CLONE_NEWTIME),
    "ns.clone_user": _clone_user,
    "ns.clone3_user": _clone3_user,
    "ns.mount_as_new_root": _mount_as_new_root,
    "ns.mount": refused("mount", *_MOUNT),
    "ns.remount": refused("mount", None, _NO_MOUNT, None, _MS_REMOUNT | _MS_BIND, None),
    "ns.unmount": refused("umount2", _NO_MOUNT, 0),
    "ns.new_mount": refused("fsopen", b"tmpfs", 0),
    "ns.copy_mount": refused("open_tree", -100, b"/", _OPEN_TREE_CLONE),
    "ns.pivot_root": refused("pivot_root", b"/nowhere", b"/nowhere"),
    "ns.chroot": refused("chroot", b"/"),
    "ns.hostname": refused("sethostname", b"x", -1),
    "ns.domain": refused("setdomainname", b"x", -1),
    "ns.enter": _enter_namespaces,
    "ns.trace_init": _trace_init,
    "ns.root_of_init": _root_of_init,
    "ns.memory_of_init": _memory_of_init,
    "ns.processes": _processes,
    "ns.signals": _signal_others,
    "ns.host_process": _host_process,
    "ns.abstract_sockets": _abstract_sockets,
    "ns.host_abstract_socket": _host_abstract_socket,
    "ns.host_shared_memory": _shared_memory,
    "ns.neighbour_process": _neighbour_process,
    "ns.neighbour_socket": _neighbour_socket,
}
