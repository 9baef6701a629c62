"""The changes of photos in training, as `augment.py` does them, for a whole batch on the device that trains (JAX).

The order, the formulas and the rounding to 8 bits after each change are those of `augment.py`; resizing sums in another
order, which may move a value by a level or two of 255. A crop is resized by two matrix products, of which accelerators
do many: the matrix of an axis says how much of each row (or column) of the square goes into each of the result.
"""

from typing import Any

import numpy as np

from fireweed.data.augment import GREY, pixel_box
from fireweed.data.plan import Rows


def row_on_device(rows: Rows, square_px: int, side_px: int) -> dict[str, np.ndarray]:
    """Return what `change` needs of a row of the table (a `Rows` of one step): small arrays, boxes in whole pixels."""
    return {
        "index": rows.index[0],
        "partner": rows.partner[0],
        "crop": _in_pixels(rows.crop[0], square_px),
        "flip": rows.flip[0],
        "saturation": rows.saturation[0].astype(np.float32),
        "brightness": rows.brightness[0].astype(np.float32),
        "contrast": rows.contrast[0].astype(np.float32),
        "cutout": _in_pixels(rows.cutout[0], side_px),
        "mix": rows.mix[0].astype(np.float32),
        "cutmix": _in_pixels(rows.cutmix[0], side_px),
    }


def change(squares: Any, row: dict[str, Any], side_px: int, is_mixed: bool) -> Any:
    """Gather, crop, flip, colour, hide and mix the photos of one step; return uint8 (batch, side, side, 3).

    squares:  all photos, uint8 (photos, square, square, 3).
    row:      of `row_on_device`.
    is_mixed: whether any photo of the plan is mixed with a partner.
    """
    import jax.numpy as jnp

    images = _recoloured(squares[row["index"]], row, side_px)
    images = jnp.where(_inside(row["cutout"], side_px), jnp.float32(GREY), images)
    if is_mixed:
        others = _recoloured(squares[row["partner"]], row, side_px)
        share = row["mix"][:, None, None, None]
        blended = jnp.rint(share * images + (1 - share) * others)
        pasted = jnp.where(_inside(row["cutmix"], side_px), others, images)
        has_box = row["cutmix"].any(axis=1)[:, None, None, None]
        images = jnp.where(has_box, pasted, blended)
    return images.astype("uint8")


def _in_pixels(boxes: np.ndarray, side_px: int) -> np.ndarray:
    """Return boxes (batch, 4) in whole pixels, int32, as `augment.py` rounds them; an empty one stays all zeros."""
    found = np.zeros(boxes.shape, np.int32)
    for i in np.flatnonzero(boxes.any(axis=1)).tolist():
        rows, columns = pixel_box(boxes[i], side_px, side_px)
        found[i] = rows.start, columns.start, rows.stop, columns.stop
    return found


def _recoloured(photos: Any, row: dict[str, Any], side_px: int) -> Any:
    """Return the photos, uint8 (batch, square, square, 3), cropped, flipped and coloured: float32, whole numbers."""
    import jax.numpy as jnp

    images = _cropped(photos.astype("float32"), row["crop"], row["flip"], side_px)
    images = _saturated(images, row["saturation"][:, None, None, None])
    shift = 255.0 * row["brightness"][:, None, None, None]
    images = jnp.clip(jnp.rint(images + shift), 0, 255)
    factor = row["contrast"][:, None, None, None]
    means = images.mean(axis=(1, 2), keepdims=True)
    return jnp.where(factor == 1, images, jnp.clip(jnp.rint((images - means) * factor + means), 0, 255))


def _cropped(photos: Any, boxes: Any, flip: Any, side_px: int) -> Any:
    import jax.numpy as jnp

    start, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    is_shrunk = size.min(axis=1) >= side_px
    down, across = (_axis_matrix(start[:, axis], size[:, axis], is_shrunk, photos.shape[1], side_px) for axis in (0, 1))
    across = jnp.where(flip[:, None, None], across[:, ::-1], across)
    images = jnp.einsum("bys,bsxc->byxc", down, photos)
    return jnp.clip(jnp.rint(jnp.einsum("bxs,bysc->byxc", across, images)), 0, 255)


def _axis_matrix(start: Any, size: Any, is_shrunk: Any, square_px: int, side_px: int) -> Any:
    """Return how much of each pixel of a square's axis goes into each of the result: (batch, side, square).

    Shrinking averages areas, enlarging is linear between the centres of pixels, both within the crop.
    """
    import jax.numpy as jnp

    start, size = (value.astype("float32")[:, None, None] for value in (start, size))
    place, pixel = jnp.arange(side_px)[None, :, None], jnp.arange(square_px)[None, None, :]
    scale = size / side_px
    low = start + place * scale
    covered = jnp.minimum(low + scale, pixel + 1) - jnp.maximum(low, pixel)
    centre = start + jnp.clip((place + 0.5) * scale - 0.5, 0, size - 1)
    weights = jnp.where(is_shrunk[:, None, None], covered / scale, 1 - jnp.abs(centre - pixel))
    return jnp.maximum(weights, 0)


def _saturated(images: Any, factor: Any) -> Any:
    import jax.numpy as jnp

    value, least = images.max(axis=3, keepdims=True), images.min(axis=3, keepdims=True)
    most = jnp.minimum(factor, value / jnp.maximum(value - least, 1))
    towards_grey = jnp.rint(factor * images + (1 - factor) * value)
    away = jnp.clip(value - jnp.rint((value - images) * most), 0, 255)
    return jnp.where(factor < 1, towards_grey, away)


def _inside(boxes: Any, side_px: int) -> Any:
    """Return which pixels lie in the boxes: bool (batch, side, side, 1)."""
    import jax.numpy as jnp

    y, x = jnp.arange(side_px)[None, :, None], jnp.arange(side_px)[None, None, :]
    top, left, bottom, right = (boxes[:, edge, None, None] for edge in range(4))
    return ((y >= top) & (y < bottom) & (x >= left) & (x < right))[..., None]
