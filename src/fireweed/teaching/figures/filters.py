"""Figures of convolutions: windows that slide, filters and their answers, cubes of numbers."""

from collections.abc import Mapping

import numpy as np

from fireweed.teaching.figure import (
    BLUE,
    GREY,
    INK,
    LINE_COLORS,
    ORANGE,
    Figure,
    bare,
    finish,
    number_grid,
    picture,
    sheet,
    signed_picture,
)
from fireweed.teaching.language import pick

_CUBE_TILT = 0.35  # how far a cube's depth leans to the right and up


def show_window(values: np.ndarray, weights: np.ndarray, row: int, column: int) -> Figure:
    """Show one step of a filter over a grid of numbers: the window, the weights, and the one number they give."""
    high, wide = weights.shape
    window = values[row : row + high, column : column + wide]
    answers = np.array([
        [(values[y : y + high, x : x + wide] * weights).sum() for x in range(values.shape[1] - wide + 1)]
        for y in range(values.shape[0] - high + 1)
    ])  # fmt: skip
    drawing, axes = sheet(1, 3, 2.5, 2.6)
    number_grid(axes[0], values, pick("the picture, the window on it", "圖片與其上的視窗"), [(row, column, high, wide)])
    number_grid(axes[1], weights, pick("the filter's weights", "濾鏡的權重"), [(0, 0, high, wide)])
    number_grid(axes[2], answers, pick("the answers", "輸出"), [(row, column, 1, 1)])
    sums = " + ".join(f"{v:g}×{w:g}" for v, w in zip(window.flat, weights.flat, strict=True) if w)
    alt = pick(
        f"A {high} by {wide} window on a grid of numbers, the filter's weights, and the answer at the window's place: "
        f"{sums} = {answers[row, column]:g}",
        f"數字方格上一個 {high}×{wide} 的視窗、濾鏡的權重，以及視窗位置的輸出：{sums} = {answers[row, column]:g}",
    )
    return finish(drawing, alt)


