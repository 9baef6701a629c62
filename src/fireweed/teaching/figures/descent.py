"""Figures of gradient descent: paths over a surface, seen from above."""

from collections.abc import Callable, Mapping

import numpy as np

from fireweed.teaching.figure import DASHES, GREY, INK, LINE_COLORS, Figure, finish, legend, sheet
from fireweed.teaching.language import pick

Height = Callable[[np.ndarray, np.ndarray], np.ndarray]


def show_descent(
    height: Height, paths: Mapping[str, np.ndarray], x_range: tuple[float, float], y_range: tuple[float, float],
    marks: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:  # fmt: skip
    """Show paths, each of shape (steps, 2), on one surface, and beside it how high they are after each step."""
    drawing, (above, falling) = sheet(1, 2, 3.6, 3.0)
    _contours(above, height, x_range, y_range)
    for number, (name, path) in enumerate(paths.items()):
        color, dash = LINE_COLORS[number % 3], DASHES[number % 3]
        above.plot(*path.T, color=color, linestyle=dash, marker=".", markersize=4, linewidth=1.2)
        falling.plot(height(*path.T), color=color, linestyle=dash, label=name)
    for name, (x, y) in (marks or {}).items():
        above.plot([x], [y], "x", color=INK, markersize=8)
        above.text(x, y + 0.06 * (y_range[1] - y_range[0]), name, ha="center", color=INK)
    falling.set_xlabel(pick("step", "步數"))
    falling.set_ylabel(pick("height", "高度"))
    legend(falling, "upper right")
    ends = "; ".join(
        pick(
            f"{name}: {len(path) - 1} steps, ends at height "
            f"{float(height(*path[-1])):.2f}", f"{name}：{len(path) - 1} 步，終點高度 {float(height(*path[-1])):.2f}")
        for name, path in paths.items()
    )  # fmt: skip
    return finish(
        drawing,
        pick(
            f"Paths over a surface seen from above, and their height by step. {ends}",
            f"由上往下看的曲面與下降路徑，以及每一步的高度。{ends}",
        ),
    )


def show_paths(
    height: Height, paths: Mapping[str, np.ndarray], x_range: tuple[float, float], y_range: tuple[float, float]
) -> Figure:
    """Show paths over the same surface, each in a frame of its own."""
    drawing, axes = sheet(1, len(paths), 2.5, 2.7)
    for number, (place, (name, path)) in enumerate(zip(axes, paths.items(), strict=True)):
        _contours(place, height, x_range, y_range)
        place.plot(*path.T, color=LINE_COLORS[number % 3], linewidth=1.0)
        place.plot(*path[0], "o", color=INK, markersize=6, markerfacecolor="none")
        place.plot(*path[-1], "s", color=INK, markersize=6)
        place.set_title(name)
    ends = "; ".join(f"{name} {float(height(*path[-1])):.3f}" for name, path in paths.items())
    return finish(
        drawing,
        pick(
            f"Paths from a circle to a square over the loss seen from above; loss at the end: {ends}",
            f"由圓圈走到方塊的路徑，背景為損失的等高線；終點的損失：{ends}",
        ),
    )


def _contours(place, height: Height, x_range: tuple[float, float], y_range: tuple[float, float]) -> None:  # type: ignore[no-untyped-def]
    x, y = np.meshgrid(np.linspace(*x_range, 90), np.linspace(*y_range, 90))
    z = height(x, y)
    levels = np.quantile(z, np.linspace(0, 1, 16))
    place.contour(x, y, z, levels=np.unique(levels), colors=GREY, linewidths=0.7, linestyles="solid")
    place.set(xlim=x_range, ylim=y_range)
