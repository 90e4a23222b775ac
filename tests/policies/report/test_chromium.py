"""The page in a browser: nothing blank, nothing clipped; on a phone, on a desk, dark, printed."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from policies.report.build import build
from policies.report.page import page
from tests.policies.report.browser import chromium, inked, measured, screenshot
from tests.policies.report.planted import everything

pytestmark = pytest.mark.chromium

PHONE, DESK = 390, 1200
DARK = "--blink-settings=preferredColorScheme=0"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(build(everything(), budget=0.1)), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=[PHONE, DESK], ids=["phone", "desk"])
def layout(request: pytest.FixtureRequest, report: Path, tmp_path_factory: Any) -> dict[str, Any]:
    return measured(tmp_path_factory.mktemp("measured"), report, request.param)


def blank(folder: Path, report: Path, width: int, *flags: str) -> list[str]:
    """The drawings that have next to no ink."""
    found = measured(folder, report, width)
    picture = screenshot(folder, report, width, found["tall"], *flags)
    assert picture.width == width
    return [
        name
        for name, left, top, across, down in found["drawings"]
        if inked(picture, (left, top, across, down)) < 0.005
    ]


@pytest.mark.parametrize(
    ("width", "flags"),
    [(PHONE, ()), (DESK, ()), (DESK, (DARK,))],
    ids=["phone", "desk", "dark"],
)
def test_no_drawing_is_blank(
    tmp_path: Path, report: Path, width: int, flags: tuple[str, ...]
) -> None:
    assert blank(tmp_path, report, width, *flags) == []


def test_a_blank_drawing_would_be_found(tmp_path: Path, report: Path) -> None:
    whole = report.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    empty = re.sub(r'(<desc id="(?:flow|roc-A)-desc">.*?</desc>).*?(</svg>)', r"\1\2", whole)
    broken.write_text(empty, encoding="utf-8")
    assert blank(tmp_path, broken, DESK) == ["roc-A", "flow"]


def test_dark_is_dark_and_light_is_light(tmp_path: Path, report: Path) -> None:
    light, dark = (
        screenshot(tmp_path, report, DESK, 600, *flags).getpixel((5, 5)) for flags in ((), (DARK,))
    )
    assert isinstance(light, tuple) and isinstance(dark, tuple)
    assert min(light) > 230 and max(dark) < 60


def test_the_page_never_scrolls_sideways(layout: dict[str, Any]) -> None:
    assert layout["wide"] <= layout["window"]


def test_letters_in_drawings_can_be_read(layout: dict[str, Any]) -> None:
    assert layout["letters"]
    assert [one for one in layout["letters"] if one[1] < 9.5] == []


def test_no_text_in_a_drawing_is_clipped_or_on_another(layout: dict[str, Any]) -> None:
    for drawing in layout["texts"]:
        left, top, width, height = drawing["box"]
        for text, x, y, across, down in drawing["texts"]:
            assert left - 1 <= x and x + across <= left + width + 1, (drawing["name"], text)
            assert top - 1 <= y and y + down <= top + height + 1, (drawing["name"], text)
        for (one, *a), (other, *b) in combinations(drawing["texts"], 2):
            apart = (
                a[0] + a[2] <= b[0] + 1
                or b[0] + b[2] <= a[0] + 1
                or a[1] + a[3] <= b[1] + 4
                or b[1] + b[3] <= a[1] + 4
            )
            assert apart, (drawing["name"], one, other)


def test_it_prints(tmp_path: Path, report: Path) -> None:
    printed = tmp_path / "report.pdf"
    chromium(tmp_path, report, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
    pages = re.findall(rb"/Type\s*/Page\b", printed.read_bytes())
    assert 2 <= len(pages) <= 15
