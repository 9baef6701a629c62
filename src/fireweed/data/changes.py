"""How far photos may be changed in training, and the numbers that say how each one is changed; no pixels here.

Every change of a photo is a function of its own few uniform numbers, so that the row of one photo can be made alone.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 16  # uniform numbers a photo's turn has, used or not, so that a setting moves no other setting's numbers


@dataclass(frozen=True)
class AugmentSettings:
    """How far photos may be changed in training; as made without arguments, not at all.

    flip:        mirror each photo in every other epoch, beginning by the photo's own coin. Both views are seen equally
                 often, which beats tossing anew (Jordan, "94% on CIFAR-10 in 3.29 seconds", arXiv 2404.00498).
    saturation:  range of the factor, such as (0, 2), the codelab's; None leaves colours alone.
    brightness:  largest shift up or down, as a fraction of 255.
    contrast:    largest change of the factor 1 up or down.
    crop:        range of the area kept, as a fraction, such as (0.35, 1); None keeps all (Szegedy, arXiv 1409.4842).
    crop_aspect: range of the kept part's width / height.
    cutout:      side of the square greyed out, as a fraction of the photo's side (DeVries, arXiv 1708.04552).
    mixup:       alpha of Beta(alpha, alpha), from which the photo's share is drawn (Zhang et al., arXiv 1710.09412).
    cutmix:      the same for pasting a rectangle (Yun et al., arXiv 1905.04899). With both, a fair coin decides.
    """

    flip: bool = False
    saturation: tuple[float, float] | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    crop: tuple[float, float] | None = None
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    cutout: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    @classmethod
    def none(cls) -> "AugmentSettings":
        """Return the settings that leave every photo as it is."""
        return cls()

    @property
    def mixes(self) -> bool:
        """Whether a photo is mixed with its partner."""
        return self.mixup > 0 or self.cutmix > 0


def no_changes(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return the parameters that leave photos as they are, by their names in `plan.Rows`, for rows of this shape."""
    ones, box = np.ones(shape, np.float32), np.zeros((*shape, 4), np.float32)
    whole = np.broadcast_to(np.array([0, 0, 1, 1], np.float32), box.shape)
    return {
        "flip": np.zeros(shape, bool),
        "saturation": ones,
        "brightness": np.zeros(shape, np.float32),
        "contrast": ones,
        "crop": whole,
        "cutout": box,
        "mix": ones,
        "cutmix": box,
    }


def drawn_changes(augment: AugmentSettings, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Return the parameters of photos, by their names in `plan.Rows`, all but the flip drawn.

    Args:
        augment: how far photos may be changed.
        draws: uniform numbers in [0, 1), float64 of shape (DRAWS, steps, batch).
    """
    changes = no_changes(draws.shape[1:])
    if augment.saturation is not None:
        low, high = augment.saturation
        changes["saturation"] = (low + (high - low) * draws[0]).astype(np.float32)
    changes["brightness"] = (augment.brightness * (2 * draws[1] - 1)).astype(np.float32)
    changes["contrast"] = (1 + augment.contrast * (2 * draws[2] - 1)).astype(np.float32)
    if augment.crop is not None:
        changes["crop"] = _crop_box(augment.crop, augment.crop_aspect, draws[3:7])
    if augment.cutout > 0:
        changes["cutout"] = _box_around(draws[7:9], augment.cutout).astype(np.float32)
    if augment.mixes:
        changes["mix"], changes["cutmix"] = _mixing(augment, draws[9:13])
    return changes


def _mixing(augment: AugmentSettings, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each photo, float32, and the box pasted over it, all zeros where photos are blended."""
    chance_of_cutmix = {(True, True): 0.5, (True, False): 0.0, (False, True): 1.0}[
        augment.mixup > 0, augment.cutmix > 0
    ]
    cuts = draws[0] < chance_of_cutmix
    share = np.where(cuts, _beta(augment.cutmix, draws[1]), _beta(augment.mixup, draws[1]))
    box = np.where(cuts[..., None], _box_around(draws[2:4], np.sqrt(1 - share)), 0.0)
    area = (box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1])
    return np.where(cuts, 1 - area, share).astype(np.float32), box.astype(np.float32)


def _crop_box(area: tuple[float, float], aspect: tuple[float, float], draws: np.ndarray) -> np.ndarray:
    kept = area[0] + (area[1] - area[0]) * draws[0]
    log_low, log_high = np.log(aspect)
    width_to_height = np.exp(log_low + (log_high - log_low) * draws[1])
    height = _rounded(np.minimum(1, np.sqrt(kept / width_to_height)))
    width = _rounded(np.minimum(1, np.sqrt(kept * width_to_height)))
    top, left = _rounded(draws[2] * (1 - height)), _rounded(draws[3] * (1 - width))
    return np.stack([top, left, top + height, left + width], axis=-1).astype(np.float32)


def _box_around(centre: np.ndarray, side: float | np.ndarray) -> np.ndarray:
    """Return boxes of this side around centres of shape (2, ...), cut off at the photo's edges."""
    y, x = _rounded(centre)
    half = _rounded(np.asarray(side) / 2)
    return np.clip(np.stack([y - half, x - half, y + half, x + half], axis=-1), 0.0, 1.0)


def _beta(alpha: float, uniform: np.ndarray) -> np.ndarray:
    """Return draws of Beta(alpha, alpha), each from its one uniform number: the inverse of the distribution function.

    The usual ways reject draws, so a photo's share would depend on how many were rejected before it. Below 1/2 the
    density x^(a-1) (1-x)^(a-1) is, in v = x^a, the bounded (1-x)^(a-1) / a, which is summed up; the rest mirrors it.
    """
    if alpha <= 0:
        return np.ones_like(uniform)
    v = np.linspace(0, 0.5**alpha, 2049)
    density = (1 - v ** (1 / alpha)) ** (alpha - 1)
    summed = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    lower = np.interp(np.minimum(uniform, 1 - uniform), summed * (0.5 / summed[-1]), v) ** (1 / alpha)
    return _rounded(np.where(uniform < 0.5, lower, 1 - lower))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Round to 1/65536: exp and pow differ in their last bit from processor to processor, tables must not."""
    return np.round(values * 65536) / 65536
