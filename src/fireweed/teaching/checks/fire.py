"""The checks of lab 3 about fire modules: one written in Keras, what it has to learn, a net of them as a line."""

from typing import Any

import numpy as np

from fireweed.teaching.checks.lines import line_understood
from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers, refuse, returned

NET_SIDE_PX = 32
NET_MOST_PARAMETERS = 40_000
NET_MOST_MULTIPLY_ADDS = 4_000_000
POOLS = (2, 4)
FIRES_IN_A_ROW = 3


@check
def check_fire(fire: Reader) -> str:
    """Check `fire(x, squeeze, expand)`: 1x1 to `squeeze` filters, then 1x1 beside 3x3 of `expand` / 2 each, joined."""
    import keras

    channels, squeeze, expand = 7, 4, 10
    x = keras.Input((6, 6, channels))
    y = returned(fire, x, squeeze, expand)
    if not isinstance(y, keras.KerasTensor):
        kind = type(y).__name__
        raise NotYetError(
            f"your function should give back the tensor that comes out of the last layer, but it gives a {kind}",
            f"函式應該傳回最後一層輸出的張量，但你傳回的是 {kind}",
        )
    model = keras.Model(x, y)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    _check_shape(y.shape, (None, 6, 6, expand))
    parts = _check_joints(convolutions, squeeze, expand)
    random = np.random.default_rng(4)
    photo = random.normal(size=(2, 6, 6, channels)).astype(np.float32)
    for layer in convolutions:
        layer.set_weights([random.normal(size=weight.shape) * 0.5 for weight in layer.get_weights()])
    found = keras.ops.convert_to_numpy(model(photo))
    # A norm of fresh weights changes numbers by half a thousandth and may be there already.
    if not _agrees(found, _burnt(photo, *parts, has_relu=True)):
        if _agrees(found, _burnt(photo, *parts, has_relu=False)):
            raise NotYetError(
                'the layers are the right ones, but without relu: activation="relu" in each of the three',
                '層都對了，但少了 relu：三個卷積都要有 activation="relu"',
            )
        raise NotYetError(
            "the layers are there, but what comes out is not what they make of the squeezed channels, side by side, "
            "with relu in all three",
            "層都在，但輸出不是壓縮後的通道並列經過它們的結果（三層都要有 relu）",
        )
    return pick(
        f"{channels} channels squeezed to {squeeze}, then expanded to {expand}: half by 1x1, half by 3x3",
        f"{channels} 個通道先壓縮成 {squeeze} 個，再擴張成 {expand} 個：一半由 1x1，一半由 3x3",
    )


def _check_shape(found: tuple[int | None, ...], right: tuple[int | None, ...]) -> None:
    if found == right:
        return
    english = f"the module should make (photos, 6, 6, 7) into (photos, {right[1]}, {right[2]}, {right[3]}) for squeeze "
    english += f"4 and expand {right[3]}, but yours gives (photos, {', '.join(map(str, found[1:]))})"
    chinese = f"squeeze 為 4、expand 為 {right[3]} 時，模組應把 (相片, 6, 6, 7) 變成 "
    chinese += f"(相片, {right[1]}, {right[2]}, {right[3]})，但你的是 (相片, {', '.join(map(str, found[1:]))})"
    if found[1:3] != right[1:3]:
        raise NotYetError(
            f'{english}. padding="same" keeps height and width', f'{chinese}。padding="same" 才能保持高與寬'
        )
    if found[3] == 2 * (right[3] or 0):
        raise NotYetError(
            f"{english}. Each of the two expanding layers has half of `expand` filters",
            f"{chinese}。兩個擴張層各有 `expand` 的一半濾鏡",
        )
    raise NotYetError(english, chinese)


