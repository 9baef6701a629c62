"""The checks of lab 1: a sliding filter, what a convolution learns, max-pooling, how far a net sees, a net's line."""

from collections.abc import Sequence

import numpy as np

from fireweed.teaching.checks.lines import line_understood
from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers, refuse

NET_SIDE_PX = 96
NET_MOST_PARAMETERS = 20_000
NET_LEAST_REACH_PX = 60


@check
def check_slide(slide: Reader) -> str:
    """Check `slide(photo, weights, bias)`: (height, width, 3) and (side, side, 3) to relu of the sums, no border."""
    random = np.random.default_rng(5)
    for height, width, side, bias in ((6, 6, 3, 0.0), (7, 5, 2, 0.5), (5, 6, 4, -1.0)):
        photo, weights = random.normal(size=(height, width, 3)), random.normal(size=(side, side, 3))
        found = numbers(slide, photo, weights, bias, shape=(height - side + 1, width - side + 1))
        right = _slid(photo, weights, bias)
        if close(found, np.maximum(right, 0.0)):
            continue
        english = f"for a photo of {height} by {width} and a filter of {side} by {side} the answers differ from yours"
        chinese = f"相片 {height}×{width}、濾鏡 {side}×{side} 時，正確的輸出與你的不同"
        plain = right - bias
        hints = (
            (right, "Relu is missing: nothing below 0 comes out", "少了 relu：小於 0 的值要變成 0"),
            (np.maximum(plain, 0.0), "The bias is missing", "少了偏差"),
            (np.maximum(plain, 0.0) + bias, "The bias belongs before relu", "偏差要在 relu 之前加"),
            (
                np.maximum(_slid(photo, weights[::-1, ::-1], bias), 0.0),
                "Your filter is turned around; nets do not turn it", "你的濾鏡轉了 180 度；神經網路不轉濾鏡",
            ),
            (
                np.maximum(_slid(photo[..., :1], weights[..., :1], bias), 0.0),
                "Only the red channel is counted", "只算到紅色通道",
            ),
            (
                np.maximum(_slid(photo.mean(axis=2, keepdims=True), weights.sum(axis=2, keepdims=True), bias), 0.0),
                "The photo is made grey first; each channel has weights of its own",
                "你先把相片變成灰階了；每個通道有自己的權重",
            ),
        )  # fmt: skip
        refuse(found, english, chinese, hints)
    return pick("that is a convolution with one filter", "這就是只有一個濾鏡的卷積")


@check
def check_conv_weights(conv_weights: Reader) -> str:
    """Check `conv_weights(side, channels, filters)`: how many numbers a convolution learns, biases included."""
    for side, channels, filters in ((4, 3, 1), (3, 24, 12), (1, 32, 8), (5, 3, 7)):
        found = float(numbers(conv_weights, side, channels, filters, shape=()))
        right = side * side * channels * filters + filters
        if close(found, right):
            continue
        english = f"{filters} filters of {side} by {side} on {channels} channels are {right:,} numbers"
        english += f"; you count {found:,.0f}"
        chinese = f"{filters} 個 {side}×{side} 濾鏡用在 {channels} 個通道上，共 {right:,} 個數字；你算出 {found:,.0f}"
        if close(found, right - filters):
            raise NotYetError(f"{english}. Each filter has one bias too", f"{chinese}。每個濾鏡還有一個偏差")
        if close(found, right - filters + 1):
            raise NotYetError(f"{english}. Not one bias for all, but one a filter", f"{chinese}。偏差是每個濾鏡一個")
        if close(found, side * side * filters + filters):
            raise NotYetError(
                f"{english}. A filter has weights for every channel", f"{chinese}。濾鏡對每個通道都有權重"
            )
        if close(found, side * side * channels * (filters + 1)):
            raise NotYetError(f"{english}. A bias is one number a filter", f"{chinese}。每個濾鏡的偏差只是一個數字")
        raise NotYetError(english, chinese)
    return pick("and the size of the photo plays no part in it", "而且與相片的大小無關")


