"""What a Docker cell's agent has written: its volumes, copied into a volume of their own.

The agent's container has a read-only root, so that its volumes are all that it can change; and
`docker commit` leaves volumes out. A container without a network copies them, because only the
engine can read them.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
from docker.errors import DockerException
from docker.models.containers import Container

from sandbox import images, state
from sandbox.cell import HARNESS_LABEL

# Each folder of /from into the folder of /to with its name, which then holds nothing else.
_COPY = """set -e; for name; do mkdir -p "/to/$name"; find "/to/$name" -mindepth 1 -delete
cp -a "/from/$name/." "/to/$name/"; done"""
# What cp needs to read what its owner cannot, and to keep owners, times and special files.
_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD"]
_SECONDS = 120


class VolumeError(RuntimeError):
    """Volumes could not be copied; one line says why."""


class Copy:
    """A copy of a container's volumes; the engine forgets it when nobody holds it any more."""

    def __init__(self) -> None:
        """Make an empty volume for it.

        Raises:
            VolumeError: The engine cannot.
        """
        self._volume = f"sallyport-snapshot-{secrets.token_hex(8)}"
        with _engine("a volume cannot be made") as client:
            client.volumes.create(self._volume, labels={HARNESS_LABEL: state.harness_id()})
        weakref.finalize(self, _remove, self._volume)

    @classmethod
    def of(cls, container: str) -> Copy:
        """Copy the volumes of a running container, which is paused meanwhile.

        Raises:
            VolumeError: The engine cannot, or the container is gone.
        """
        copy = cls()
        with _engine("the box cannot be copied") as client:
            source = client.containers.get(container)
            volumes = _volumes(source)
            source.pause()
            try:
                at = {volume: f"/from/{name}" for name, volume in volumes.items()}
                _copy(client, list(volumes), at, {copy._volume: "/to"})
            finally:
                source.unpause()
        return copy

    def fill(self, container: str) -> None:
        """Copy into the volumes of a container that was made from the same file.

        Raises:
            VolumeError: The engine cannot, or the container is gone.
        """
        with _engine("the fork cannot be filled") as client:
            volumes = _volumes(client.containers.get(container))
            at = {volume: f"/to/{name}" for name, volume in volumes.items()}
            _copy(client, list(volumes), {self._volume: "/from"}, at)


@contextmanager
def _engine(failed: str) -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env(timeout=_SECONDS)
        try:
            yield client
        finally:
            client.close()
    except (DockerException, requests.RequestException) as error:
        raise VolumeError(f"{failed}: {str(error).strip().splitlines()[-1]}") from error


def _volumes(container: Container) -> dict[str, str]:
    """The volumes of a container by the folder they are at, as one word."""
    mounts = [mount for mount in container.attrs["Mounts"] if mount["Type"] == "volume"]
    return {mount["Destination"].strip("/").replace("/", "."): mount["Name"] for mount in mounts}


def _copy(
    client: docker.DockerClient, names: list[str], read: dict[str, str], write: dict[str, str]
) -> None:
    volumes = {volume: {"bind": path, "mode": "ro"} for volume, path in read.items()}
    volumes |= {volume: {"bind": path, "mode": "rw"} for volume, path in write.items()}
    client.containers.run(
        images.AGENT,
        ["sh", "-c", _COPY, "sh", *names],
        volumes=volumes,
        user="0",
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        cap_add=_CAPABILITIES,
        security_opt=["no-new-privileges:true"],
        labels={HARNESS_LABEL: state.harness_id()},
        remove=True,
    )


def _remove(volume: str) -> None:
    with _engine(f"{volume} is left behind") as client:
        client.volumes.get(volume).remove(force=True)
