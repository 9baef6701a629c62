"""Charts as inline SVG, drawn without a library so that the page's own fonts and colours serve.

No colour stands in the drawing: each shape has a class, and the page's style sheet colours it, light or dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

Point = tuple[float, float]
Tick = tuple[float, str]  # where it stands, and what is written there


def element(tag: str, *content: str, **attributes: object) -> Markup:
    """Return an SVG or HTML element; `content` that is not Markup and all attribute values are escaped.

    An attribute's underscores become hyphens, and one at its end is dropped: ``class_``, ``text_anchor``.
    Numbers are written with one decimal at most, which is a tenth of a pixel.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _plain(value))
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), written, Markup("").join(content))


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers, steps of 1, 2 or 5 times a power of ten, that lie within low..high."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / rough)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float) -> str:
    """Return a tick's number without the digits that floating point adds."""
    return f"{value:.6g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}".replace("e-0", "e-")


@dataclass
class Chart:
    """A chart being drawn: a frame with two linear axes, to which lines, points and marks are added.

    x_range, y_range: what the axes span, (low, high). Values above the top are drawn at the top edge.
    label:            what the chart shows, for those who hear the page.
    """

    x_range: Point
    y_range: Point
    label: str
    width: float = 440
    height: float = 270
    left: float = 48
    right: float = 14
    top: float = 22
    bottom: float = 40
    _parts: list[Markup] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Return the drawing's x of a value."""
        low, high = self.x_range
        return self.left + (value - low) / ((high - low) or 1) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Return the drawing's y of a value, kept inside the frame."""
        low, high = self.y_range
        share = min(max((value - low) / ((high - low) or 1), 0.0), 1.0)
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)

    def add_axes(self, x_title: str, x_ticks: Sequence[Tick], y_ticks: Sequence[Tick]) -> None:
        """Draw the horizontal grid lines with their numbers, the ticks below, and the title of the x axis."""
        for value, text in y_ticks:
            self._add(self._level_line(value, "grid"))
            self._add(element("text", text, class_="tick", x=self.left - 6, y=self.y(value) + 4, text_anchor="end"))
        floor = self.height - self.bottom
        for value, text in x_ticks:
            self._add(element("line", class_="axis", x1=self.x(value), x2=self.x(value), y1=floor, y2=floor + 4))
            self._add(element("text", text, class_="tick", x=self.x(value), y=floor + 17, text_anchor="middle"))
        self._add(element("line", class_="axis", x1=self.left, x2=self.width - self.right, y1=floor, y2=floor))
        middle = (self.left + self.width - self.right) / 2
        self._add(element("text", x_title, class_="axis-title", x=middle, y=self.height - 6, text_anchor="middle"))

    def add_line(self, points: Sequence[Point], kind: str) -> None:
        """Draw a line through points of data; `kind` is its class in the style sheet."""
        if len(points) > 1:
            path = " ".join(f"{_plain(self.x(x))},{_plain(self.y(y))}" for x, y in points)
            self._add(element("polyline", class_=f"line {kind}", points=path))

    def add_dot(self, point: Point, kind: str, title: str) -> None:
        """Draw a dot with a text that shows when it is pointed at; a triangle where the value lies above the chart."""
        x, y = self.x(point[0]), self.y(point[1])
        if point[1] > self.y_range[1]:
            shape = f"M{x - 4:.1f} {y + 7:.1f} L{x + 4:.1f} {y + 7:.1f} L{x:.1f} {y:.1f} Z"
            self._add(element("path", element("title", title), class_=f"dot {kind}", d=shape))
        else:
            self._add(element("circle", element("title", title), class_=f"dot {kind}", cx=x, cy=y, r=2.6))

    def add_mark(self, x_value: float, text: str) -> None:
        """Draw a dashed upright line with a few words on its right, above the frame."""
        x = self.x(x_value)
        self._add(element("line", class_="mark", x1=x, x2=x, y1=self.top - 8, y2=self.height - self.bottom))
        self._add(element("text", text, class_="mark-text", x=x + 3, y=self.top - 9))

    def add_bar(self, x_from: float, x_to: float, y_to: float, kind: str, title: str) -> None:
        """Draw a bar from the floor to a value, with a text that shows when it is pointed at."""
        left, top = self.x(x_from) + 1, self.y(y_to)
        size = {"width": self.x(x_to) - self.x(x_from) - 2, "height": self.height - self.bottom - top}
        self._add(element("rect", element("title", title), class_=f"bar {kind}", x=left, y=top, rx=1.5, **size))

    def add_whisker(self, x_value: float, low: float, high: float) -> None:
        """Draw an upright line from one value to another: an interval."""
        x = self.x(x_value)
        self._add(element("line", class_="whisker", x1=x, x2=x, y1=self.y(low), y2=self.y(high)))

    def markup(self) -> Markup:
        """Return the whole drawing, which takes the width that the page gives it."""
        view = f"0 0 {_plain(self.width)} {_plain(self.height)}"
        return element("svg", *self._parts, class_="chart", viewBox=view, role="img", aria_label=self.label)

    def _level_line(self, value: float, kind: str) -> Markup:
        y = self.y(value)
        return element("line", class_=kind, x1=self.left, x2=self.width - self.right, y1=y, y2=y)

    def _add(self, part: Markup) -> None:
        self._parts.append(part)


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(escape(value)) if isinstance(value, Markup) else str(value)
