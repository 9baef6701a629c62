"""The checks of lab 4 about fine-tuning: a net frozen but for its head, a learning rate that ramps, holds, decays."""

import math
from typing import Any

from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers


@check
def check_freeze(freeze: Reader) -> str:
    """Check `freeze(model)`: every layer but the last is frozen; what it gives back does not matter."""
    model = _small_net()
    try:
        freeze(model)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise NotYetError(f"your code stops with an error. {what}", f"程式因錯誤而停止。{what}") from error
    left = [weight.path for weight in model.trainable_weights]
    head = [weight.path for weight in model.layers[-1].weights]
    if not left and model.layers[-1].trainable:
        raise NotYetError(
            "the head may learn, but it is told so in vain: a model whose own `trainable` is False trains none of its "
            "layers. Set it on the layers",
            "分類頭雖然設成可訓練，卻沒有用：模型本身的 `trainable` 是 False 時，任何一層都不會訓練。請改成對各層設定",
        )
    if not left:
        raise NotYetError(
            "nothing is trainable any more, the head neither: nothing could be learned. Leave the last layer out",
            "現在什麼都不能訓練了，連分類頭也是：什麼都學不到。請留下最後一層",
        )
    if len(left) == len(_small_net().trainable_weights):
        raise NotYetError(
            "all weights are still trainable; set `layer.trainable = False` for the layers before the last",
            "所有權重都還能訓練；請對最後一層以外的層設定 `layer.trainable = False`",
        )
    if not set(head) <= set(left):
        raise NotYetError(
            "the head is frozen and other layers are not: it is the other way round",
            "分類頭凍結了，別的層卻沒有：剛好相反",
        )
    extra = sorted(set(left) - set(head))
    if extra:
        raise NotYetError(
            f"these can still be trained: {', '.join(extra)}; only the last layer should",
            f"這些還能訓練：{', '.join(extra)}；只有最後一層應該可以",
        )
    total = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return pick(
        f"{total} of {model.count_params()} numbers are left to learn: those of the head",
        f"{model.count_params()} 個數字中只剩 {total} 個要學：就是分類頭的",
    )


def _small_net() -> Any:
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((8, 8, 3)),
            layers.SeparableConv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ]
    )


@check
def check_learning_rate(learning_rate: Reader) -> str:
    """Check `learning_rate(epoch, start, peak, floor, ramp, sustain, decay)`: the rate of an epoch, counted from 0."""
    for start, peak, floor, ramp, sustain, decay in (
        (1e-5, 4e-4, 1e-5, 5, 0, 0.8),
        (1e-3, 1e-2, 1e-4, 4, 3, 0.5),
        (0.0, 1.0, 0.2, 2, 2, 0.75),
    ):
        for epoch in range(ramp + sustain + 5):
            found = float(numbers(learning_rate, epoch, start, peak, floor, ramp, sustain, decay, shape=()))
            right = _rate(epoch, start, peak, floor, ramp, sustain, decay)
            if not abs(found - right) <= 1e-3 * right + 1e-12:
                _explain(found, right, epoch, (start, peak, floor, ramp, sustain, decay))
    return pick(
        "up in a line, held, and down by the same factor each epoch",
        "先直線上升，維持一段，再每個週期以相同的倍數下降",
    )


def _explain(found: float, right: float, epoch: int, plan: tuple[float, float, float, int, int, float]) -> None:
    start, peak, floor, ramp, sustain, decay = plan
    english = f"start {start:g}, peak {peak:g}, floor {floor:g}, ramp {ramp}, sustain {sustain}, decay {decay:g}: "
    english += f"in epoch {epoch} the rate is {right:.3g}, but yours is {found:.3g}"
    chinese = f"start {start:g}、peak {peak:g}、floor {floor:g}、ramp {ramp}、sustain {sustain}、decay {decay:g}："
    chinese += f"週期 {epoch} 的學習率應為 {right:.3g}，但你的是 {found:.3g}"
    after = epoch - ramp - sustain
    hint, chinese_hint = "", ""
    if epoch < ramp:
        hint, chinese_hint = (
            "While it ramps it goes from `start` in epoch 0 to `peak` in epoch `ramp`, in equal steps",
            "上升期間由週期 0 的 `start` 等距升到週期 `ramp` 的 `peak`",
        )
    elif after < 0:
        hint, chinese_hint = "It is held at `peak` for `sustain` epochs", "在 `peak` 維持 `sustain` 個週期"
    elif close(found, peak * decay**after):
        hint, chinese_hint = "It decays towards `floor`, not towards 0", "下降的終點是 `floor`，不是 0"
    elif close(found, floor + (peak - floor) * decay**epoch):
        hint, chinese_hint = "Count the decay from the end of the hold on", "下降要從維持結束後開始算"
    else:
        hint, chinese_hint = (
            "Its distance from `floor` is multiplied by `decay` in each epoch after the hold",
            "維持之後，它與 `floor` 的距離每個週期乘上 `decay`",
        )
    raise NotYetError(f"{english}. {hint}", f"{chinese}。{chinese_hint}")


def _rate(epoch: int, start: float, peak: float, floor: float, ramp: int, sustain: int, decay: float) -> float:
    if epoch < ramp:
        return start + (peak - start) * epoch / ramp
    return floor + (peak - floor) * float(decay ** max(0, epoch - ramp - sustain))
