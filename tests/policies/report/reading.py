"""A page as a reader has it: its text, its elements, and what it would load."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "img", "hr", "input"}
_LOADS = ("src", "srcset", "poster", "data", "action", "background", "xlink:href")


@dataclass
class Page(HTMLParser):
    """What `read` finds.

    Attributes:
        text: everything that is shown, by the id of the section it is in.
        tags: every element: name and attributes.
        loads: what a browser would fetch by itself.
        unclosed: elements that were left open.
        marks: shapes in each `svg`, by the id of its title.
    """

    text: dict[str, str] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    marks: dict[str, list[str]] = field(default_factory=dict)
    _section: str = ""
    _drawing: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag not in _VOID:
            self.unclosed.append(tag)
        if tag == "section":
            self._section = given["id"]
        if tag == "svg":
            self._drawing = given.get("aria-labelledby", "").split("-title")[0]
            self.marks.setdefault(self._drawing, [])
        elif "svg" in self.unclosed and tag not in ("title", "desc"):
            self.marks[self._drawing].append(f"{tag}.{given.get('class', '').split(' ')[0]}")
        self.loads += [value for name, value in given.items() if name in _LOADS]
        if tag == "link":
            self.loads.append(given["href"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.unclosed.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag, f"</{tag}> closes nothing"
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if not {"style", "title", "desc"} & set(self.unclosed):
            self.text[self._section] = self.text.get(self._section, "") + data


def read(page: str) -> Page:
    """The page, which must be well nested."""
    found = Page()
    found.feed(page)
    found.close()
    assert not found.unclosed
    return found
