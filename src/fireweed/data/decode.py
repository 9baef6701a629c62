"""Open photos: encoded bytes to upright RGB, safely, and RGB to a square. No other module opens a photo's bytes.

Training, shards, evaluation, `predict` and the server all come through here, so that a photo has the same pixels
everywhere, bit for bit. Decoding is Pillow's. Colour profiles are not applied, as in Keras, TensorFlow and torchvision.
"""

import os
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from fireweed.data.headers import format_of, orientation, without_metadata
from fireweed.errors import PhotoError

Fit = Literal["crop", "pad", "squash"]

READ_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif"})
# Photos, but in formats that are not read here: they are listed with what to do, rather than overlooked.
_OTHER_SUFFIXES = frozenset({".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".jxl", ".jp2", ".j2k"})
_RAW_SUFFIXES = frozenset(
    {".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2"}
)
_RARE_RAW_SUFFIXES = frozenset({".pef", ".srw", ".x3f", ".3fr", ".iiq", ".rwl", ".raw"})
FOREIGN_SUFFIXES = _OTHER_SUFFIXES | _RAW_SUFFIXES | _RARE_RAW_SUFFIXES
SUFFIXES = READ_SUFFIXES | FOREIGN_SUFFIXES

PIXELS_CAP = 100_000_000

# The classes themselves, not Image.open: only the one decoder that the first bytes call for ever sees them, and the
# cap here, not Pillow's warning at another number, decides what is too large.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,  # also the first picture of what Pillow calls MPO, as many phones write
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}
_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WHITE = (255, 255, 255)


def looks_like_photo(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is taken for a photo: by its suffix or, where it has none, by its first bytes.

    A file with a photo's suffix and other content counts: it is told to the user as unreadable.
    """
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # PurePath takes several times as long
    if suffix:
        return suffix in SUFFIXES
    try:
        with open(path, "rb") as file:
            format_of(file.read(16))
    except (OSError, PhotoError):
        return False
    return True


def read_photo(data: bytes, at_least_px: int = 0) -> np.ndarray:
    """Decode a photo to upright RGB, uint8 of shape (height, width, 3).

    Any mode comes out as 8-bit RGB: grey, palette, CMYK, 16 bits a channel (the high byte); transparent parts lie on
    white; of several frames the first is taken. A JPEG much larger than `at_least_px` is decoded at 1/2, 1/4 or 1/8 of
    its size, its short side staying at least twice `at_least_px`; 0 asks for the full size.

    Raises:
        PhotoError: no photo, a format not read here, cut off, damaged, or more than 100 megapixels.
    """
    return np.array(_upright(data, at_least_px))


def to_square(rgb: np.ndarray, side_px: int, fit: Fit = "crop") -> np.ndarray:
    """Make a square of RGB uint8 (height, width, 3); return uint8 (side_px, side_px, 3), antialiased (bicubic).

    crop:   the centred square as wide as the short side. pad: the whole photo, centred on white, the colour that
    transparent parts get too. squash: the whole photo, its two sides scaled alike or not.
    """
    return np.array(_square(Image.fromarray(np.ascontiguousarray(rgb)), side_px, fit))


def decode_square(data: bytes, side_px: int, fit: Fit = "crop") -> np.ndarray:
    """Decode a photo to a square: `to_square(read_photo(data, side_px), side_px, fit)`, to the bit.

    Raises:
        PhotoError: as `read_photo`.
    """
    return np.array(_square(_upright(data, side_px), side_px, fit))


def _upright(data: bytes, at_least_px: int) -> Image.Image:
    name = format_of(data)
    try:
        picture, exif = without_metadata(data, name)
        with _DECODERS[name](BytesIO(picture)) as image:
            _check_size(*image.size)
            if at_least_px > 0:
                image.draft(None, (2 * at_least_px, 2 * at_least_px))  # None keeps the mode
            image.load()
            if name == "PNG" and image.mode == "L" and picture[24] < 8 and "transparency" in image.info:
                # Pillow spreads 2 and 4 bit grey over 0..255, but leaves the transparent value as it was
                image.info["transparency"] *= 255 // (2 ** picture[24] - 1)
            rgb = _as_rgb(image)
            turn = _UPRIGHT_BY.get(orientation(exif or image.info.get("exif", b"")))
        return rgb if turn is None else rgb.transpose(turn)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError("needs more memory than there is; scale the photo down") from error
    except Exception as error:  # damaged input makes Pillow raise nearly anything, and none of it may end a run
        raise PhotoError(_what_is_wrong(name, data, error)) from error


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PhotoError(f"damaged: its header says {width} x {height} pixels")
    if width * height > PIXELS_CAP:
        raise PhotoError(
            f"{width:,} x {height:,} pixels are more than the {PIXELS_CAP // 1_000_000} megapixels that are read; "
            "scale the photo down"
        )


def _what_is_wrong(name: str, data: bytes, error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    short = len(data) < 32 or (name == "WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"))
    if short or isinstance(error, EOFError) or "truncated" in text.lower():
        return f"cut off: the {name} ends before its picture does; copy it again"
    return f"damaged {name}: {text or type(error).__name__}"


def _as_rgb(image: ImageFile.ImageFile) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if isinstance(image, BmpImageFile) and alpha.getextrema() == (0, 0):
        return rgba.convert("RGB")  # programs that leave a BMP's fourth byte unused write zeros there
    return _on_white(rgba.convert("RGB"), alpha)


def _from_16_bits(image: ImageFile.ImageFile) -> Image.Image:
    """Take the high byte of 16-bit grey, as Pillow itself does of 16-bit RGB; its own conversion would clip at 255."""
    values = np.asarray(image).astype(np.int32)
    grey = Image.fromarray(np.clip(values >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey
    return _on_white(grey, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))


def _on_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgb.size, _WHITE)
    white.paste(rgb, mask=alpha)
    return white


def _square(image: Image.Image, side_px: int, fit: Fit) -> Image.Image:
    width, height = image.size
    if fit == "crop":
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        return _resized(image, (side_px, side_px), (left, top, left + short, top + short))
    if fit == "squash":
        return _resized(image, (side_px, side_px), (0, 0, width, height))
    if fit != "pad":
        raise ValueError(f"fit is crop, pad or squash; received {fit!r}")
    scale = side_px / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = Image.new("RGB", (side_px, side_px), _WHITE)
    square.paste(_resized(image, size, (0, 0, width, height)), ((side_px - size[0]) // 2, (side_px - size[1]) // 2))
    return square


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    # The gap of 2 first shrinks a much larger picture by whole numbers, which is fast, then resamples what is left.
    return image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=2.0)
