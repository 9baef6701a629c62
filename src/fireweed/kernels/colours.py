"""The compiled kernel that changes the colours of whole batches of photos; colours.c has what it computes and how."""

import ctypes
from collections.abc import Sequence

import numpy as np

from fireweed.kernels.native import function


def recolour(
    photos: Sequence[np.ndarray], mirrored: np.ndarray, saturation: np.ndarray, brightness: np.ndarray,
    contrast: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    """Mirror photos, and change their saturation, brightness and contrast, in this order; write them into `out`.

    Each change is what the function of its name in `data.augment` does, rounded to a level after each.

    Args:
        photos: uint8 RGB of shape (rows, columns, 3) each. Rows may lie apart, as in a crop; a photo may be its own
            place in `out`, but no other part of it.
        mirrored, saturation, brightness, contrast: what to do to each photo, of shape (photos,).
        out: uint8 of shape (photos, rows, columns, 3), in one piece.

    Raises:
        DeviceError: there are no compiled kernels here.
        ValueError: a photo or `out` is of another shape, type or layout, or there is not one number for each photo.
    """
    recolour_all = function("recolour")
    shape = out.shape[1:]
    if out.dtype != np.uint8 or not out.flags.c_contiguous or out.ndim != 4 or shape[2] != 3 or len(out) != len(photos):
        raise ValueError(f"the kernel writes {len(photos)} uint8 RGB photos in one piece, not {out.dtype} {out.shape}")
    for photo in photos:
        if photo.dtype != np.uint8 or photo.shape != shape or photo.strides[1:] != (3, 1):
            raise ValueError(f"the kernel takes uint8 RGB photos of shape {shape}, not {photo.dtype} {photo.shape}")
    addresses = np.array([photo.ctypes.data for photo in photos], np.uintp)
    steps = np.array([photo.strides[0] for photo in photos], "l")  # C's long
    numbers = (_numbers(values, len(photos), np.float32) for values in (saturation, brightness, contrast))
    settings = [addresses, steps, _numbers(mirrored, len(photos), np.bool_), *numbers, out]
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in settings]
    if recolour_all(*pointers, *(ctypes.c_long(count) for count in out.shape[:3])):
        raise MemoryError("recolour found no memory")


def _numbers(values: np.ndarray, count: int, dtype: type[np.generic]) -> np.ndarray:
    if values.shape != (count,):
        raise ValueError(f"the kernel takes one number for each of {count} photos, not {values.shape}")
    return np.ascontiguousarray(values, dtype)
