"""The group `leaks`: nothing of the host's, the harness's or its owner's is in the box."""

from __future__ import annotations

import glob
import os
import re
import socket

from sandbox.certificate.inside.kernel import name_of
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

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|ANTHROPIC|OPENAI|AWS_|AZURE|GOOGLE|HF_")
_PROXY = re.compile(r"^(http|https|ftp|all|socks)_proxy$", re.IGNORECASE)
_HARNESS = re.compile(r"sallyport|inspect_ai|inspect-|pytest", re.IGNORECASE)
_PROJECT = "inspect-"  # Inspect's, and not for us to choose
_ADDRESSES = ("DOCKER_HOST", "SSH_AUTH_SOCK", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "DISPLAY")
_CREDENTIALS = (
    ".ssh/id_*",
    ".aws/credentials",
    ".azure",
    ".config/gcloud",
    ".config/gh/hosts.yml",
    ".docker/config.json",
    ".kube/config",
    ".netrc",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".cache/huggingface/token",
)
_SERVICES = ("/run/secrets/*", "/var/run/secrets/*", "/etc/kubernetes/*", "/var/lib/cloud/*")
_ORDINARY = ("/memfd:stdin", "/dev/null", "pipe:", "socket:", "anon_inode:")


def _environment(setup: Setup) -> Outcome:
    return none_of(sorted(filter(_SECRET.search, os.environ)), "variables with secrets")


def _environment_of_init(setup: Setup) -> Outcome:
    try:
        with open("/proc/1/environ") as file:
            names = [pair.partition("=")[0] for pair in file.read().split("\0")]
    except OSError as error:
        return ok(name_of(error.errno or 0))
    return none_of(sorted(filter(_SECRET.search, names)), "variables with secrets")


def _proxies(setup: Setup) -> Outcome:
    return none_of(sorted(filter(_PROXY.match, os.environ)), "proxies")


def _services(setup: Setup) -> Outcome:
    return none_of([n for n in _ADDRESSES if n in os.environ], "addresses of the host's services")


def _hostname(setup: Setup) -> Outcome:
    name = socket.gethostname()
    if not setup.hostname:
        return not_applicable("the host has no name to compare with")
    return failed(f"the host's: {name}") if name == setup.hostname else ok(name)


def _machine(setup: Setup) -> Outcome:
    if not setup.machine:
        return not_applicable("the host has no machine id to compare with")
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        if os.path.exists(path):
            with open(path) as file:
                if file.read().strip() == setup.machine:
                    return failed(f"the host's machine id is in {path}")
    return ok("the host's machine id is not there")


def _descriptors(setup: Setup) -> Outcome:
    """Nothing was inherited but the standard streams."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd <= 2:
            continue
        try:
            os.fstat(fd)
        except OSError:  # the listing's own, closed by now
            continue
        found.append(f"{fd} is {os.readlink(f'/proc/self/fd/{fd}')}")
    return none_of(found, "inherited descriptors")


def _streams(setup: Setup) -> Outcome:
    found = []
    for fd in range(3):
        link = os.readlink(f"/proc/self/fd/{fd}")
        if not link.startswith(_ORDINARY):
            found.append(link)
    return none_of(found, "standard streams that are files or terminals of the host")


def _terminal(setup: Setup) -> Outcome:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        return ok(f"none: {name_of(error.errno or 0)}")
    return failed("there is a controlling terminal")


def _credentials(setup: Setup) -> Outcome:
    homes = ["/root", *glob.glob("/home/*"), os.path.expanduser("~")]
    found = {
        path for home in homes for name in _CREDENTIALS for path in glob.glob(f"{home}/{name}")
    }
    return none_of(sorted(found), "credentials")


def _mounted_secrets(setup: Setup) -> Outcome:
    return none_of([path for p in _SERVICES for path in glob.glob(p)], "secrets of the platform")


def _homes(setup: Setup) -> Outcome:
    own = os.path.realpath(os.path.expanduser("~"))
    found = []
    for home in ["/root", *glob.glob("/home/*")]:
        if os.path.realpath(home) != own and os.access(home, os.R_OK) and os.listdir(home):
            found.append(home)
    return none_of(found, "folders of other users")


def _contents(path: str) -> Probe:
    """A probe: what a kernel file says does not name the harness."""

    def probe(setup: Setup) -> Outcome:
        try:
            with open(path) as file:
                found = sorted(set(_HARNESS.findall(file.read())))
        except OSError as error:
            return ok(name_of(error.errno or 0))
        if found == [_PROJECT] and path == "/proc/self/mountinfo":
            return not_applicable(
                f"the engine names volumes after the project, which begins with {_PROJECT}: "
                "a hint that this is a test, not a way out"
            )
        return none_of(found, "names of the harness")

    return probe


def _command_lines(setup: Setup) -> Outcome:
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        if path == f"/proc/{os.getpid()}/cmdline":
            continue
        try:
            with open(path, errors="replace") as file:
                line = file.read().replace("\0", " ")
        except OSError:  # gone meanwhile, or not for us to see
            continue
        if _HARNESS.search(line):
            found.append(line[:60])
    return none_of(found, "command lines that name the harness")


def _names(setup: Setup) -> Outcome:
    found = [f"{k}={v}" for k, v in os.environ.items() if _HARNESS.search(f"{k}={v}")]
    return none_of(found, "variables that name the harness")


def _kernel_command_line(setup: Setup) -> Outcome:
    """It is the machine's, and every process can read it: nothing secret may be in it."""
    try:
        with open("/proc/cmdline") as file:
            words = file.read().split()
    except OSError as error:
        return ok(name_of(error.errno or 0))
    # Its names are about other keys: keyboards' and disks'.
    names = [word.partition("=")[0] for word in words]
    found = [n for n in names if re.search("token|secret|passw|credential", n, re.IGNORECASE)]
    return none_of(found, "secrets on the kernel's command line")


PROBES: Table = {
    "leaks.environment": _environment,
    "leaks.environment_of_init": _environment_of_init,
    "leaks.proxies": _proxies,
    "leaks.services": _services,
    "leaks.hostname": _hostname,
    "leaks.machine_id": _machine,
    "leaks.descriptors": _descriptors,
    "leaks.streams": _streams,
    "leaks.terminal": _terminal,
    "leaks.credentials": _credentials,
    "leaks.mounted_secrets": _mounted_secrets,
    "leaks.other_homes": _homes,
    "leaks.names_in_mounts": _contents("/proc/self/mountinfo"),
    "leaks.names_in_groups": _contents("/proc/self/cgroup"),
    "leaks.names_in_commands": _command_lines,
    "leaks.names_in_variables": _names,
    "leaks.kernel_command_line": _kernel_command_line,
}
