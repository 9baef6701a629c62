"""Pictures of any of Pillow's modes as RGB: grey, palette, CMYK, 16 bits a channel, transparent parts on white."""

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile

WHITE = (255, 255, 255)
_STRIP_PIXELS = 1 << 22


def as_rgb(image: ImageFile.ImageFile) -> np.ndarray:
    """Return the pixels of any mode as RGB, strip by strip, so that a large picture is not in memory several times."""
    width, height = image.size
    # programs that leave a BMP's fourth byte unused write zeros there
    is_opaque = isinstance(image, BmpImageFile) and image.mode == "RGBA" and image.getchannel(3).getextrema() == (0, 0)
    rgb = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
        rgb[top : top + rows] = np.asarray(strip.convert("RGB") if is_opaque else _strip_as_rgb(strip))
    return rgb


def _strip_as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    return _on_white(rgba.convert("RGB"), rgba.getchannel("A"))


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Take the high byte of 16-bit grey, as Pillow itself does of 16-bit RGB; its own conversion would clip at 255."""
    values = np.asarray(image).astype(np.int32)
    grey = Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey
    return _on_white(grey, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))


def _on_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgb.size, WHITE)
    white.paste(rgb, mask=alpha)
    return white
