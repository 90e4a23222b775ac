"""The two images of the Docker cell: built from this project, recognised when they are stale."""

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from sandbox.gateway.ca import CERTIFICATE, KEY, Authority

AGENT = "sallyport-agent:1"
GATEWAY = "sallyport-gateway:1"
_INPUTS = "ai.sallyport.inputs"
_AUTHORITY = "ai.sallyport.ca"
_TIMEOUT = 10  # seconds for an engine to answer


class ImageError(Exception):
    """An image could not be built; one line says why."""


def engine() -> str | None:
    """Why no Docker engine can be used, in one line; None when one answers."""
    try:
        docker.from_env(timeout=_TIMEOUT).ping()
    except (DockerException, requests.RequestException) as error:
        return f"no Docker engine answers, start one or use another provider ({_line(error)})"
    return None


def runtimes() -> tuple[str, ...]:
    """The names of the runtimes that the engine can start containers with.

    Raises:
        ImageError: No engine answers.
    """
    try:
        return tuple(sorted(docker.from_env(timeout=_TIMEOUT).info()["Runtimes"]))
    except (DockerException, requests.RequestException) as error:
        raise ImageError(f"no Docker engine answers: {_line(error)}") from error


def missing() -> tuple[str, ...]:
    """The image tags to build: not present, made from other sources, or not made together.

    Raises:
        ImageError: No engine answers.
    """
    try:
        client = docker.from_env(timeout=_TIMEOUT)
        labels = {tag: _labels(client, tag) for tag in _SOURCES}
    except (DockerException, requests.RequestException) as error:
        raise ImageError(f"no Docker engine answers: {_line(error)}") from error
    stale = tuple(
        tag for tag, files in _SOURCES.items() if labels[tag].get(_INPUTS) != digest(files())
    )
    # The agent must trust the CA of the very gateway it talks to.
    if not stale and len({labels[tag].get(_AUTHORITY) for tag in _SOURCES}) > 1:
        return tuple(_SOURCES)
    return stale


def build(on_progress: Callable[[str], None]) -> None:
    """Builds both images, with a new CA whose key goes into the gateway image only.

    Args:
        on_progress: Called with each line the build prints, without its newline.

    Raises:
        ImageError: No engine answers, or a build step failed.
    """
    authority = Authority.create()
    public = {CERTIFICATE: authority.certificate_pem}
    secrets = {AGENT: public, GATEWAY: public | {KEY: authority.key_pem}}
    ca = hashlib.sha256(authority.certificate_pem).hexdigest()
    for tag, files in _SOURCES.items():
        on_progress(f"building {tag}")
        inputs = files()
        labels = {_INPUTS: digest(inputs), _AUTHORITY: ca}
        try:
            _build(tag, inputs | secrets[tag], labels, on_progress)
        except (DockerException, requests.RequestException) as error:
            raise ImageError(f"{tag} was not built: {_line(error)}") from error


def docker_folder() -> Path:
    """The folder with `compose.yaml` and the Dockerfiles, in a wheel or in the repository."""
    packaged = Path(__file__).parent / "_docker"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "docker"


def _agent_files() -> dict[str, bytes]:
    return {"Dockerfile": (docker_folder() / "agent" / "Dockerfile").read_bytes()}


def _gateway_files() -> dict[str, bytes]:
    package = Path(__file__).parent
    modules = [package / "__init__.py", *sorted((package / "gateway").glob("*.py"))]
    docker_files = docker_folder() / "gateway"
    return {
        **{path.name: path.read_bytes() for path in sorted(docker_files.iterdir())},
        **{f"sandbox/{path.relative_to(package)}": path.read_bytes() for path in modules},
    }


_SOURCES: dict[str, Callable[[], dict[str, bytes]]] = {
    GATEWAY: _gateway_files,
    AGENT: _agent_files,
}


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) of files, by name and content."""
    found = hashlib.sha256()
    for name, content in sorted(files.items()):
        found.update(f"{name}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def _labels(client: docker.DockerClient, tag: str) -> dict[str, str]:
    try:
        return dict(client.images.get(tag).labels)
    except ImageNotFound:
        return {}


def _build(
    tag: str,
    files: Mapping[str, bytes],
    labels: Mapping[str, str],
    on_progress: Callable[[str], None],
) -> None:
    client = docker.from_env()
    replaced = _id(client, tag)
    steps = client.api.build(
        fileobj=_context(files),
        custom_context=True,
        tag=tag,
        labels=dict(labels),
        rm=True,
        forcerm=True,
        decode=True,
    )
    for step in steps:
        if "error" in step:
            raise ImageError(f"{tag} was not built: {_line(step['error'])}")
        for line in step.get("stream", "").splitlines():
            if line.strip():
                on_progress(line.rstrip())
    if replaced is not None and replaced != _id(client, tag):
        with contextlib.suppress(APIError):  # a running cell still uses it
            client.images.remove(replaced)


def _id(client: docker.DockerClient, tag: str) -> str | None:
    try:
        return str(client.images.get(tag).id)
    except ImageNotFound:
        return None


def _context(files: Mapping[str, bytes]) -> io.BytesIO:
    """An uncompressed tar, the same for the same files so that the layer cache is hit."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600 if name == KEY else 0o644
            tar.addfile(member, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _line(error: object) -> str:
    """The last line of an error: an engine's explanation comes after what was being done."""
    text = error.explanation if isinstance(error, APIError) else error
    return (str(text or error).strip().splitlines() or ["unknown reason"])[-1]
