"""The changes of photos in training, one stateless function each: pixels and parameters in, pixels out.

Images are uint8 RGB of shape (height, width, 3). None is written to: a function returns a new image, or the very one it
got when the parameters leave it as it is. All run outside Python's lock, so threads share the work.

Mirroring and colours are one call of a compiled kernel for all photos of a step, where there are kernels, else OpenCV's
functions photo by photo. Both compute the same formulas; whether they are there may change a value that lies halfway
between two levels, by one level a change. Either of them repeats its own results to the bit.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from fireweed.data.plan import Rows
from fireweed.kernels import colours
from fireweed.kernels.native import empty, library

GREY = 128  # of what cutout hides


def apply_step(
    photos: Sequence[np.ndarray], rows: Rows, step: int, side_px: int, partners: Sequence[np.ndarray | None]
) -> np.ndarray:
    """Change the photos of one step as its row of the table says; return uint8 (batch, side, side, 3).

    In this order: crop and resize, flip, saturation, brightness, contrast, cutout, mixing. The partner is cropped,
    flipped and coloured like the photo, but nothing of it is hidden.

    Args:
        photos: the photos' squares, uint8 of shape (side, side, 3) each.
        rows: steps of a plan.
        step: which of them.
        side_px: side of the squares returned.
        partners: the squares that are mixed in; may be None where `rows.mix` is 1.
    """
    images = _recoloured(photos, rows, (step, slice(None)), side_px)
    for i in np.flatnonzero(rows.cutout[step].any(axis=-1)).tolist():
        images[i] = cutout(images[i], rows.cutout[step, i])
    mixed = np.flatnonzero(rows.mix[step] != 1.0).tolist()
    given = [partner for i in mixed if (partner := partners[i]) is not None]
    if len(given) < len(mixed):
        raise ValueError("this step of the table mixes photos with their partners, which were not all given")
    for i, other in zip(mixed, _recoloured(given, rows, (step, mixed), side_px) if mixed else (), strict=True):
        box = rows.cutmix[step, i]
        images[i] = cutmix(images[i], other, box) if box.any() else mixup(images[i], other, float(rows.mix[step, i]))
    return images


def crop_resize(image: np.ndarray, box: np.ndarray, side_px: int, out: np.ndarray | None = None) -> np.ndarray:
    """Cut out the box (y0, x0, y1, x1 in fractions, rounded to pixels) and bring it to `side_px` x `side_px`.

    Shrinking averages areas, so that nothing aliases; enlarging is bilinear. What has to be resized is written into
    `out`, if it is given.
    """
    cut = image[_pixels(image, box)]
    height, width = cut.shape[:2]
    if height == width == side_px:
        return cut
    method = cv2.INTER_AREA if min(height, width) >= side_px else cv2.INTER_LINEAR
    return cv2.resize(cut, (side_px, side_px), dst=out, interpolation=method)


def flip(image: np.ndarray, mirrored: bool) -> np.ndarray:
    """Swap left and right, if `mirrored`."""
    return cv2.flip(image, 1) if mirrored else image


def saturate(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply the saturation (of hue, saturation, value) by a factor >= 0 and cut it off at its most: 0 makes grey.

    With V the largest and m the smallest of a pixel's channels, channel c becomes V - (V - c) min(factor, V / (V - m)).
    That equals `tf.image.adjust_saturation`, which goes through hue and back, up to rounding to 8 bits.
    """
    if factor == 1.0:
        return image
    red, green, blue = cv2.split(image)
    value = cv2.max(cv2.max(red, green), blue)
    if factor < 1.0:  # V / (V - m) is 1 at least, so the formula is a weighted mean of channel and V
        return cv2.addWeighted(image, factor, cv2.merge((value, value, value)), 1.0 - factor, 0.0)
    chroma = cv2.subtract(value, cv2.min(cv2.min(red, green), blue))
    # Where the chroma is 0 the pixel is grey, V - c is 0, and any finite number does.
    stretch = np.minimum(cv2.divide(value, np.maximum(chroma, 1), dtype=cv2.CV_32F), np.float32(factor))
    channels = (
        cv2.subtract(value, cv2.multiply(cv2.subtract(value, channel), stretch, dtype=cv2.CV_8U))
        for channel in (red, green, blue)
    )
    return cv2.merge(tuple(channels))


def brighten(image: np.ndarray, shift: float) -> np.ndarray:
    """Add `shift`, a fraction of 255, to all values, as `tf.image.adjust_brightness` does; cut off at 0 and 255."""
    if shift == 0.0:
        return image
    return cv2.LUT(image, _table(np.arange(256.0) + 255.0 * shift))


def stretch_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply each value's distance from its channel's mean by a factor, as `tf.image.adjust_contrast` does."""
    if factor == 1.0:
        return image
    means = np.array(cv2.mean(image)[:3])
    return cv2.LUT(image, _table((np.arange(256.0)[:, None] - means) * factor + means)[None])


def cutout(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Hide the box (y0, x0, y1, x1 in fractions) under grey; an empty box hides nothing."""
    if not box.any():
        return image
    hidden = image.copy()
    hidden[_pixels(image, box)] = GREY
    return hidden


def mixup(image: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Blend two images: `share` of the first, the rest of the other."""
    if share == 1.0:
        return image
    return cv2.addWeighted(image, share, other, 1.0 - share, 0.0)


def cutmix(image: np.ndarray, other: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Paste the box (y0, x0, y1, x1 in fractions) of the other image over the first, at the same place."""
    if not box.any():
        return image
    pasted = image.copy()
    pasted[_pixels(image, box)] = other[_pixels(image, box)]
    return pasted


def _recoloured(photos: Sequence[np.ndarray], rows: Rows, places: tuple[int, Any], side_px: int) -> np.ndarray:
    """Return photos, each cropped, flipped and coloured as its place in the table says, as one array."""
    images = empty((len(photos), side_px, side_px, 3), np.uint8)
    boxes = rows.crop[places]
    cut = [crop_resize(photo, box, side_px, image) for photo, box, image in zip(photos, boxes, images, strict=True)]
    mirrored, saturation = rows.flip[places], rows.saturation[places]
    brightness, contrast = rows.brightness[places], rows.contrast[places]
    if library() is not None:
        colours.recolour(cut, mirrored, saturation, brightness, contrast, images)
        return images
    for i, image in enumerate(cut):
        image = saturate(flip(image, bool(mirrored[i])), float(saturation[i]))
        images[i] = stretch_contrast(brighten(image, float(brightness[i])), float(contrast[i]))
    return images


def _pixels(image: np.ndarray, box: np.ndarray) -> tuple[slice, slice]:
    return pixel_box(box, *image.shape[:2])


def pixel_box(box: np.ndarray, height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of a box (y0, x0, y1, x1 in fractions); at least one of each."""
    top, left, bottom, right = (float(edge) for edge in box)
    y, x = min(round(top * height), height - 1), min(round(left * width), width - 1)
    return slice(y, max(round(bottom * height), y + 1)), slice(x, max(round(right * width), x + 1))


def _table(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
