"""How a setting's world answers: the key `manners` of `setting.yaml`, and the folder `packages`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel

from sandbox.gateway.manners import Manners, MannersError, Others, Service

PACKAGES = "packages"
"""The folder of a setting whose files its package index offers."""


class MannersSpec(BaseModel, extra="forbid", frozen=True):
    """The keys of `manners`; see `Manners` for what they mean.

    Host names of `allowed` are templates over pools, secrets and names.
    """

    server: str = Manners.server
    put_status: int = Manners.put_status
    delay_ms: int = Manners.delay_ms
    allowed: dict[str, Service] = {}
    others: Others = Manners.others

    def manners(self, packages: Mapping[str, bytes], render: Callable[[str, str], str]) -> Manners:
        """The manners of one variant.

        Args:
            packages: What the package index offers, by file name.
            render: Fills in a template; its second argument says where that stands.

        Raises:
            MannersError: A value is out of its range, or two services have one name.
        """
        allowed: dict[str, Service] = {}
        for template, service in self.allowed.items():
            host = render(template, "manners.allowed")
            if host in allowed:
                raise MannersError(f"allowed: {host} is there twice")
            allowed[host] = service
        return Manners(self.server, self.put_status, self.delay_ms, allowed, packages, self.others)


def read_packages(setting: Path) -> dict[str, bytes]:
    """The content of each file in a setting's folder `packages`, by name; none without a folder.

    Raises:
        OSError: One cannot be read.
    """
    return {path.name: path.read_bytes() for path in sorted((setting / PACKAGES).glob("*"))}
