"""A figure of a lab: an SVG whose ink is the page's own text colour, so that it is readable in light and dark.

Lettering stays text, drawn by the browser in its own fonts, so that Chinese needs no font on the machine that computes.
Meaning never hangs on colour alone: lines differ in dashes, signs stand beside colours, and the colours used are told
apart with any kind of colour vision.
"""

import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fireweed.teaching.language import pick

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

BLUE, ORANGE, VIOLET = "#2f86c9", "#d97a1e", "#a06bc4"  # each readable on white and on near-black
GREY = "#8a8a8a"
INK = "#010203"  # stands for the page's text colour until the drawing is finished
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))
LINE_COLORS = (BLUE, ORANGE, VIOLET)
LETTER_PX = 11.0

_STYLE = {
    "svg.fonttype": "none",  # lettering as text
    "font.size": LETTER_PX * 0.8,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": LETTER_PX * 0.85,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
_PAGE_FONTS = "system-ui,'Noto Sans','PingFang TC','Microsoft JhengHei','Noto Sans CJK TC','Noto Sans TC',sans-serif"


@dataclass(frozen=True)
class Figure:
    """A finished figure: notebooks show the drawing; where none can be shown, `alt` tells what is on it."""

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        label = html.escape(self.alt, quote=True)
        return f'<div role="img" aria-label="{label}" title="{label}" style="overflow-x:auto">{self.svg}</div>'

    def __repr__(self) -> str:
        return f"[{self.alt}]"


def sheet(rows: int = 1, columns: int = 1, width: float = 3.2, height: float = 2.6, **options: Any) -> Any:
    """Return a new drawing and its axes, always a flat list; width and height in inches are those of one of them."""
    import matplotlib
    from matplotlib.figure import Figure as Drawing
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with matplotlib.rc_context(_STYLE):
        roomy = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06)  # the page's fonts may be taller than the one measured
        drawing = Drawing(figsize=(width * columns, height * rows), layout=roomy)
        axes = drawing.subplots(rows, columns, squeeze=False, **options)
    return drawing, list(axes.flat)


def finish(drawing: "Drawing", alt: str) -> Figure:
    """Return a drawing as a figure; `alt` tells what it shows to those who do not see it."""
    import matplotlib

    written = io.StringIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that matplotlib's font lacks are drawn by the browser's.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        drawing.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor").replace("'DejaVu Sans'", _PAGE_FONTS)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", rf"font: \1 {_PAGE_FONTS}", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    return Figure(svg.replace("<svg ", '<svg aria-hidden="true" style="max-width:100%;height:auto" ', 1), alt)


def picture(axes: "Axes", pixels: Any, title: str = "", **options: Any) -> None:
    """Show an array as a picture, without ticks, with a title above it."""
    axes.imshow(pixels, interpolation="none", **options)  # so that the page scales it, and pixels stay sharp
    axes.set_title(title)
    bare(axes, framed=True)


def legend(axes: "Axes", place: str = "best") -> None:
    """Add the names of lines and points, on no ground of its own, so that the page shows through."""
    axes.legend(loc=place, labelcolor=INK, frameon=False)


def epochs_below(axes: "Axes") -> None:
    """Let the horizontal axis be of epochs, which are whole numbers."""
    axes.locator_params("x", integer=True)
    axes.set_xlabel(pick("epoch", "週期"), color=INK)


def bare(axes: "Axes", framed: bool = False) -> None:
    """Take away ticks and, unless `framed`, the frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(framed)
        side.set_color(GREY)


def two_sided() -> Any:
    """Return the colours for numbers of both signs: blue below zero, grey at it, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("two_sided", ["#0b4f86", "#6fb0e0", "#e8e6e3", "#f0a860", "#a04c00"])


def signed_picture(axes: "Axes", values: Any, title: str = "") -> None:
    """Show numbers of both signs as a picture: zero in the middle of the colours."""
    import numpy as np

    most = float(np.abs(values).max()) or 1.0
    picture(axes, values, title, cmap=two_sided(), vmin=-most, vmax=most)


def number_grid(axes: "Axes", values: Any, title: str = "", marked: Sequence[tuple[int, int, int, int]] = ()) -> None:
    """Write numbers into the squares of a grid; `marked` ones (row, column, height, width) get a thick frame."""
    import numpy as np
    from matplotlib.patches import Rectangle

    values = np.asarray(values)
    rows, columns = values.shape
    for row in range(rows):
        for column in range(columns):
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=GREY, linewidth=0.7))
            axes.text(column + 0.5, row + 0.5, f"{values[row, column]:g}", ha="center", va="center", color=INK)
    for number, (row, column, height, width) in enumerate(marked):
        color, dash = LINE_COLORS[number % 3], DASHES[number % 3]
        axes.add_patch(
            Rectangle((column, row), width, height, fill=False, edgecolor=color, linewidth=2.5, linestyle=dash)
        )
    axes.set(xlim=(-0.1, columns + 0.1), ylim=(rows + 0.1, -0.1), aspect="equal", title=title)
    bare(axes)
