"""Building the images: what goes where, and when an image counts as stale. No engine is asked."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, DockerException, ImageNotFound

from sandbox import images


class Engine:
    """Stands for a Docker engine: keeps labels and build contexts, fails when told to."""

    def __init__(self) -> None:
        self.labels: dict[str, dict[str, str]] = {}
        self.contexts: dict[str, dict[str, bytes]] = {}
        self.removed: list[str] = []
        self.failure: str | None = None
        self.api = self.images = self

    def get(self, tag: str) -> Any:
        if tag not in self.labels:
            raise ImageNotFound(tag)
        labels = self.labels[tag]
        return type("Image", (), {"labels": labels, "id": f"sha256:{sorted(labels.values())}"})

    def remove(self, image: str) -> None:
        self.removed.append(image)

    def build(
        self, *, tag: str, labels: dict[str, str], fileobj: io.BytesIO, **_: Any
    ) -> Iterator[dict[str, str]]:
        with tarfile.open(fileobj=fileobj) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
            self.contexts[tag] = {name: file.read() for name, file in files.items() if file}
        yield {"stream": "Step 1/1 : FROM debian\n"}
        if self.failure:
            yield {"error": self.failure}
        self.labels[tag] = labels


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    one = Engine()
    monkeypatch.setattr("docker.from_env", lambda **_: one)
    return one


def test_nothing_is_missing_after_a_build(engine: Engine) -> None:
    assert set(images.missing()) == {images.AGENT, images.GATEWAY}
    lines: list[str] = []
    images.build(lines.append)
    assert images.missing() == ()
    assert "Step 1/1 : FROM debian" in lines


def test_the_key_goes_into_the_gateway_image_only(engine: Engine) -> None:
    images.build(lambda _: None)
    agent, gateway = engine.contexts[images.AGENT], engine.contexts[images.GATEWAY]
    assert set(agent) == {"Dockerfile", "ca.pem"}
    assert agent["ca.pem"] == gateway["ca.pem"]
    assert b"PRIVATE KEY" in gateway["ca.key"]
    assert not any(b"PRIVATE KEY-" in content for content in agent.values())
    assert {"tell", "sandbox/__init__.py", "sandbox/gateway/__main__.py"} <= set(gateway)
    assert not [name for name in gateway if "__pycache__" in name]


def test_every_build_has_its_own_authority(engine: Engine) -> None:
    images.build(lambda _: None)
    first = engine.contexts[images.AGENT]["ca.pem"]
    images.build(lambda _: None)
    assert engine.contexts[images.AGENT]["ca.pem"] != first


def test_the_image_that_a_build_replaces_is_removed(engine: Engine) -> None:
    images.build(lambda _: None)
    assert engine.removed == []
    replaced = {engine.get(tag).id for tag in (images.AGENT, images.GATEWAY)}
    images.build(lambda _: None)
    assert set(engine.removed) == replaced


def test_an_image_of_other_sources_is_stale(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images.build(lambda _: None)
    for name in ("agent/Dockerfile", "gateway/Dockerfile", "gateway/tell"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((images.docker_folder() / name).read_bytes())
    (tmp_path / "agent/Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setattr(images, "docker_folder", lambda: tmp_path)
    assert images.missing() == (images.AGENT,)


def test_images_of_two_builds_do_not_belong_together(engine: Engine) -> None:
    images.build(lambda _: None)
    before = engine.labels[images.AGENT]
    images.build(lambda _: None)
    engine.labels[images.AGENT] = before
    assert set(images.missing()) == {images.AGENT, images.GATEWAY}


def test_a_failed_step_is_one_line(engine: Engine) -> None:
    engine.failure = "The command failed\nreturned a non-zero code: 100"
    with pytest.raises(images.ImageError) as failed:
        images.build(lambda _: None)
    assert str(failed.value).endswith("was not built: returned a non-zero code: 100")


@pytest.mark.parametrize("error", [DockerException("no socket"), APIError("refused")])
def test_no_engine_is_one_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr("docker.from_env", fail)
    reason = images.engine()
    assert reason is not None and "\n" not in reason
    with pytest.raises(images.ImageError, match="no Docker engine"):
        images.missing()
    with pytest.raises(images.ImageError, match="was not built"):
        images.build(lambda _: None)


def test_the_docker_folder_has_what_inspect_is_given() -> None:
    assert (images.docker_folder() / "compose.yaml").is_file()