@check
def check_max_pool(max_pool: Reader) -> str:
    """Check `max_pool(cube)`: (height, width, channels), even sides, to the largest of each 2 x 2, by channel."""
    random = np.random.default_rng(9)
    for height, width, channels in ((4, 4, 1), (6, 4, 3), (2, 8, 2)):
        cube = random.normal(size=(height, width, channels))
        found = numbers(max_pool, cube, shape=(height // 2, width // 2, channels))
        windows = cube.reshape(height // 2, 2, width // 2, 2, channels)
        if close(found, windows.max(axis=(1, 3))):
            continue
        english = f"for a cube of {height} by {width} by {channels} the answer differs from yours"
        chinese = f"立方體為 {height}×{width}×{channels} 時，正確答案與你的不同"
        if close(found, windows.mean(axis=(1, 3))):
            raise NotYetError(f"{english}. That is the mean: average-pooling", f"{chinese}。你取的是平均：那是平均池化")
        if close(found, np.maximum(windows.max(axis=(1, 3)), 0)):
            raise NotYetError(
                f"{english}. A number below 0 may be the largest too", f"{chinese}。小於 0 的數字也可能是最大值"
            )
        if close(found, cube[::2, ::2]):
            raise NotYetError(
                f"{english}. You keep the first of each window, not the largest",
                f"{chinese}。你留下的是每個視窗的第一個，而不是最大值",
            )
        if close(found, np.broadcast_to(windows.max(axis=(1, 3, 4))[..., None], found.shape)):
            raise NotYetError(f"{english}. Channels must not be mixed", f"{chinese}。不能把不同通道混在一起")
        raise NotYetError(english, chinese)
    return pick("half as high, half as wide, as many channels", "高與寬各剩一半，通道數不變")


@check
def check_reach(reach: Reader) -> str:
    """Check `reach(layers)`: pairs (side of the window, stride) to the side of what one output sees, in pixels."""
    for layers in (
        [(3, 1)],
        [(3, 1), (3, 1)],
        [(5, 1)],
        [(3, 1), (2, 2), (3, 1)],
        [(3, 2), (3, 2), (3, 1), (2, 2), (3, 1)],
    ):
        found = float(numbers(reach, layers, shape=()))
        right = _reach(layers)
        if close(found, right):
            continue
        english = f"through the layers {layers} one output sees {right} pixels, but you say {found:g}"
        chinese = f"經過 {layers} 這幾層，一個輸出看得到 {right} 個像素，但你的答案是 {found:g}"
        if close(found, 1 + sum(side - 1 for side, _ in layers)):
            raise NotYetError(
                f"{english}. Behind a stride of 2 every step is worth 2 pixels of the photo",
                f"{chinese}。在步幅 2 之後，每走一格相當於相片上的 2 個像素",
            )
        if close(found, sum(side for side, _ in layers)):
            raise NotYetError(
                f"{english}. Windows overlap: each adds its side less 1", f"{chinese}。視窗會重疊：每層只多出邊長減 1"
            )
        raise NotYetError(english, chinese)
    return pick("windows add up, and strides stretch all that comes after", "視窗會累加，而步幅會放大之後的每一步")


@check
def check_net_line(line: str) -> str:
    """Check a net written as a line of text: few enough weights, and an answer that sees enough of the photo."""
    from fireweed.api import build_model
    from fireweed.models.cost import layer_costs, total_cost

    with line_understood(line, "conv 16 | pool | conv 32 | gap"):
        model = build_model(line, classes=5, side=NET_SIDE_PX)
    numbers_learned = total_cost(model).parameters
    widest = max((layer.receptive_field_px for layer in layer_costs(model) if len(layer.output_shape) == 3), default=0)
    if numbers_learned > NET_MOST_PARAMETERS:
        raise NotYetError(
            f"your net has {numbers_learned:,} parameters; "
            f"{NET_MOST_PARAMETERS:,} are allowed. Fewer filters, or 1x1 ones",
            f"你的網路有 {numbers_learned:,} 個參數，上限是 {NET_MOST_PARAMETERS:,}。請減少濾鏡，或改用 1x1",
        )
    if widest < NET_LEAST_REACH_PX:
        raise NotYetError(
            f"one place of your last cube sees {widest} px of the photo; "
            f"{NET_LEAST_REACH_PX} are wanted. Pools and strides widen it",
            f"最後一個立方體的一格只看得到相片的 {widest} px，至少要 {NET_LEAST_REACH_PX} px。池化與步幅會讓它變寬",
        )
    return pick(
        f"{numbers_learned:,} parameters, and each place of the last cube sees {widest} px of the photo",
        f"{numbers_learned:,} 個參數，最後一個立方體的每一格看得到相片的 {widest} px",
    )


def _slid(photo: np.ndarray, weights: np.ndarray, bias: float) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(photo, weights.shape)[:, :, 0]
    return np.einsum("yxijc,ijc->yx", windows, weights) + bias


def _reach(layers: Sequence[tuple[int, int]]) -> int:
    seen, step = 1, 1
    for side, stride in layers:
        seen += (side - 1) * step
        step *= stride
    return seen
