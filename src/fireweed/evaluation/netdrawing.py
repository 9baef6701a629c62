"""The drawing of a net as SVG: boxes from top to bottom, branches beside each other, repeated blocks framed once."""

from collections.abc import Sequence

from markupsafe import Markup

from fireweed.evaluation.netfolding import Box, Layer, find_stretches, fold_layers
from fireweed.evaluation.netlayout import ENTRY, Edge, Layout, lay_out
from fireweed.evaluation.svg import element
from fireweed.text import readable, shortened

_LEAST_WIDTH, _MOST_TEXT, _BOX_HEIGHT = 112.0, 246.0, 40.0
_ROW = 60.0
_LANE = 24.0
_GAP = 16.0
_FRAME = 14.0
_BOLD_PX, _PLAIN_PX, _DETAIL_PX = 7.0, 6.2, 6.1  # about how wide a letter is in each style
_SIDE_SPACE = 18.0

Place = tuple[float, float]


def draw_net(layers: Sequence[Layer]) -> Markup:
    """Draw a net from its layers, given in the order of the flow; return empty markup for no layers."""
    boxes = fold_layers(layers)
    drawing = _Drawing(_box_width(boxes))
    for stretch in find_stretches(boxes):
        pieces = [boxes[start:stop] for start, stop in stretch.segments]
        starts = [start for start, _ in stretch.segments]
        drawing.add(pieces, starts, stretch.times)
    return drawing.markup(f"The net as boxes from input to answer, {len(layers)} layers") if boxes else Markup("")


class _Drawing:
    """Grows downwards; x is 0 in the middle of the column through which all flows."""

    def __init__(self, box_width: float) -> None:
        self._box_width = box_width
        self._bottom = 8.0  # where the next row begins
        self._left = self._right = 0.0
        self._entry: Place | None = None  # the lower edge of the box above
        self._parts: list[Markup] = []

    def add(self, pieces: Sequence[Sequence[Box]], starts: Sequence[int], times: int) -> None:
        """Draw pieces under each other; in a frame when they come more than once."""
        if times == 1:
            for piece, start in zip(pieces, starts, strict=True):
                self._add_piece(piece, start)
            return
        self._bottom += _FRAME + 4
        top, outer = self._bottom, (self._left, self._right)
        self._left = self._right = 0.0
        frame_at = len(self._parts)
        for piece, start in zip(pieces, starts, strict=True):
            self._add_piece(piece, start)
        bottom = self._bottom - (_ROW - _BOX_HEIGHT)
        left, right = self._left - _FRAME, self._right + _FRAME
        self._parts[frame_at:frame_at] = _frame(left, right, top - _FRAME, bottom + _FRAME, times)
        self._left, self._right = min(outer[0], left), max(outer[1], right)
        self._bottom += _FRAME + 4

    def markup(self, label: str) -> Markup:
        """Return the whole drawing in its natural size."""
        left, width = self._left - 4, self._right - self._left + 8
        height = self._bottom - (_ROW - _BOX_HEIGHT) + 8
        view = f"{left:.0f} 0 {width:.0f} {height:.0f}"
        # It may shrink to fit the page, but never so far that it cannot be read.
        style = f"width:{width:.0f}px;min-width:{0.8 * width:.0f}px"
        return element("svg", *self._parts, class_="net", viewBox=view, role="img", aria_label=label, style=style)

    def _add_piece(self, piece: Sequence[Box], start: int) -> None:
        first = self._entry is None
        inputs = [[max(source - start, ENTRY) for source in box.inputs] for box in piece]
        layout = lay_out(inputs)
        centres = _centres(layout, self._box_width)
        places = [(centres[c], self._bottom + (r - 1) * _ROW) for r, c in zip(layout.rows, layout.columns, strict=True)]
        places[-1] = (0.0, places[-1][1])
        for edge in layout.edges:
            if edge.source != ENTRY or not first:
                self._parts.append(self._edge(edge, layout, centres, places))
        for box, place in zip(piece, places, strict=True):
            self._parts.append(_draw_box(box, place, self._box_width))
        half = [(self._box_width if wide else _LANE) / 2 for wide in layout.wide]
        self._left = min(self._left, -self._box_width / 2, *(x - h for x, h in zip(centres, half, strict=True)))
        self._right = max(self._right, self._box_width / 2, *(x + h for x, h in zip(centres, half, strict=True)))
        self._bottom += max(layout.rows) * _ROW
        self._entry = (0.0, places[-1][1] + _BOX_HEIGHT)

    def _edge(self, edge: Edge, layout: Layout, centres: Sequence[float], places: Sequence[Place]) -> Markup:
        if edge.source == ENTRY:
            x, y = self._entry or (0.0, 0.0)
            row = 0
        else:
            x, y = places[edge.source][0], places[edge.source][1] + _BOX_HEIGHT
            row = layout.rows[edge.source]
        end_x, end_y = places[edge.target]
        path = f"M{x:.1f} {y:.1f}"
        if edge.column is not None and layout.rows[edge.target] - row > 1:
            lane = centres[edge.column]
            last = end_y - _ROW + _BOX_HEIGHT
            if lane != x:
                path += _bend(x, y, lane, y + _ROW - _BOX_HEIGHT)
            path += f" L{lane:.1f} {last:.1f}"
            x, y = lane, last
        path += _bend(x, y, end_x, end_y) + " m-3.5 -5.5 l3.5 5.5 l3.5 -5.5"
        return element("path", class_="edge", d=path)


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    if x == to_x:
        return f" L{to_x:.1f} {to_y:.1f}"
    middle = (y + to_y) / 2
    return f" C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


