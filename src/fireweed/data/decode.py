"""Open photos: encoded bytes to upright RGB, safely, and RGB to a square. No other module opens a photo's bytes.

Training, shards, evaluation, `predict` and the server all come through here, so that a photo has the same pixels
everywhere, bit for bit. Common JPEGs are decoded by simplejpeg, all else by Pillow: both hold libjpeg-turbo, set alike,
so the pixels are the same. Colour profiles are not applied, as in Keras, TensorFlow and torchvision.
"""

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from fireweed.data.headers import format_of, is_run_length_bmp, jpeg_scans, orientation, without_metadata
from fireweed.data.rgb import WHITE, as_rgb
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
SIDE_CAP = 65_535  # no camera or camera's format has more
MEMORY_CAP = 900_000_000  # bytes that decoding one photo may take, its file among them
SCANNED_PIXELS_CAP = 2_000_000_000  # of all scans of a JPEG together: 20 scans of the largest
_ALONE_BYTES = 200_000_000  # photos that take more are decoded one at a time, however many threads there are
_ALONE = threading.Lock()
# Bytes for each pixel while Pillow decodes and the result is made of it, as measured. A WebP has two canvases and two
# copies; a JPEG of several scans keeps the frequencies of all pixels, up to four colours in two bytes.
_PIXEL_BYTES = {"JPEG": 7, "PNG": 7, "WEBP": 19, "BMP": 7, "GIF": 8}
_SCANNED_PIXEL_BYTES = 8

# The classes themselves, not Image.open: only the one decoder that the first bytes call for ever sees them, and the
# cap here, not Pillow's warning at another number, decides what is too large.
_DECODERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,  # also the first picture of what Pillow calls MPO, as many phones write
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}
# libjpeg's warnings of lost pixels; its others are of no harm. Pillow, as most programs, does not pass them on.
_DAMAGE_THAT_PILLOW_READS = ("Corrupt JPEG data", "Premature end of JPEG")
# With linear interpolation after it, a blur this wide comes nearest to Pillow's antialiased bicubic filter: on photos
# of flowers shrunk 1.1 to 3.5 times it is 1.0 to 1.3 levels of 255 off on average, as OpenCV's slower INTER_AREA is.
_BLUR = 0.35
_LEAST_BLUR_PX = 0.25  # a narrower one gives the neighbours less than a thousandth


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
        PhotoError: no photo, a format not read here, cut off, damaged, more than 100 megapixels or 65,535 a side, or
            such as would take more than 900 MB to decode.
    """
    return read_photo_and_size(data, at_least_px)[0]


def read_photo_and_size(
    data: bytes, at_least_px: int = 0, damages: list[str] | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return what `read_photo` does, and the upright photo's full height and width in pixels.

    damages: is given what is wrong with a JPEG that can be read all the same, its missing parts grey or shifted.

    Raises:
        PhotoError: as `read_photo`.
    """
    name = format_of(data)
    try:
        picture, exif = without_metadata(data, name)
        file_bytes = len(data) if picture is data else len(data) + len(picture)
        decoded = _by_simplejpeg(picture, at_least_px, file_bytes, damages) if name == "JPEG" else None
        rgb, (height, width), own_exif = decoded or _by_pillow(picture, name, at_least_px, file_bytes)
        turn = orientation(exif or own_exif)
        return _upright(rgb, turn), (width, height) if turn >= 5 else (height, width)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError("needs more memory than there is; scale the photo down") from error
    except Exception as error:  # damaged input makes Pillow raise nearly anything, and none of it may end a run
        raise PhotoError(_what_is_wrong(name, data, error)) from error


def as_photo(array: object) -> np.ndarray:
    """Return an array that was given as a photo, having checked that it is one: RGB uint8 (height, width, 3).

    Raises:
        PhotoError: it is of another kind or shape, or empty.
    """
    photo = np.asarray(array)
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise PhotoError(
            f"a photo given as an array is RGB, uint8 of shape (height, width, 3), not {photo.dtype} of shape "
            f"{photo.shape}; convert it, such as by PIL's Image.convert('RGB')"
        )
    return photo


