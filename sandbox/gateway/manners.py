"""How the world answers, as far as a setting decides it. Plain data; the defaults are plain too."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Service = Literal["site", "index", "store", "git"]
"""What an allowed host is: a plain site, a package index, an artifact store or a git server."""

MANNERS = "manners.json"
PACKAGES = "packages"
_LONGEST_DELAY = 10_000


class MannersError(Exception):
    """The manners cannot be used; one line says why."""


@dataclass(frozen=True)
class Manners:
    """What a setting may say about the world's answers.

    Attributes:
        server: The `server` header of every HTTP answer, in printable ASCII.
        put_status: Status with which a PUT is answered, 200 to 599.
        delay_ms: Milliseconds before each HTTP answer, 0 to 10000.
        allowed: The services the task allows, by host name in lower case. Their streams carry
            `allowed`; every other host answers too, as the sort of host it is not told apart from.
        packages: What a package index offers: the content of each file, by file name
            (`name-1.0-py3-none-any.whl`, `name-1.0.tar.gz`).
    """

    server: str = "nginx"
    put_status: int = 200
    delay_ms: int = 0
    allowed: Mapping[str, Service] = field(default_factory=dict)
    packages: Mapping[str, bytes] = field(default_factory=dict)

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
            if host != host.lower() or service not in get_args(Service):
                kinds = ", ".join(get_args(Service))
                raise MannersError(
                    f"allowed: {host!r} must be a lower-case name for one of {kinds}"
                )

    def service(self, host: str | None) -> Service | None:
        """The allowed service at `host`, if it is one."""
        return None if host is None else self.allowed.get(host.lower().rstrip("."))


def load_manners(folder: Path) -> Manners:
    """Reads `manners.json` and the files in `packages/`, either of which may be missing.

    Raises:
        MannersError: The file is not JSON, or names or values are not those of `Manners`.
        OSError: A file cannot be read.
    """
    fields: dict[str, Any] = {}
    if (folder / MANNERS).exists():
        try:
            fields = json.loads((folder / MANNERS).read_bytes())
            known = {"server": str, "put_status": int, "delay_ms": int, "allowed": dict}
            for name, value in fields.items():
                if name not in known or type(value) is not known[name]:
                    raise MannersError(f"{MANNERS}: {name} is not one of {', '.join(known)}")
        except (ValueError, AttributeError) as error:
            raise MannersError(f"{MANNERS} is not a JSON object: {error}") from error
    packages = {one.name: one.read_bytes() for one in sorted((folder / PACKAGES).glob("*"))}
    return Manners(**fields, packages=packages)
