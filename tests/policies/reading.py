"""A parser of renderings: it recovers what a monitor was shown, or says that it cannot."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Block:
    """One block: its title, its text with hidden characters restored, and how much was cut."""

    title: str
    text: str
    cut: int = 0

    @property
    def value(self) -> Any:
        return json.loads(self.text) if self.title.endswith(" as JSON)") else self.text


def read(text: str, nonce: str) -> list[Block]:
    """Blocks in order.

    Raises:
        AssertionError: the text is not well-formed.
    """
    blocks: list[Block] = []
    title: str | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        begin = re.fullmatch(rf"\[{nonce} begin (.*)\]", line, re.DOTALL)
        if begin:
            assert title is None, f"{line!r} inside {title!r}"
            title, lines = begin[1], []
        elif line == f"[{nonce} end]":
            assert title is not None, "an end without a beginning"
            blocks.append(_block(title, "\n".join(lines), nonce))
            title = None
        elif title is None:
            assert re.fullmatch(rf"\[{nonce} (withheld\].*|omitted messages: \d+ to \d+\])", line)
        else:
            lines.append(line)
    assert title is None, f"{title!r} has no end"
    return blocks


def _block(title: str, text: str, nonce: str) -> Block:
    head, *tail = re.split(rf"\n\[{nonce} cut (\d+) characters\]\n", text)
    shown = _restore(head + "".join(tail[1:]), nonce)
    assert nonce not in shown, "a marker that is none of ours"
    return Block(title, shown, int(tail[0]) if tail else 0)


def _restore(text: str, nonce: str) -> str:
    def characters(match: re.Match[str]) -> str:
        pairs = (name.partition("*") for name in match[1].split())
        return "".join(chr(int(code[2:], 16)) * int(times or 1) for code, _, times in pairs)

    return re.sub(rf"\[{nonce} hidden ([^\]]*)\]", characters, text)