def to_square(rgb: np.ndarray, side_px: int, fit: Fit = "crop", out: np.ndarray | None = None) -> np.ndarray:
    """Make a square of RGB uint8 (height, width, 3); return uint8 (side_px, side_px, 3), antialiased.

    It is written into `out`, in one piece, if that is given.

    crop:   the centred square as wide as the short side. pad: the whole photo, centred on white, the colour that
    transparent parts get too. squash: the whole photo, its two sides scaled alike or not.
    """
    height, width = rgb.shape[:2]
    square = np.empty((side_px, side_px, 3), np.uint8) if out is None else out
    if fit == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        return _resize(rgb[top : top + short, left : left + short], square)
    if fit == "squash":
        return _resize(rgb, square)
    if fit != "pad":
        raise ValueError(f"fit is crop, pad or squash; received {fit!r}")
    scale = side_px / max(height, width)
    high, wide = max(1, round(height * scale)), max(1, round(width * scale))
    square[...] = WHITE
    top, left = (side_px - high) // 2, (side_px - wide) // 2
    _resize(rgb, square[top : top + high, left : left + wide])
    return square


def decode_square(data: bytes, side_px: int, fit: Fit = "crop", out: np.ndarray | None = None) -> np.ndarray:
    """Decode a photo to a square: `to_square(read_photo(data, side_px), side_px, fit, out)`, to the bit.

    Raises:
        PhotoError: as `read_photo`.
    """
    return to_square(read_photo(data, side_px), side_px, fit, out)


def _by_simplejpeg(
    picture: bytes, at_least_px: int, file_bytes: int, damages: list[str] | None
) -> tuple[np.ndarray, tuple[int, int], bytes] | None:
    """Decode a JPEG that is whole and of a common kind; None leaves any other, and what to say of it, to Pillow.

    It takes three quarters of the time of Pillow, which copies the pixels twice. A warning counts as an error here.
    """
    import simplejpeg

    try:
        height, width, colours, subsampling = simplejpeg.decode_jpeg_header(picture)
        scans = jpeg_scans(picture)
        if colours not in ("YCbCr", "Gray", "RGB"):  # CMYK comes out rounded another way
            return None
        shrink = _jpeg_shrink(width, height, at_least_px)
        least = {"min_height": math.ceil(height / shrink), "min_width": math.ceil(width / shrink)}
        frequencies = 0 if scans == 1 else 6 if subsampling == "444" else 4
        with _room_for(width, height, 3 / shrink**2 + frequencies, file_bytes, scans):
            return simplejpeg.decode_jpeg(picture, "RGB", **least), (height, width), b""
    except ValueError as error:
        if damages is not None and str(error).startswith(_DAMAGE_THAT_PILLOW_READS):
            damages.append(str(error))
        return None


def _jpeg_shrink(width: int, height: int, at_least_px: int) -> int:
    """Return by how much Pillow's draft mode shrinks a JPEG whose short side must keep twice `at_least_px`."""
    if at_least_px <= 0:
        return 1
    room = min(width, height) // (2 * at_least_px)
    return next((shrink for shrink in (8, 4, 2) if room >= shrink), 1)


def _by_pillow(
    picture: bytes, name: str, at_least_px: int, file_bytes: int
) -> tuple[np.ndarray, tuple[int, int], bytes]:
    """Return the pixels as they lie, RGB, with full height and width, and the EXIF block that Pillow found."""
    if name == "BMP" and is_run_length_bmp(picture):  # Pillow unpacks these byte by byte in Python, without bounds
        raise PhotoError("a BMP coded by run length is not read here; convert it to JPEG or PNG")
    scans = jpeg_scans(picture) if name == "JPEG" else 1
    pixel_bytes = _PIXEL_BYTES[name] + (_SCANNED_PIXEL_BYTES if scans > 1 else 0)
    with _DECODERS[name](BytesIO(picture)) as image:
        width, height = image.size
        with _room_for(width, height, pixel_bytes, file_bytes, scans):
            if at_least_px > 0:
                image.draft(None, (2 * at_least_px, 2 * at_least_px))  # None keeps the mode
            image.load()
            if name == "PNG" and image.mode == "L" and picture[24] < 8 and "transparency" in image.info:
                # Pillow spreads 2 and 4 bit grey over 0..255, but leaves the transparent value as it was
                image.info["transparency"] *= 255 // (2 ** picture[24] - 1)
            return as_rgb(image), (height, width), image.info.get("exif", b"")