def show_answers(photo: np.ndarray, filters: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> Figure:
    """Show a photo, and below each filter what it answers all over the photo: orange above zero, blue below."""
    drawing, axes = sheet(2, len(filters) + 1, 1.9, 2.0)
    picture(axes[0], photo, pick("the photo", "相片"), **({"cmap": "gray"} if photo.ndim == 2 else {}))
    bare(axes[len(filters) + 1])
    for number, (name, weights) in enumerate(filters.items(), start=1):
        signed_picture(axes[number], weights, name)
        signed_picture(axes[len(filters) + 1 + number], answers[name])
    names = ", ".join(filters)
    return finish(
        drawing,
        pick(
            f"A photo, the filters {names}, and below each its answer over the "
            "photo: strong, orange or blue, where the photo "
            "looks like the filter",
            f"一張相片、濾鏡（{names}）與各自在整張相片上的輸出：相片像濾鏡的地方，輸出強烈（橘或藍）",
        ),
    )


def show_channels(photo: np.ndarray) -> Figure:
    """Show a photo and its red, green and blue channel, each a picture of greys."""
    drawing, axes = sheet(1, 4, 1.8, 2.0)
    picture(axes[0], photo, pick("the photo", "相片"))
    for channel, name in enumerate((pick("red", "紅"), pick("green", "綠"), pick("blue", "藍"))):
        picture(axes[channel + 1], photo[..., channel], name, cmap="gray", vmin=0, vmax=255)
    return finish(
        drawing,
        pick("A photo and its three channels in greys: red, green, blue", "一張相片與紅、綠、藍三個通道的灰階圖"),
    )


def show_cubes(shapes: Mapping[str, tuple[int, int, int]]) -> Figure:
    """Draw cubes of data (height, width, channels) in a row, joined by arrows, each with its name and shape."""
    drawing, (place,) = sheet(1, 1, 1.9 * len(shapes), 2.5)
    tallest = max(max(shape[:2]) for shape in shapes.values())
    deepest = max(shape[2] for shape in shapes.values())
    left, names = 0.0, []
    for number, (name, (high, wide, channels)) in enumerate(shapes.items()):
        tall, broad = 0.4 + 1.6 * high / tallest, 0.3 + 1.0 * wide / tallest
        depth = 0.2 + 1.2 * channels / deepest
        if number:
            place.annotate("", (left + 0.45, 0), (left, 0), arrowprops={"arrowstyle": "->", "color": INK})
            left += 0.6
        _cube(place, left, tall, broad, depth, LINE_COLORS[0] if number % 2 == 0 else LINE_COLORS[1])
        middle = left + (broad + depth * 0.8) / 2
        place.text(middle, -1.45, name, ha="center", va="top", color=INK)
        place.text(middle, -1.8, f"{high}×{wide}×{channels}", ha="center", va="top", color=INK, fontweight="bold")
        left += broad + depth * 0.8 + 0.25
        names.append(f"{name} {high}×{wide}×{channels}")
    place.set(xlim=(-0.2, left), ylim=(-2.2, 1.6), aspect="equal")
    bare(place)
    return finish(
        drawing,
        pick("Cubes of numbers, height by width by channels: ", "數字的立方體（高×寬×通道）：") + " → ".join(names),
    )


def show_filters(weights: np.ndarray, columns: int = 8) -> Figure:
    """Show the filters of a first convolution, (height, width, 3, filters), as small colour pictures."""
    count = weights.shape[-1]
    drawing, axes = sheet(-(-count // columns), columns, 0.85, 0.9)
    for place in axes:
        bare(place)
    for number in range(count):
        one = weights[..., number]
        spread = float(np.abs(one).max()) or 1.0
        picture(axes[number], 0.5 + one / (2 * spread))
    return finish(
        drawing,
        pick(
            f"The {count} filters of the first layer as small colour pictures: grey where a weight is zero",
            f"第一層的 {count} 個濾鏡畫成小彩色圖：權重為零處為灰色",
        ),
    )


def show_maps(photo: np.ndarray, maps: Mapping[str, np.ndarray], columns: int = 8) -> Figure:
    """Show a photo and, layer by layer, the channels (height, width, channels) a net makes of it, liveliest first."""
    shown = {name: min(cube.shape[-1], columns) for name, cube in maps.items()}
    drawing, axes = sheet(len(maps), columns + 1, 0.95, 1.05)
    for place in axes:
        bare(place)
    picture(axes[0], photo, pick("photo", "相片"))
    for row, (name, cube) in enumerate(maps.items()):
        order = np.argsort(-cube.std(axis=(0, 1)))[: shown[name]]
        first = row * (columns + 1)
        if row:
            axes[first].text(0.5, 0.5, name, ha="center", va="center", color=INK, transform=axes[first].transAxes)
        for number, channel in enumerate(order):
            picture(
                axes[first + 1 + number], cube[..., channel], name if not row and not number else "", cmap="cividis"
            )
    told = ", ".join(f"{name} {'×'.join(map(str, cube.shape))}" for name, cube in maps.items())
    return finish(
        drawing,
        pick(
            f"A photo and the feature maps of layers: {told}; the later, the coarser",
            f"一張相片與各層的特徵圖：{told}；越後面越粗略",
        ),
    )


def show_windows(values: np.ndarray, strided: np.ndarray, pooled: np.ndarray) -> Figure:
    """Show a grid of numbers, what a stride of 2 keeps of it, and what 2 x 2 max-pooling keeps."""
    drawing, axes = sheet(1, 3, 2.4, 2.6)
    number_grid(axes[0], values, pick("before", "之前"), [(0, 0, 2, 2), (0, 2, 2, 2)])
    number_grid(
        axes[1], strided, pick("every second one (stride 2)", "每隔一個取一個（步幅 2）"), [(0, 0, 1, 1), (0, 1, 1, 1)]
    )
    number_grid(axes[2], pooled, pick("the largest of each 2×2", "每個 2×2 的最大值"), [(0, 0, 1, 1), (0, 1, 1, 1)])
    return finish(
        drawing,
        pick(
            f"A grid of {values.shape[0]} by {values.shape[1]} numbers; stride 2 keeps "
            f"{strided.tolist()}; max-pooling keeps {pooled.tolist()}",
            f"{values.shape[0]}×{values.shape[1]} 的數字方格；"
            f"步幅 2 留下 {strided.tolist()}；最大池化留下 {pooled.tolist()}",
        ),
    )


def show_reach(reaches: Mapping[str, np.ndarray]) -> Figure:
    """Show for several stacks of layers which pixels of the input reach one output, as patterns of squares."""
    from matplotlib.colors import ListedColormap

    drawing, axes = sheet(1, len(reaches), 2.1, 2.8)
    told = []
    for place, (name, reach) in zip(axes, reaches.items(), strict=True):
        seen = np.abs(reach) > 0
        high, wide = (int(np.ptp(np.nonzero(seen)[axis])) + 1 for axis in (0, 1))
        picture(place, np.where(seen, 1.0, np.nan), name, cmap=ListedColormap([BLUE]))
        place.set_xticks(np.arange(-0.5, reach.shape[1]), [])
        place.set_yticks(np.arange(-0.5, reach.shape[0]), [])
        place.grid(color=GREY, linewidth=0.5)
        place.tick_params(length=0)
        place.plot([reach.shape[1] // 2], [reach.shape[0] // 2], "o", color=ORANGE, markersize=6)
        place.set_xlabel(f"{high} × {wide}", color=INK)
        told.append(f"{name} {high}×{wide}")
    return finish(
        drawing, pick("Pixels that reach one output (a dot): ", "影響一個輸出（圓點）的像素：") + ", ".join(told)
    )


def _cube(place, left: float, tall: float, broad: float, depth: float, color: str) -> None:  # type: ignore[no-untyped-def]
    """Draw a box whose depth, its channels, leans to the right and up."""
    from matplotlib.patches import Polygon

    shift_x, shift_y = depth * 0.8, depth * _CUBE_TILT
    low, top, right = -tall / 2, tall / 2, left + broad
    front = [(left, low), (right, low), (right, top), (left, top)]
    roof = [(left, top), (right, top), (right + shift_x, top + shift_y), (left + shift_x, top + shift_y)]
    flank = [(right, low), (right + shift_x, low + shift_y), (right + shift_x, top + shift_y), (right, top)]
    for corners, strength in ((front, 0.5), (roof, 0.3), (flank, 0.15)):
        place.add_patch(Polygon(corners, facecolor=color, alpha=strength, edgecolor="none"))
        place.add_patch(Polygon(corners, fill=False, edgecolor=INK, linewidth=0.9))
