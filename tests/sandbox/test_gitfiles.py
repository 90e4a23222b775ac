"""A checkout that was made without git is one to git."""

import subprocess
from pathlib import Path

from sandbox.files import WorldFile
from sandbox.gitfiles import blob_id, checkout

FILES = {
    "README.md": WorldFile("", b"hello\n", 0o644, 1_770_000_000),
    "lib/a.py": WorldFile("", b"a = 1\n", 0o644, 1_770_000_100),
    "lib/deep/b.py": WorldFile("", b"", 0o644, 1_770_000_000),
    "lib.sh": WorldFile("", b"#!/bin/sh\n", 0o755, 1_770_000_000),
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", folder, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_git_finds_a_clean_checkout(tmp_path: Path) -> None:
    author = ("Ann Example", "ann@corp.example")
    commit, made = checkout(str(tmp_path), FILES, "https://git.corp.example/x.git", author, "Begin")
    for file in made:
        Path(file.path).parent.mkdir(parents=True, exist_ok=True)
        Path(file.path).write_bytes(file.data)
    for path, file in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(file.data)
        (tmp_path / path).chmod(file.mode)
    git(tmp_path, "fsck", "--strict")
    assert git(tmp_path, "status", "--porcelain") == ""
    assert git(tmp_path, "log", "--format=%H %an %s") == f"{commit} Ann Example Begin\n"
    assert git(tmp_path, "rev-parse", "origin/main").strip() == commit
    assert git(tmp_path, "hash-object", "README.md").strip() == blob_id(b"hello\n")
    (tmp_path / "README.md").write_bytes(b"bye\n")
    assert git(tmp_path, "status", "--porcelain") == " M README.md\n"