def _upright(rgb: np.ndarray, turn: int) -> np.ndarray:
    """Turn and mirror pixels that lie as the EXIF orientation `turn`, 1 to 8, says. Source: Exif 3.0, 4.6.5.1."""
    import cv2

    if turn >= 5:
        rgb = cv2.transpose(rgb)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(turn)  # OpenCV's codes: 1 left-right, 0 top-bottom, -1 both
    return rgb if flip is None else cv2.flip(rgb, flip)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise PhotoError(f"damaged: its header says {width} x {height} pixels")
    if max(width, height) > SIDE_CAP:
        raise PhotoError(f"{width:,} x {height:,} pixels: no side of a photo has more than {SIDE_CAP:,}; cut it up")
    if width * height > PIXELS_CAP:
        raise PhotoError(
            f"{width:,} x {height:,} pixels are more than the {PIXELS_CAP // 1_000_000} megapixels that are read; "
            "scale the photo down"
        )


@contextlib.contextmanager
def _room_for(width: int, height: int, pixel_bytes: float, file_bytes: int, scans: int = 1) -> Iterator[None]:
    """Refuse a photo that would take too much memory or time; let those that take much of it in one at a time."""
    _check_size(width, height)
    if width * height * scans > SCANNED_PIXELS_CAP:
        raise PhotoError(f"{scans:,} scans of {width:,} x {height:,} pixels: far more than photos have; save it anew")
    needed = round(width * height * pixel_bytes) + file_bytes
    if needed > MEMORY_CAP:
        raise PhotoError(
            f"{width:,} x {height:,} pixels in this format take {needed // 1_000_000:,} MB of memory, more than "
            f"{MEMORY_CAP // 1_000_000}; scale the photo down"
        )
    with _ALONE if needed > _ALONE_BYTES else contextlib.nullcontext():
        yield


def _what_is_wrong(name: str, data: bytes, error: Exception) -> str:
    text = " ".join(str(error).split())[:120]
    short = len(data) < 32 or (name == "WEBP" and len(data) < 8 + int.from_bytes(data[4:8], "little"))
    if short or isinstance(error, EOFError) or "truncated" in text.lower():
        return f"cut off: the {name} ends before its picture does; copy it again"
    return f"damaged {name}: {text or type(error).__name__}"


def _resize(rgb: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Scale a picture to `out`, each side by itself: shrink by whole numbers, blur, interpolate between neighbours.

    Whole numbers first, as long as three times the new side is left, since they are fast. The blur takes out what the
    new pixels are too wide to show; its variance grows as s^2 - 1 where a side shrinks s times, so it begins at none.
    """
    import cv2

    height, width = out.shape[:2]
    whole_y, whole_x = max(1, rgb.shape[0] // (3 * height)), max(1, rgb.shape[1] // (3 * width))
    if whole_y > 1 or whole_x > 1:
        high, wide = rgb.shape[0] // whole_y, rgb.shape[1] // whole_x
        top, left = rgb.shape[0] % whole_y // 2, rgb.shape[1] % whole_x // 2
        rgb = rgb[top : top + high * whole_y, left : left + wide * whole_x]
        rgb = cv2.resize(rgb, (wide, high), interpolation=cv2.INTER_AREA)
    blur_y, blur_x = _blur_px(rgb.shape[0] / height), _blur_px(rgb.shape[1] / width)
    if blur_y or blur_x:
        reach_y, reach_x = (2 * math.ceil(blur * 5 / 3) + 1 for blur in (blur_y, blur_x))
        rgb = cv2.GaussianBlur(rgb, (reach_x, reach_y), blur_x, sigmaY=blur_y or 1e-3)
    if rgb.shape[:2] == (height, width):
        out[...] = rgb
    elif out.flags.c_contiguous:
        cv2.resize(rgb, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
    else:
        out[...] = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    return out


def _blur_px(shrink: float) -> float:
    """Return the standard deviation, in pixels, of the blur before a side shrinks so many times; 0 for none."""
    blur = _BLUR * math.sqrt(max(0.0, shrink * shrink - 1))
    return blur if blur >= _LEAST_BLUR_PX else 0.0
