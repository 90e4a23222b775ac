"""Inline SVG from plain numbers: axes, lines, steps, bars, dots, error bars and strips. Pure.

Drawings carry classes, not colours: the page's style sheet gives them theirs, for light, dark and
print alike. Every text and attribute is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Point = tuple[float, float]

_LETTER = 6.2  # the mean width of a letter at the style sheet's 11 units, to place texts by


def element(tag: str, content: str | Markup = "", **attributes: object) -> Markup:
    """An SVG element; `class_` stands for `class`, and `_` for `-` in other names.

    Args:
        tag: the element's name, a word of our own.
        content: escaped unless it is markup already.
        attributes: numbers are rounded to a tenth of a unit; None is left out.
    """
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is None:
            continue
        if isinstance(value, float):
            value = f"{value:.1f}".removesuffix(".0")
        parts.append(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"')
    parts.append(f">{escape(content)}</{tag}>" if content else "/>")
    return Markup("".join(parts))


@dataclass(frozen=True)
class Axis:
    """One axis: the values it spans and what is written along it.

    Attributes:
        low: the value at its start.
        high: the value at its end; greater than `low`.
        ticks: values and what is written there.
        label: what it shows, with the unit.
        log: whether equal distances are equal factors; then `low` is above 0, and what is below
            `low` is drawn at `low`.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    label: str
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between start (0) and end (1); what is outside lies at that end."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        return min(1.0, max(0.0, (value - low) / (high - low)))


def shares(label: str, low: float = 0.0, high: float = 1.0, step: float = 0.25) -> Axis:
    """An axis of shares, written in percent."""
    count = round((high - low) / step)
    ticks = [low + i * step for i in range(count + 1)]
    return Axis(low, high, [(t, f"{100 * t:.4g} %") for t in ticks], label)


def counts(label: str, high: int) -> Axis:
    """An axis of whole numbers from 0, with at most six ticks."""
    step = next(s * 10**e for e in range(12) for s in (1, 2, 5) if s * 10**e * 5 >= high)
    ticks = [(float(t), f"{t:,}") for t in range(0, high + 1, step)]
    return Axis(0, max(high, 1), ticks, label)


class Plot:
    """A drawing with two axes. What is drawn later lies above what is drawn earlier.

    Args:
        name: unique on the page.
        title: what it shows, for those who cannot see it and as a tooltip.
        description: what there is to see, in a sentence.
        x: the horizontal axis.
        y: the vertical axis.
        width: in units of the view box; a phone shows about one unit per pixel.
        height: likewise.
    """

    def __init__(
        self,
        name: str,
        title: str,
        description: str,
        x: Axis,
        y: Axis,
        width: float = 360,
        height: float = 260,
    ):
        self._name, self._title, self._description = name, title, description
        self._x, self._y = x, y
        self._width, self._height = width, height
        written = max((len(text) for _, text in y.ticks), default=0)
        self._left, self._right = 22 + written * _LETTER, width - 18
        self._top, self._bottom = 10.0, height - 38
        self._drawn: list[Markup] = []
        self._axes()

    def at(self, x: float, y: float) -> Point:
        """Where a pair of values is drawn."""
        across = self._left + self._x.share(x) * (self._right - self._left)
        return across, self._bottom - self._y.share(y) * (self._bottom - self._top)

    def _add(self, tag: str, content: str = "", **attributes: object) -> None:
        self._drawn.append(element(tag, content, **attributes))

    def _axes(self) -> None:
        middle = (self._top + self._bottom) / 2
        for value, text in self._y.ticks:
            _, y = self.at(self._x.low, value)
            self._add("line", class_="grid", x1=self._left, x2=self._right, y1=y, y2=y)
            self._add("text", text, x=self._left - 5, y=y + 3.5, text_anchor="end")
        for value, text in self._x.ticks:
            x, _ = self.at(value, self._y.low)
            self._add("line", class_="tick", x1=x, x2=x, y1=self._bottom, y2=self._bottom + 4)
            self._add("text", text, x=x, y=self._bottom + 15, text_anchor="middle")
        self._add(
            "line", class_="axis", x1=self._left, x2=self._right, y1=self._bottom, y2=self._bottom
        )
        self._add(
            "text",
            self._x.label,
            class_="label",
            x=(self._left + self._right) / 2,
            y=self._height - 5,
            text_anchor="middle",
        )
        self._add(
            "text",
            self._y.label,
            class_="label",
            transform=f"translate(10 {middle:.1f}) rotate(-90)",
            text_anchor="middle",
        )

    def line(self, points: Iterable[Point], kind: str) -> None:
        """Join points by straight lines, in their order."""
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*p) for p in points))
        self._add("polyline", class_=f"line {kind}", points=drawn)

    def step(self, points: Sequence[Point], kind: str) -> None:
        """Join points by level lines, each holding its value until the next point's place."""
        stairs = list(points[:1])
        for (_, before), (x, y) in zip(points, points[1:], strict=False):
            stairs += [(x, before), (x, y)]
        self.line(stairs, kind)

    def band(self, lower: Sequence[Point], upper: Sequence[Point], kind: str) -> None:
        """Fill what lies between two lines."""
        edge = [self.at(*p) for p in [*lower, *reversed(upper)]]
        self._add(
            "polygon", class_=f"band {kind}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
        )

    def bars(self, tops: Sequence[float], kind: str, lows: Sequence[float] | None = None) -> None:
        """One bar for each of equally wide parts of the horizontal axis, from `lows`, or from 0."""
        width = (self._x.high - self._x.low) / max(1, len(tops))
        for index, top in enumerate(tops):
            base = 0.0 if lows is None else lows[index]
            if top == base:
                continue
            left, y1 = self.at(self._x.low + index * width, max(top, base))
            right, y2 = self.at(self._x.low + (index + 1) * width, min(top, base))
            self._add(
                "rect",
                class_=f"bar {kind}",
                x=left + 0.5,
                y=y1,
                width=right - left - 1,
                height=max(1.0, y2 - y1),
            )

    def rule(self, x: float, text: str, kind: str = "mark") -> None:
        """A dashed upright line with a text beside it at the top."""
        across, _ = self.at(x, self._y.low)
        self._add(
            "line", class_=f"rule {kind}", x1=across, x2=across, y1=self._top, y2=self._bottom
        )
        fits = across + 5 + len(text) * _LETTER < self._right
        self._add(
            "text",
            text,
            class_=f"on {kind}",
            x=across + (5 if fits else -5),
            y=self._top + 9,
            text_anchor="start" if fits else "end",
        )

    def error_bars(self, x: float, y: float, low: Point, high: Point, kind: str) -> None:
        """The intervals of a point: `low` and `high` hold the ends across and upright."""
        (x1, middle), (x2, _) = self.at(low[0], y), self.at(high[0], y)
        (across, y1), (_, y2) = self.at(x, low[1]), self.at(x, high[1])
        self._add("line", class_=f"error {kind}", x1=x1, x2=x2, y1=middle, y2=middle)
        self._add("line", class_=f"error {kind}", x1=across, x2=across, y1=y1, y2=y2)

    def dot(self, x: float, y: float, kind: str, text: str = "") -> None:
        """A round mark, with a letter or two inside when there is a text."""
        across, up = self.at(x, y)
        self._add("circle", class_=f"dot {kind}", cx=across, cy=up, r=8.0 if text else 4.5)
        if text:
            self._add("text", text, class_="in", x=across, y=up + 3.8, text_anchor="middle")

    def markup(self) -> Markup:
        """The drawing as an `svg` element."""
        return frame(
            self._name, self._title, self._description, self._width, self._height, self._drawn
        )