def _check_joints(convolutions: list[Any], squeeze: int, expand: int) -> tuple[Any, Any, Any]:
    """Return the squeezing layer, the 1x1 and the 3x3, each with what it should have and joined as it should be."""
    sizes = sorted(layer.kernel_size[0] for layer in convolutions)
    if sizes != [1, 1, 3]:
        told = ", ".join(f"{size}x{size}" for size in sizes) or "-"
        raise NotYetError(
            f"three convolutions are wanted, 1x1, 1x1 and 3x3, but yours are: {told}",
            f"需要三個卷積：1x1、1x1 與 3x3，但你的是：{told}",
        )
    sources = {layer.name: layer.input._keras_history.operation.name for layer in convolutions}
    wide = next(layer for layer in convolutions if layer.kernel_size[0] == 3)
    small = [layer for layer in convolutions if layer.kernel_size[0] == 1]
    squeezing = [layer for layer in small if isinstance(layer.input._keras_history.operation, _input_layer())]
    if len(squeezing) != 1:
        raise NotYetError(
            "only the squeezing 1x1 looks at the module's input; both expanding layers look at what it gives",
            "只有負責壓縮的 1x1 直接看模組的輸入；兩個擴張層看的都是它的輸出",
        )
    first = squeezing[0]
    other = next(layer for layer in small if layer is not first)
    if sources[wide.name] != sources[other.name] or isinstance(wide.input._keras_history.operation, _input_layer()):
        raise NotYetError(
            "the two expanding layers lie side by side: both take what the squeezing layer gives",
            "兩個擴張層是並列的：輸入都是壓縮層的輸出",
        )
    if first.filters != squeeze or other.filters != expand // 2 or wide.filters != expand // 2:
        raise NotYetError(
            f"for squeeze {squeeze} and expand {expand} the layers have {squeeze}, {expand // 2} and {expand // 2} "
            f"filters; yours {first.filters}, {other.filters} and {wide.filters}",
            f"squeeze 為 {squeeze}、expand 為 {expand} 時，三層的濾鏡數是 {squeeze}、{expand // 2}、{expand // 2}；"
            f"你的是 {first.filters}、{other.filters}、{wide.filters}",
        )
    return first, other, wide


def _input_layer() -> type:
    from keras import layers

    return layers.InputLayer


