"""Digests of what a result rests on: another file, another name or another place is another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.digests import of_cell, of_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("1")
    (tmp_path / "two.txt").write_text("2")
    return tmp_path


def test_a_digest_changes_with_every_file(folder: Path) -> None:
    seen = {of_folder(folder)}
    (folder / "two.txt").write_text("3")
    seen.add(of_folder(folder))
    (folder / "two.txt").rename(folder / "three.txt")
    seen.add(of_folder(folder))
    (folder / "a" / "one.txt").rename(folder / "one.txt")
    seen.add(of_folder(folder))
    (folder / "empty.txt").touch()
    seen.add(of_folder(folder))
    assert len(seen) == 5


def test_but_not_with_bytecode(folder: Path) -> None:
    before = of_folder(folder)
    (folder / "a" / "__pycache__").mkdir()
    (folder / "a" / "__pycache__" / "one.pyc").write_bytes(b"x")
    assert of_folder(folder) == before


def test_kinds_of_cell_differ_in_the_box_and_not_in_the_gateway() -> None:
    namespace, docker = of_cell("namespace"), of_cell("docker")
    assert set(namespace) == {"gateway", "evidence", "box", "system"}
    assert set(docker) == {"gateway", "evidence", "docker"}
    assert namespace["gateway"] == docker["gateway"]
