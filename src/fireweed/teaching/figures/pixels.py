"""Figures of photos: as pictures, as numbers, as points."""

from collections.abc import Sequence

import numpy as np

from fireweed.teaching.figure import BLUE, GREY, INK, ORANGE, Figure, bare, finish, legend, picture, sheet
from fireweed.teaching.language import pick


def show_photos(photos: np.ndarray, names: Sequence[str], columns: int = 5) -> Figure:
    """Show photos in rows, each with its name."""
    rows = -(-len(photos) // columns)
    drawing, axes = sheet(rows, columns, 1.4, 1.6)
    for place in axes:
        bare(place)
    for place, photo, name in zip(axes, photos, names, strict=False):
        picture(place, photo, name)
    listed = ", ".join(names)
    return finish(drawing, pick(f"{len(photos)} photos: {listed}", f"{len(photos)} 張相片：{listed}"))


def show_numbers(photo: np.ndarray, row: int, column: int, count: int = 5) -> Figure:
    """Show a photo, and the red, green and blue numbers of `count` x `count` of its pixels."""
    drawing, axes = sheet(1, 4, 2.1, 2.3)
    side = photo.shape[0]
    picture(axes[0], photo, pick("the photo", "相片"))
    frame = _frame(row, column, count)
    axes[0].add_patch(frame)
    part = photo[row : row + count, column : column + count]
    titles = (pick("red", "紅"), pick("green", "綠"), pick("blue", "藍"))
    for channel, title in enumerate(titles):
        place = axes[channel + 1]
        place.imshow(part[..., channel], cmap="gray", vmin=0, vmax=255, interpolation="none")
        for (y, x), value in np.ndenumerate(part[..., channel]):
            place.text(
                x, y, str(value), ha="center", va="center", fontsize=7, color="white" if value < 128 else "black"
            )
        place.set_title(title)
        bare(place, framed=True)
    alt = pick(
        f"A photo of {side} by {side} pixels, and the {count} by {count} "
        "pixels within a frame as three tables of numbers "
        "from 0 to 255: one for red, one for green, one for blue",
        f"一張 {side}×{side} 像素的相片，框內 {count}×{count} 個像素寫成三張 0 到 255 的數字表：紅、綠、藍各一張",
    )
    return finish(drawing, alt)


def show_features(
    features: np.ndarray, is_first: np.ndarray, names: tuple[str, str], axes_names: tuple[str, str]
) -> Figure:
    """Show photos as points in the plane of two features: those of the first class and all others."""
    drawing, (place,) = sheet(1, 1, 4.6, 3.2)
    for is_of, color, sign, name in ((is_first, ORANGE, "^", names[0]), (~is_first, BLUE, "o", names[1])):
        place.scatter(
            *features[is_of].T,
            s=22,
            marker=sign,
            facecolor="none" if sign == "o" else color,
            edgecolor=color,
            label=name,
        )
    place.axhline(0, color=GREY, linewidth=0.6)
    place.axvline(0, color=GREY, linewidth=0.6)
    place.set_xlabel(axes_names[0], color=INK)
    place.set_ylabel(axes_names[1], color=INK)
    legend(place, "upper left")
    alt = pick(
        f"Each photo a point, {axes_names[0]} to the right and {axes_names[1]} "
        f"upwards: triangles are {names[0]}, circles "
        f"{names[1]}; the two clouds overlap in part",
        f"每張相片是一個點，橫軸為{axes_names[0]}，縱軸為{axes_names[1]}：三角形是{names[0]}，圓圈是{names[1]}，兩群有一部分重疊",
    )
    return finish(drawing, alt)


def _frame(row: int, column: int, count: int):  # type: ignore[no-untyped-def]
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), count, count, fill=False, edgecolor=ORANGE, linewidth=2.5)