def _burnt(photo: np.ndarray, first: Any, other: Any, wide: Any, *, has_relu: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what the two expanding layers give, worked out from the layers' weights alone."""
    import keras

    def conv(x: Any, layer: Any) -> Any:
        kernel, bias = layer.get_weights() if layer.use_bias else (*layer.get_weights(), 0.0)
        y = keras.ops.conv(x, kernel, padding="same") + bias
        return keras.ops.relu(y) if has_relu else y

    x = conv(keras.ops.convert_to_tensor(photo), first)
    return keras.ops.convert_to_numpy(conv(x, other)), keras.ops.convert_to_numpy(conv(x, wide))


def _agrees(found: np.ndarray, halves: tuple[np.ndarray, np.ndarray]) -> bool:
    orders = (halves, halves[::-1])
    return any(np.allclose(found, np.concatenate(order, axis=-1), rtol=5e-3, atol=5e-3) for order in orders)


@check
def check_fire_weights(fire_weights: Reader) -> str:
    """Check `fire_weights(channels, squeeze, expand)`: the numbers of a fire module, biases included, norms not."""
    for channels, squeeze, expand in ((32, 24, 48), (96, 16, 128), (3, 8, 10)):
        found = float(numbers(fire_weights, channels, squeeze, expand, shape=()))
        right, half = _fire_numbers(channels, squeeze, expand), expand // 2
        if close(found, right):
            continue
        english = f"a fire module of squeeze {squeeze} and expand {expand} on {channels} channels has {right:,} numbers"
        english += f"; you count {found:,.0f}"
        chinese = f"{channels} 個通道、squeeze {squeeze}、expand {expand} 的 fire 模組共有 {right:,} 個數字；"
        chinese += f"你算出 {found:,.0f}"
        hints = (
            (right - squeeze - expand, "Each filter has a bias too", "每個濾鏡還有一個偏差"),
            (
                _fire_numbers(channels, squeeze, 2 * expand),
                "The two expanding layers share the `expand` filters, half each",
                "兩個擴張層平分 `expand` 個濾鏡，各一半",
            ),
            (
                (channels + 1) * squeeze + (channels + 1) * half + (9 * channels + 1) * half,
                "The expanding layers see the squeezed channels, not the module's input",
                "擴張層看到的是壓縮後的通道，而不是模組的輸入",
            ),
            (
                (channels + 1) * squeeze + 2 * (squeeze + 1) * half,
                "A 3x3 filter has nine weights a channel",
                "3x3 濾鏡每個通道有九個權重",
            ),
        )
        refuse(found, english, chinese, hints)
    plain = (9 * 96 + 1) * 128
    share = _fire_numbers(96, 16, 128) / plain
    return pick(
        f"from 96 channels to 128 a fire module with squeeze 16 has {share:.0%} of the numbers of a plain 3x3 layer",
        f"由 96 個通道變成 128 個時，squeeze 為 16 的 fire 模組只需一般 3x3 層的 {share:.0%}",
    )


def _fire_numbers(channels: int, squeeze: int, expand: int) -> int:
    half = expand // 2
    return (channels + 1) * squeeze + (squeeze + 1) * half + (9 * squeeze + 1) * half


@check
def check_fire_line(line: str) -> str:
    """Check a net of fire modules as a line of text: its pools, its modules, and what it costs."""
    from fireweed.api import build_model
    from fireweed.models.cost import total_cost
    from fireweed.models.spec import parse_line

    with line_understood(line, "conv 16 | pool | fire 8 16 | pool | fire 8 16 | gap"):
        blocks = list(parse_line(line).repeated())
        model = build_model(line, classes=5, side=NET_SIDE_PX)
    _check_plan([(block.word, block.values) for block in blocks])
    cost = total_cost(model)
    for found, most, english, chinese in (
        (cost.parameters, NET_MOST_PARAMETERS, "parameters", "個參數"),
        (cost.multiply_adds, NET_MOST_MULTIPLY_ADDS, "multiply-adds", "次乘加運算"),
    ):
        if found > most:
            raise NotYetError(
                f"your net has {found:,} {english} at {NET_SIDE_PX} px; {most:,} are allowed. "
                "What comes before the first pools costs most multiply-adds, wide modules most parameters",
                f"你的網路在 {NET_SIDE_PX} px 時有 {found:,} {chinese}，上限是 {most:,}。"
                "最前面的池化之前最耗乘加運算，濾鏡多的模組最耗參數",
            )
    return pick(
        f"{cost.parameters:,} parameters and {cost.multiply_adds:,} multiply-adds for a photo of {NET_SIDE_PX} px",
        f"{cost.parameters:,} 個參數，{NET_SIDE_PX} px 的相片需要 {cost.multiply_adds:,} 次乘加運算",
    )


def _check_plan(blocks: list[tuple[str, tuple[Any, ...]]]) -> None:
    words = [word for word, _ in blocks]
    pools = words.count("pool")
    if not POOLS[0] <= pools <= POOLS[1]:
        raise NotYetError(
            f"{POOLS[0]} to {POOLS[1]} pools are wanted, yours has {pools}",
            f"需要 {POOLS[0]} 到 {POOLS[1]} 個 pool，你的有 {pools} 個",
        )
    if words[0] != "conv" or words[-1] != "gap":
        raise NotYetError("it should begin with a `conv` and end with `gap`", "請以一個 `conv` 開頭、以 `gap` 結尾")
    stretches = " ".join(words[1:-1]).split("pool")
    between = [stretch.split().count("fire") for stretch in stretches[1:-1]]
    if any(not 1 <= count <= FIRES_IN_A_ROW for count in between) or "fire" not in words:
        raise NotYetError(
            f"between two pools 1 to {FIRES_IN_A_ROW} fire modules are wanted, yours has: {between}",
            f"兩個 pool 之間需要 1 到 {FIRES_IN_A_ROW} 個 fire 模組，你的是：{between}",
        )
    for word, values in blocks:
        if word == "fire" and values[0] >= values[1]:
            raise NotYetError(
                f"`fire {values[0]} {values[1]}` does not squeeze: the first number should be the smaller one",
                f"`fire {values[0]} {values[1]}` 沒有壓縮：第一個數字應該比較小",
            )