def frame(
    name: str,
    title: str,
    description: str,
    width: float,
    height: float,
    drawn: Iterable[Markup],
) -> Markup:
    """An `svg` element that scales to its place, with its title and description."""
    return element(
        "svg",
        Markup("").join(
            [
                element("title", title, id=f"{name}-title"),
                element("desc", description, id=f"{name}-desc"),
                *drawn,
            ]
        ),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def interval(name: str, title: str, value: float, low: float, high: float) -> Markup:
    """A share and its interval on a line from 0 to 1, small enough for a table's cell."""
    length = 96
    drawn = [
        element("line", class_="grid", x1=2, x2=2 + length, y1=6, y2=6),
        element(
            "line", class_="error value", x1=2 + low * length, x2=2 + high * length, y1=6, y2=6
        ),
    ]
    if not math.isnan(value):
        drawn.append(element("circle", class_="dot value", cx=2 + value * length, cy=6, r=3.5))
    return frame(name, title, "The dot is the value, the bar its interval.", 100, 12, drawn)


def strip(
    name: str,
    title: str,
    description: str,
    heights: Sequence[float | None],
    marks: Sequence[tuple[int, str, str]],
    threshold: float | None = None,
    length: int | None = None,
) -> Markup:
    """Bars in a row, one for each place, with marks over some of them.

    Args:
        name: unique on the page.
        title: as for `Plot`.
        description: likewise.
        heights: from 0 to 1; None, for which a short line stands in.
        marks: place from 0, sign and class of each mark; where two share a place they stand one
            over the other.
        threshold: the height of a dashed line, or None.
        length: places that there is room for; that of `heights` when None.
    """
    places = max(1, length or 0, len(heights))
    width, base, tall = 340.0, 44.0, 30.0
    room = width / places
    drawn = [element("line", class_="axis", x1=0, x2=width, y1=base, y2=base)]
    for place, height in enumerate(heights):
        left = place * room
        if height is None:
            drawn.append(
                element(
                    "line",
                    class_="unknown",
                    x1=left + room * 0.3,
                    x2=left + room * 0.7,
                    y1=base - 3,
                    y2=base - 3,
                )
            )
            continue
        tops = max(1.0, height * tall)
        over = threshold is not None and height > threshold
        drawn.append(
            element(
                "rect",
                class_="bar over" if over else "bar under",
                x=left + min(1.0, room * 0.1),
                y=base - tops,
                width=max(0.6, min(room - 2, room * 0.8, 22.0)),
                height=tops,
            )
        )
    if threshold is not None:
        y = base - threshold * tall
        drawn.append(element("line", class_="rule", x1=0, x2=width, y1=y, y2=y))
    taken: dict[int, int] = {}
    for place, sign, kind in marks:
        nth = taken.get(place, 0)
        taken[place] = nth + 1
        middle = place * room + min(room / 2, 11.0)
        x = min(max(middle + 12 * nth, 6.0), width - 6)
        drawn.append(element("text", sign, class_=f"sign {kind}", x=x, y=11, text_anchor="middle"))
    return frame(name, title, description, width, base + 2, drawn)
