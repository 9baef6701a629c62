"""Figures of what lab 3 does to numbers and photos: statistics that follow, values before and after, changed photos."""

from collections.abc import Mapping, Sequence

import numpy as np

from fireweed.teaching.figure import (
    DASHES,
    GREY,
    INK,
    LINE_COLORS,
    ORANGE,
    Figure,
    bare,
    finish,
    legend,
    picture,
    sheet,
)
from fireweed.teaching.language import pick


def show_following(momenta: Sequence[float], steps: int, steps_per_epoch: int) -> Figure:
    """Show how much of its beginning a moving mean still holds after each step, for several momenta."""
    drawing, (place,) = sheet(1, 1, 5.6, 2.8)
    at = np.arange(steps + 1)
    for number, momentum in enumerate(momenta):
        place.plot(at, momentum**at, color=LINE_COLORS[number % 3], linestyle=DASHES[number % 3], label=f"{momentum}")
    for epoch in range(0, steps + 1, steps_per_epoch):
        place.axvline(epoch, color=GREY, linewidth=0.4)
    place.set(xlim=(0, steps), ylim=(0, 1.02))
    place.set_xlabel(pick("step (thin lines: epochs)", "步數（細線為週期）"), color=INK)
    place.set_ylabel(pick("left of the beginning", "起始值所剩的比例"), color=INK)
    legend(place, "upper right")
    told = "; ".join(
        pick(f"momentum {one}: {one**steps_per_epoch:.1%}", f"動量 {one}：{one**steps_per_epoch:.1%}")
        for one in momenta
    )
    return finish(
        drawing,
        pick(
            f"The share of its first value that a moving mean still holds. After one epoch of {steps_per_epoch} steps: "
            f"{told}",
            f"移動平均還保留多少起始值。一個週期（{steps_per_epoch} 步）之後：{told}",
        ),
    )


def show_spreads(values: Mapping[str, np.ndarray]) -> Figure:
    """Show how the numbers of several channels are spread, one frame a name: arrays of shape (numbers, channels)."""
    drawing, axes = sheet(1, len(values), 3.0, 2.3)
    told = []
    for place, (name, numbers) in zip(axes, values.items(), strict=True):
        for channel in range(numbers.shape[1]):
            counts, edges = np.histogram(numbers[:, channel], bins=40, density=True)
            place.plot(
                (edges[1:] + edges[:-1]) / 2,
                counts,
                color=LINE_COLORS[channel % 3],
                linestyle=DASHES[channel % 3],
                linewidth=1.4,
                label=pick(f"channel {channel + 1}", f"通道 {channel + 1}"),
            )
        place.set_title(name)
        place.set_yticks([])
        means = ", ".join(f"{mean:.2g} ± {spread:.2g}" for mean, spread in zip(
            numbers.mean(axis=0), numbers.std(axis=0), strict=True))  # fmt: skip
        told.append(f"{name} {means}")
    legend(axes[0], "upper right")
    return finish(
        drawing,
        pick("How channels are spread, mean ± spread of each: ", "各通道數值的分布（平均 ± 離散）：") + "; ".join(told),
    )


def show_changes(photo: np.ndarray, changed: Sequence[np.ndarray], columns: int = 8) -> Figure:
    """Show a photo, and what augmentation made of it at several times."""
    rows = -(-(len(changed) + 1) // columns)
    drawing, axes = sheet(rows, columns, 0.95, 1.15)
    for place in axes:
        bare(place)
    picture(axes[0], photo, pick("the photo", "原圖"))
    for place, other in zip(axes[1:], changed, strict=False):
        picture(place, other)
    for side in axes[0].spines.values():
        side.set(color=ORANGE, linewidth=2.5)
    return finish(
        drawing,
        pick(
            f"A photo, framed, and {len(changed)} changed versions of it, as epochs would show them to the net",
            f"一張相片（有框）與它的 {len(changed)} 個變化版本，就像各個週期讓網路看到的那樣",
        ),
    )
