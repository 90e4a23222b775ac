"""A page as headless Chromium draws it: screenshots, prints, and what its elements measure."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from PIL import Image

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    # No network for it, as for a reader on a train.
    "--proxy-server=127.0.0.1:9",
)


def chromium(folder: Path, page: Path, *flags: str) -> str:
    """Open a page; what Chromium prints."""
    command = ["chromium", *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags]
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def screenshot(folder: Path, page: Path, width: int, height: int, *flags: str) -> Image.Image:
    """The page's upper part in a window of this size."""
    picture = folder / "picture.png"
    chromium(folder, page, f"--screenshot={picture}", f"--window-size={width},{height}", *flags)
    with Image.open(picture) as found:
        return found.convert("RGB")


_MEASURE = """
<script>
const box = e => { const r = e.getBoundingClientRect();
  return [r.left, r.top + scrollY, r.width, r.height].map(Math.round) };
const told = e => [e.textContent.slice(0, 40), ...box(e)];
const page = document.documentElement;
const found = {
  wide: page.scrollWidth, window: innerWidth, tall: page.scrollHeight,
  drawings: [...document.querySelectorAll('svg[role=img]')].map(
    e => [e.querySelector('title').id.replace('-title', ''), ...box(e)]),
  letters: [...document.querySelectorAll('figure > svg')].map(e => [
    e.querySelector('title').textContent,
    11 * e.getBoundingClientRect().width / e.viewBox.baseVal.width]),
  texts: [...document.querySelectorAll('figure > svg')].map(e => ({
    name: e.querySelector('title').textContent, box: box(e),
    texts: [...e.querySelectorAll('text:not(.in)')].map(told)})),
};
const result = document.createElement('pre');
result.id = 'measured';
result.textContent = JSON.stringify(found);
document.body.append(result);
</script>
"""


def measured(folder: Path, page: Path, width: int) -> dict[str, Any]:
    """Where the page's drawings lie and how large their texts are, at this width.

    The page is put in a frame of that width: Chromium's own windows are no narrower than 500.
    """
    inner = page.read_text(encoding="utf-8").replace("</body>", f"{_MEASURE}</body>")
    outer = folder / "frame.html"
    outer.write_text(
        f'<iframe id="f" style="border:0;width:{width}px;height:800px" '
        f'srcdoc="{html.escape(inner)}"></iframe>'
        "<script>f.onload = () => document.body.append("
        "f.contentDocument.getElementById('measured'))</script>",
        encoding="utf-8",
    )
    shown = chromium(folder, outer, "--dump-dom", "--virtual-time-budget=5000")
    found = re.search(r'<pre id="measured">(.*?)</pre>', shown, re.DOTALL)
    assert found, "Chromium measured nothing"
    result: dict[str, Any] = json.loads(html.unescape(found[1]))
    return result


def inked(picture: Image.Image, box: tuple[int, int, int, int]) -> float:
    """The share of a part of a picture (left, top, width, height) that is not its main colour."""
    left, top, width, height = box
    part = picture.crop((left, top, left + width, top + height))
    colours = part.getcolors(part.width * part.height)
    assert colours
    return 1.0 - max(count for count, _ in colours) / (part.width * part.height)
