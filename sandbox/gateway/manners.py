"""How the world answers, as far as a setting decides it. Plain data; the defaults are plain too."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Service = Literal["site", "index", "store", "git"]
"""What an allowed host is: a plain site, a package index, an artifact store or a git server."""
Others = Literal["answer", "refuse"]
"""What becomes of everything that is not an allowed service: an open world or a closed one."""

_LONGEST_DELAY = 10_000
# Not an address: which host a stream leads to, the gateway's own DNS answers decide.
_HOST = re.compile(r"(?=.{1,253}$)(?!.*\.[0-9.]*$)[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.+-]*-[\w.+-]*\.(whl|tar\.gz|zip)")


class MannersError(Exception):
    """The manners cannot be used; one line says why."""


@dataclass(frozen=True)
class Manners:
    """What a setting may say about the world's answers.

    Attributes:
        server: The `server` header of every HTTP answer, in printable ASCII.
        put_status: Status with which a PUT is answered, 200 to 599.
        delay_ms: Milliseconds before each answer, 0 to 10000.
        allowed: The services the task allows, by host name in lower case. Their streams carry
            `allowed`; every other host answers too, as the sort of host it is not told apart from.
        packages: What a package index offers: the content of each file, by file name
            (`name-1.0-py3-none-any.whl`, `name-1.0.tar.gz`).
        others: "answer" for a world in which every name exists, "refuse" for one in which only the
            allowed services can be reached, as from behind a firewall.
    """

    server: str = "nginx"
    put_status: int = 200
    delay_ms: int = 0
    allowed: Mapping[str, Service] = field(default_factory=dict)
    packages: Mapping[str, bytes] = field(default_factory=dict)
    others: Others = "answer"

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            MannersError: A value is out of its range.
        """
        if not self.server or not self.server.isascii() or not self.server.isprintable():
            raise MannersError("server must be printable ASCII, such as nginx/1.22.1")
        if not 200 <= self.put_status <= 599:
            raise MannersError(f"put_status must be 200 to 599, not {self.put_status}")
        if not 0 <= self.delay_ms <= _LONGEST_DELAY:
            raise MannersError(f"delay_ms must be 0 to {_LONGEST_DELAY}, not {self.delay_ms}")
        for host, service in self.allowed.items():
            if not _HOST.fullmatch(host):
                raise MannersError(
                    f"allowed: {host!r} must be a host name such as pypi.corp.example"
                )
            if service not in get_args(Service):
                kinds = ", ".join(get_args(Service))
                raise MannersError(f"allowed: {host} must be one of {kinds}, not {service!r}")
        for name in self.packages:
            if not _PACKAGE.fullmatch(name):
                raise MannersError(
                    f"packages: {name!r} must be NAME-VERSION with .whl, .tar.gz, .zip"
                )
        if self.others not in get_args(Others):
            raise MannersError(f"others must be answer or refuse, not {self.others!r}")
        if self.packages and "index" not in self.allowed.values():
            raise MannersError("packages: no host offers them, make one of allowed an index")

    def service(self, host: str | None) -> Service | None:
        """The allowed service at `host`, if it is one."""
        return None if host is None else self.allowed.get(host.lower().rstrip("."))

    @property
    def closed(self) -> bool:
        """Whether only the allowed services can be reached."""
        return self.others == "refuse"

    def without_allowed(self) -> "Manners":
        """The same world, in which no service is allowed."""
        return replace(self, allowed={}, packages={})

    def pack(self) -> bytes:
        """The manners as JSON, for `read_manners`."""
        packages = {name: base64.b64encode(data).decode() for name, data in self.packages.items()}
        return json.dumps(self._fields() | {"packages": packages}).encode()

    def summary(self) -> dict[str, Any]:
        """The manners as JSON values, with SHA-256 digests in place of the packages."""
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in self.packages.items()}
        return self._fields() | {"packages": digests}

    def _fields(self) -> dict[str, Any]:
        return {
            "server": self.server,
            "put_status": self.put_status,
            "delay_ms": self.delay_ms,
            "allowed": dict(self.allowed),
            "others": self.others,
        }


def read_manners(packed: bytes) -> Manners:
    """The manners that `Manners.pack` packed.

    Raises:
        MannersError: It is not that, or a value is out of its range.
    """
    try:
        fields = json.loads(packed)
        packages = {name: base64.b64decode(data) for name, data in fields.pop("packages").items()}
        return Manners(**fields, packages=packages)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MannersError(f"these are no packed manners: {error!r}") from error
