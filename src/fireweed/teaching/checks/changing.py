"""The check of lab 3's exercise on augmentation: photos changed at random, in the right way and only as far."""

import numpy as np

from fireweed.teaching.language import pick
from fireweed.teaching.verdict import NotYetError, Reader, check, returned

_TRIES = 300


@check
def check_augment(augment: Reader) -> str:
    """Check `augment(photo, random)`: mirrored in half of all calls, saturation times a factor from 0 to 2."""
    photo = _photo()
    random = np.random.default_rng(6)
    answers = [_answer(augment, photo, random) for _ in range(_TRIES)]
    brightest = photo.max(axis=-1)
    is_same = np.array([np.abs(answer.max(axis=-1) - brightest).max() <= 1 for answer in answers])
    is_mirrored = np.array([np.abs(answer.max(axis=-1) - brightest[:, ::-1]).max() <= 1 for answer in answers])
    is_upside_down = np.array([np.abs(answer.max(axis=-1) - brightest[::-1]).max() <= 1 for answer in answers])
    if is_upside_down.any():
        raise NotYetError(
            "some photos come back upside down; mirror left and right only: `photo[:, ::-1]`",
            "有些相片上下顛倒了；只要左右翻轉：`photo[:, ::-1]`",
        )
    if not (is_same | is_mirrored).all():
        raise NotYetError(
            "some photos come back changed in another way than mirrored and in their saturation",
            "有些相片的改變不是左右翻轉也不是飽和度",
        )
    share = is_mirrored.mean()
    if not 0.4 < share < 0.6:
        raise NotYetError(
            f"of {_TRIES} photos {share:.0%} come back mirrored; half of them should, each by a chance of its own "
            "(`random.random() < 0.5`)",
            f"{_TRIES} 張相片中有 {share:.0%} 被翻轉；應該是一半，每張各自隨機決定（`random.random() < 0.5`）",
        )
    factors = np.array([_chroma(answer) / _chroma(photo) for answer in answers])
    _check_factors(factors)
    _check_independence(factors[is_mirrored].mean(), factors[~is_mirrored].mean())
    return pick(
        f"of {_TRIES} calls {share:.0%} mirrored, from grey to twice as colourful; the label stays what it was",
        f"{_TRIES} 次呼叫中有 {share:.0%} 翻轉，顏色由灰到兩倍鮮豔；標籤維持不變",
    )


def _check_factors(factors: np.ndarray) -> None:
    if np.ptp(factors) < 0.05:
        raise NotYetError(
            f"all photos come back with {factors.mean():.2f} times their saturation; draw a new factor for each",
            f"所有相片的飽和度都是原來的 {factors.mean():.2f} 倍；請為每張重新抽一個倍數",
        )
    if factors.min() > 0.25 or factors.max() < 1.75 or factors.max() > 2.1 or not 0.85 < factors.mean() < 1.15:
        raise NotYetError(
            f"the factors of saturation go from {factors.min():.2f} to {factors.max():.2f}, on the mean "
            f"{factors.mean():.2f}; they should be spread evenly from 0 to 2 (`random.uniform(0, 2)`)",
            f"飽和度的倍數由 {factors.min():.2f} 到 {factors.max():.2f}，平均 {factors.mean():.2f}；"
            "應該均勻分布在 0 到 2 之間（`random.uniform(0, 2)`）",
        )


def _check_independence(mirrored: float, others: float) -> None:
    if abs(mirrored - others) > 0.35:  # five times what chance makes of it
        raise NotYetError(
            f"mirrored photos have {mirrored:.2f} times their saturation on the mean, the others {others:.2f} times; "
            "draw the two by random numbers of their own",
            f"翻轉的相片，飽和度平均是原來的 {mirrored:.2f} 倍，其他的是 {others:.2f} 倍；兩者要各用一個隨機數",
        )


def _answer(augment: Reader, photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    given = photo.copy()
    answer = returned(lambda: augment(given, random))
    if not isinstance(answer, np.ndarray) or answer.shape != photo.shape:
        raise NotYetError(
            f"a photo of shape {photo.shape} should come back, as an array", f"應該傳回形狀為 {photo.shape} 的相片陣列"
        )
    if not np.array_equal(given, photo):
        raise NotYetError(
            "the photo that was given is changed itself; the next epoch needs it as it was, so work on a copy",
            "你改動了原本的相片；下一個週期還要用它，請改在複本上",
        )
    return answer.astype(np.float64)


def _chroma(photo: np.ndarray) -> float:
    return float((photo.max(axis=-1) - photo.min(axis=-1)).mean())


def _photo() -> np.ndarray:
    """Return a photo of pale colours, no two of its quarters alike, whose saturation can be doubled."""
    random = np.random.default_rng(7)
    brightest = random.integers(150, 250, (8, 8, 1))
    return np.clip(brightest * (1 - random.uniform(0, 0.4, (8, 8, 3)) * [1, 0, 1]), 0, 255).astype(np.uint8)
