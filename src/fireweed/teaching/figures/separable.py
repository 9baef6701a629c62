"""Figures of separable convolutions: their two stages, and what they spare."""

from collections.abc import Sequence

import numpy as np

from fireweed.teaching.figure import (
    DASHES,
    GREY,
    INK,
    LINE_COLORS,
    Figure,
    bare,
    finish,
    legend,
    picture,
    sheet,
    signed_picture,
)
from fireweed.teaching.language import pick


def show_two_stages(photo: np.ndarray, depthwise: np.ndarray, filtered: np.ndarray, mixed: np.ndarray) -> Figure:
    """Show a separable convolution at work: the channels, the filter of each, what each gives, and the mixtures.

    photo:     (height, width, channels).
    depthwise: (side, side, channels).
    filtered:  what the first stage gives, (height, width, channels).
    mixed:     what the second stage gives, (height, width, filters).
    """
    channels, filters = filtered.shape[-1], mixed.shape[-1]
    drawing, axes = sheet(channels, 3 + filters, 1.15, 1.25)
    for place in axes:
        bare(place)
    titles = (pick("channel", "通道"), pick("its filter", "它的濾鏡"), pick("stage 1", "第 1 階段"))
    for row in range(channels):
        first = row * (3 + filters)
        picture(axes[first], photo[..., row], titles[0] if not row else "", cmap="gray")
        signed_picture(axes[first + 1], depthwise[..., row], titles[1] if not row else "")
        signed_picture(axes[first + 2], filtered[..., row], titles[2] if not row else "")
    middle = (channels // 2) * (3 + filters)
    for number in range(filters):
        title = pick(f"mixture {number + 1}", f"混合 {number + 1}")
        signed_picture(axes[middle + 3 + number], mixed[..., number], title)
    return finish(
        drawing,
        pick(
            f"A separable convolution: each of {channels} channels with a filter of its own gives one picture "
            f"(stage 1); {filters} mixtures of these pictures come out (stage 2)",
            f"可分離卷積：{channels} 個通道各用自己的濾鏡得到一張圖（第 1 階段），"
            f"再混合成 {filters} 張圖輸出（第 2 階段）",
        ),
    )


def show_shares(sides: Sequence[int], most_filters: int = 512) -> Figure:
    """Show which share of an ordinary convolution's weights a separable one has, by the number of its filters."""
    drawing, (place,) = sheet(1, 1, 5.2, 2.8)
    filters = np.unique(np.geomspace(1, most_filters, 200).astype(int))
    for number, side in enumerate(sides):
        place.plot(
            filters,
            1 / filters + 1 / side**2,
            color=LINE_COLORS[number % 3],
            linestyle=DASHES[number % 3],
            label=f"{side}x{side}",
        )
    place.axhline(1, color=GREY, linewidth=0.8)
    place.set(ylim=(0, 1.3), xscale="log")
    place.set_xlabel(pick("filters", "濾鏡數"), color=INK)
    place.set_ylabel(pick("share of the weights", "權重的比例"), color=INK)
    place.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}")
    place.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    legend(place, "upper right")
    told = "; ".join(f"{side}x{side}: {1 / most_filters + 1 / side**2:.1%}" for side in sides)
    return finish(
        drawing,
        pick(
            f"Weights of a separable convolution as a share of an ordinary one's, falling with the number of filters; "
            f"at {most_filters} filters {told}",
            f"可分離卷積的權重佔一般卷積的比例，濾鏡越多比例越低；{most_filters} 個濾鏡時 {told}",
        ),
    )
