"""The checks of lab 4 about separable convolutions: one slid by hand, what it learns, what it works."""

import numpy as np

from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers, refuse


@check
def check_separable(separable: Reader) -> str:
    """Check `separable(cube, depthwise, pointwise)`: one filter for each channel alone, then 1x1 to mix them.

    cube: (height, width, channels); depthwise: (side, side, channels); pointwise: (channels, filters).
    """
    random = np.random.default_rng(8)
    for height, width, channels, side, filters in ((6, 7, 3, 3, 5), (5, 5, 2, 4, 3), (4, 6, 4, 1, 2)):
        cube = random.normal(size=(height, width, channels))
        depthwise, pointwise = random.normal(size=(side, side, channels)), random.normal(size=(channels, filters))
        shape = (height - side + 1, width - side + 1, filters)
        found = numbers(separable, cube, depthwise, pointwise, shape=shape)
        filtered = _filtered(cube, depthwise)
        if close(found, filtered @ pointwise):
            continue
        english = f"for a cube of {height} by {width} by {channels} and filters of side {side} "
        english += "the answer differs from yours"
        chinese = f"立方體為 {height}×{width}×{channels}、濾鏡邊長 {side} 時，正確答案與你的不同"
        summed = filtered.sum(axis=-1, keepdims=True)
        hints = (
            (summed * pointwise.sum(axis=0),
                "In the first stage channels are not added up: each gives a picture of its own",
                "第一階段不把通道相加：每個通道各得到一張圖"),
            (_filtered(cube, np.repeat(depthwise[..., :1], channels, axis=-1)) @ pointwise,
                "Each channel has a filter of its own: `depthwise[..., channel]`",
                "每個通道用自己的濾鏡：`depthwise[..., channel]`"),
            (_filtered(cube, depthwise[::-1, ::-1]) @ pointwise,
                "The filter is turned around", "濾鏡被轉了半圈"),
            (np.maximum(filtered, 0) @ pointwise,
                "There is no relu between the two stages", "兩個階段之間沒有 relu"),
            (np.maximum(filtered @ pointwise, 0), "There is no relu behind it either", "最後也沒有 relu"),
        )  # fmt: skip
        refuse(found, english, chinese, hints)
    return pick(
        "looking around and mixing, each by weights of its own", "「看四周」與「混合通道」各用各的權重，分開進行"
    )


def _filtered(cube: np.ndarray, depthwise: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(cube, depthwise.shape[:2], axis=(0, 1))
    filtered: np.ndarray = np.einsum("yxcij,ijc->yxc", windows, depthwise)
    return filtered


@check
def check_both_weights(both_weights: Reader) -> str:
    """Check `both_weights(side, channels, filters)`: weights of an ordinary and of a separable convolution, a pair."""
    for side, channels, filters in ((4, 3, 5), (3, 128, 256), (3, 728, 728)):
        ordinary, separable = (float(x) for x in numbers(both_weights, side, channels, filters, shape=(2,)))
        right = side * side * channels * filters, side * side * channels + channels * filters
        if close(ordinary, right[0]) and close(separable, right[1]):
            continue
        english = f"side {side}, {channels} channels, {filters} filters: {right[0]:,} and {right[1]:,} weights; "
        english += f"yours are {ordinary:,.0f} and {separable:,.0f}"
        chinese = f"邊長 {side}、{channels} 個通道、{filters} 個濾鏡：{right[0]:,} 與 {right[1]:,} 個權重；你的是 "
        chinese += f"{ordinary:,.0f} 與 {separable:,.0f}"
        if close(ordinary, right[1]) and close(separable, right[0]):
            raise NotYetError(f"{english}. The ordinary one comes first", f"{chinese}。一般卷積要放前面")
        if close(ordinary, right[0] + filters):
            raise NotYetError(f"{english}. Leave the biases out here", f"{chinese}。這裡不算偏差")
        if close(separable, side * side + channels * filters):
            raise NotYetError(
                f"{english}. In the first stage each channel has its own filter", f"{chinese}。第一階段每個通道各有濾鏡"
            )
        if close(separable, side * side * filters + channels * filters):
            raise NotYetError(
                f"{english}. The first stage has a filter for each channel that comes in, not for each that goes out",
                f"{chinese}。第一階段的濾鏡數是輸入的通道數，不是輸出的",
            )
        if close(separable, side * side * channels * channels * filters):
            raise NotYetError(f"{english}. The two stages add up", f"{chinese}。兩個階段的權重是相加")
        raise NotYetError(english, chinese)
    return pick("for the first example 240 and 63, as in the picture", "第一個例子是 240 與 63，和圖中一樣")


@check
def check_both_products(both_products: Reader) -> str:
    """Check `both_products(side, channels, filters, height, width)`: multiply-adds of either, a pair; same padding."""
    for side, channels, filters, height, width in ((4, 3, 5, 1, 1), (4, 3, 5, 32, 32), (3, 128, 256, 19, 24)):
        found = numbers(both_products, side, channels, filters, height, width, shape=(2,))
        each = np.array([side * side * channels * filters, side * side * channels + channels * filters], float)
        right = each * height * width
        if close(found, right):
            continue
        english = f"side {side}, {channels} channels, {filters} filters, {height} by {width} places: "
        english += f"{right[0]:,.0f} and {right[1]:,.0f} multiply-adds; yours are {found[0]:,.0f} and {found[1]:,.0f}"
        chinese = f"邊長 {side}、{channels} 個通道、{filters} 個濾鏡、{height}×{width} 個位置：{right[0]:,.0f} 與 "
        chinese += f"{right[1]:,.0f} 次乘加運算；你的是 {found[0]:,.0f} 與 {found[1]:,.0f}"
        if close(found, each):
            raise NotYetError(
                f"{english}. Every weight is used once at every place of the output",
                f"{chinese}。每個權重在輸出的每個位置都要用一次",
            )
        if close(found, each * height):
            raise NotYetError(f"{english}. Places are height times width", f"{chinese}。位置數是高乘以寬")
        raise NotYetError(english, chinese)
    return pick(
        "weights and multiply-adds shrink by the same factor, whatever the size of the photo",
        "不論相片多大，權重與乘加運算縮小的倍數都一樣",
    )
