"""What tests need from the machine: where it is missing they skip, saying why, or fail in CI."""

from __future__ import annotations

import os
import shutil
from functools import cache

import pytest

from sandbox import cell

# In CI a skipped test is a gap that nobody sees: what is named here must be there.
_REQUIRED = frozenset(filter(None, os.environ.get("SALLYPORT_REQUIRE", "").split(",")))


@cache
def _missing(marker: str) -> str | None:
    if marker == "docker":
        return cell.why_no_docker()
    if marker == "namespace":
        return cell.why_no_namespace()
    if marker == "chromium":
        return None if shutil.which("chromium") else "install Debian's chromium"
    return None if os.geteuid() == 0 else "needs root"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in ("docker", "namespace", "root", "chromium"):
        if item.get_closest_marker(marker) is None:
            continue
        reason = _missing(marker)
        if reason is None:
            continue
        if marker in _REQUIRED:
            pytest.fail(f"{marker} is required here but missing: {reason}")
        pytest.skip(f"{marker}: {reason}")
