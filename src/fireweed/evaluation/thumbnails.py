"""Photos made small enough to lie inside a page, as data addresses."""

import base64
import io
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image


def data_address(image: np.ndarray, side_px: int, quality: int = 80) -> str:
    """Return a photo as a JPEG in a data address, scaled down to fit a square. `image`: uint8 (height, width, 3)."""
    picture = Image.fromarray(np.ascontiguousarray(image, np.uint8)).convert("RGB")
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def within_budget(
    images: Iterable[np.ndarray], side_px: int, most: int, budget_bytes: int, encode: Callable[..., str] = data_address
) -> list[str]:
    """Return the data addresses of the first photos: at most `most`, and together within a number of bytes."""
    found: list[str] = []
    for image in images:
        if len(found) == most:
            break
        address = encode(image, side_px)
        budget_bytes -= len(address)
        if budget_bytes < 0:
            break
        found.append(address)
    return found