def _centres(layout: Layout, box_width: float) -> list[float]:
    """Return the x of each column's middle: the first at 0, or all around 0 where branches are equal."""
    centres = [0.0]
    right = box_width / 2
    for wide in layout.wide[1:]:
        width = box_width if wide else _LANE
        gap = _GAP if wide else 0.0
        centres.append(right + gap + width / 2)
        right += gap + width
    shift = (centres[-1] / 2) if layout.balanced else 0.0
    return [x - shift for x in centres]


def _draw_box(box: Box, place: Place, box_width: float) -> Markup:
    x, y = place
    before, title, after = _first_line(box)
    return element(
        "g",
        element("title", readable(", ".join(box.layers))),
        element("rect", x=x - box_width / 2, y=y, width=box_width, height=_BOX_HEIGHT, rx=7),
        element(
            "text",
            *(element("tspan", word, class_="box-small") for word in (before,) if word),
            title,
            *(element("tspan", word, class_="box-small") for word in (after,) if word),
            class_="box-title",
            x=x,
            y=y + 16.5,
            text_anchor="middle",
        ),
        element("text", _second_line(box), class_="box-detail", x=x, y=y + 31.5, text_anchor="middle"),
        class_=f"box {box.kind}",
    )


def _box_width(boxes: Sequence[Box]) -> float:
    """Return how wide all boxes are, so that the longest text fits; the browser's font may differ a little."""
    widest = _LEAST_WIDTH
    for box in boxes:
        widest = max(widest, _first_line_px(*_first_line(box)), len(_second_line(box)) * _DETAIL_PX)
    return min(widest, _MOST_TEXT) + _SIDE_SPACE


def _first_line(box: Box) -> tuple[str, str, str]:
    """Return what stands before the title, the title, and what stands after it, short enough for the widest box."""
    title = shortened(readable(box.title), int(_MOST_TEXT / _BOLD_PX) - 8)
    before = "".join(f"{word} → " for word in box.before)
    after = "".join(f" + {word}" for word in box.after)
    if _first_line_px(before, title, "") > _MOST_TEXT:
        before = "… → "
    if _first_line_px(before, title, after) > _MOST_TEXT:
        after = " + …"
    return before, title, after


def _first_line_px(before: str, title: str, after: str) -> float:
    return len(title) * _BOLD_PX + len(before + after) * _PLAIN_PX


def _second_line(box: Box) -> str:
    return box.shape + (f" · {box.parameters:,} weights" if box.parameters else "")


def _frame(left: float, right: float, top: float, bottom: float, times: int) -> list[Markup]:
    size = {"width": right - left, "height": bottom - top}
    words = f"{times} times"
    return [
        element("rect", class_="frame", x=left, y=top, rx=12, **size),
        element("rect", class_="frame-label", x=left + 12, y=top - 10, width=62, height=20, rx=10),
        element("text", words, class_="frame-times", x=left + 43, y=top + 4, text_anchor="middle"),
    ]
