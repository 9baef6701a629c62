"""The checks of lab 3 about batch norm: the calculation, and how quickly its statistics follow."""

import numpy as np

from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, close, numbers, refuse

EPSILON = 0.001


@check
def check_batch_norm(batch_norm: Reader) -> str:
    """Check `batch_norm(cubes, scale, shift)`: each channel over the batch to mean 0 and spread 1, scaled, shifted."""
    random = np.random.default_rng(5)
    for shape in ((4, 3, 3, 2), (2, 5, 4, 3)):
        cubes = random.normal(random.uniform(-3, 3, shape[-1]), random.uniform(0.5, 4, shape[-1]), shape)
        scale, shift = random.uniform(0.5, 2, shape[-1]), random.normal(size=shape[-1])
        found = numbers(batch_norm, cubes, scale, shift, shape=shape)
        if close(found, _normed(cubes, (0, 1, 2)) * scale + shift):
            continue
        english = f"for cubes of shape {shape} the answer differs from yours"
        chinese = f"形狀為 {shape} 的立方體，正確答案與你的不同"
        spread = cubes.std(axis=(0, 1, 2)) ** 2 + EPSILON
        hints = (
            (_normed(cubes, (0, 1, 2)),
                "Scale and shift, which the net learns, are left out", "漏了網路要學的 scale 與 shift"),
            (_normed(cubes, (0,)) * scale + shift,
                "You take the mean over the photos alone: a channel has one mean, over photos, rows and columns",
                "你只對相片取平均：每個通道只有一個平均，要對相片、列、行一起算"),
            (_normed(cubes, (1, 2)) * scale + shift,
                "You norm each photo by itself: take the mean over the batch too",
                "你讓每張相片各自正規化：平均也要跨越整個批次"),
            (_normed(cubes, (0, 1, 2, 3)) * scale + shift,
                "Channels must not be mixed: each has a mean and a spread of its own",
                "不能混合通道：每個通道有自己的平均與離散"),
            ((cubes - cubes.mean(axis=(0, 1, 2))) / spread * scale + shift,
                "Divide by the square root of the variance", "要除以變異數的平方根"),
            ((cubes - cubes.mean(axis=(0, 1, 2))) / (np.sqrt(spread - EPSILON) + EPSILON) * scale + shift,
                "The 0.001 belongs under the root", "0.001 要放在根號裡"),
            ((cubes - cubes.mean(axis=(0, 1, 2))) / np.sqrt(spread - EPSILON) * scale + shift,
                "The 0.001 is left out", "漏了 0.001"),
            ((cubes - cubes.mean(axis=(0, 1, 2))) * scale + shift,
                "The mean is taken away, but the spread is still what it was", "平均減掉了，但離散還是原來的"),
        )  # fmt: skip
        refuse(found, english, chinese, hints)
    return pick(
        "whatever scale a channel came in, it leaves with the one that the net has learned for it",
        "不論通道原本的尺度如何，出來時都是網路為它學到的尺度",
    )


def _normed(cubes: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    mean, variance = cubes.mean(axis=axes, keepdims=True), cubes.var(axis=axes, keepdims=True)
    normed: np.ndarray = (cubes - mean) / np.sqrt(variance + EPSILON)
    return normed


@check
def check_epochs_to_forget(epochs_to_forget: Reader) -> str:
    """Check `epochs_to_forget(momentum, steps_per_epoch, share)`: whole epochs until less than `share` is left."""
    for momentum, steps, share in ((0.9, 12, 0.01), (0.99, 12, 0.01), (0.99, 94, 0.01), (0.5, 1, 0.3)):
        found = float(numbers(epochs_to_forget, momentum, steps, share, shape=()))
        exact = np.log(share) / np.log(momentum) / steps
        right = int(np.ceil(exact))
        if close(found, right):
            continue
        left = momentum ** (steps * right)
        english = f"with momentum {momentum} and {steps} steps an epoch, {left:.4f} of the beginning is left after "
        english += f"{right} epochs, the first time below {share}; your answer is {found:g}"
        chinese = f"動量 {momentum}、每個週期 {steps} 步時，{right} 個週期之後起始值只剩 {left:.4f}，首次低於 {share}；"
        chinese += f"你的答案是 {found:g}"
        if close(found, exact) or close(found, np.floor(exact)):
            raise NotYetError(f"{english}. Count whole epochs, rounded up", f"{chinese}。請算整數個週期，無條件進位")
        if close(found, np.ceil(exact * steps)):
            raise NotYetError(f"{english}. That is a number of steps", f"{chinese}。你算的是步數")
        if close(found, np.ceil(np.log(share) / np.log(1 - momentum) / steps)):
            raise NotYetError(
                f"{english}. Each step keeps the share `momentum` of the old value, not 1 − momentum",
                f"{chinese}。每一步保留的是舊值的 momentum 倍，不是 1 − momentum",
            )
        raise NotYetError(english, chinese)
    return pick(
        "with 0.9 the statistics are those of the net within a few epochs, with 0.99 only on large sets",
        "動量 0.9 時，統計值幾個週期內就跟上網路；0.99 只適合大的資料集",
    )
