"""What a photo's bytes say beside its pixels: its format, which way is up, and what a decoder can do without."""

import struct

from fireweed.errors import PhotoError

READABLE = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_REMEDY = "is not read here; convert it to JPEG or PNG"

# What people put among photos by mistake, by its first bytes: (offset, bytes, what it is).
_FOREIGN = (
    (8, b"CR\x02\x00", "camera raw (Canon CR2)"),
    (0, b"II*\x00", "TIFF or camera raw (such as DNG, NEF, ARW)"),
    (0, b"MM\x00*", "TIFF or camera raw (such as DNG, NEF, ARW)"),
    (0, b"IIRO", "camera raw (Olympus ORF)"),
    (0, b"IIRS", "camera raw (Olympus ORF)"),
    (0, b"IIU\x00", "camera raw (Panasonic RW2)"),
    (0, b"FUJIFILMCCD-RAW", "camera raw (Fujifilm RAF)"),
    (0, b"FOVb", "camera raw (Sigma X3F)"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop (PSD)"),
    (0, b"%PDF", "PDF"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_ORIENTATION_TAG = 0x0112
# Source: RFC 9649, 2.5 and 2.7; the flags are of animation (02) and alpha (10).
_WEBP_PICTURE, _WEBP_PICTURE_FLAGS = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"), 0x12


def format_of(data: bytes) -> str:
    """Return which of `READABLE` the bytes begin like, whatever the file is called.

    Raises:
        PhotoError: they begin like none; the reason names what they are and, for a picture, what to do.
    """
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:2] == b"BM":
        return "BMP"
    raise PhotoError(_what_else(data))


def _what_else(data: bytes) -> str:
    if not data:
        return "the file is empty (0 bytes)"
    if data[4:8] == b"ftyp":
        return _what_in_iso_box(data)
    for offset, magic, name in _FOREIGN:
        if data.startswith(magic, offset):
            return f"{name} {_REMEDY}"
    return _what_text(data[:1024])


def _what_in_iso_box(data: bytes) -> str:
    brands = {data[8:12]} | {data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4]), 256), 4)}
    if brands & {b"avif", b"avis"}:
        return f"AVIF {_REMEDY}"
    if brands & _HEIF_BRANDS:
        return f"HEIC {_REMEDY}"
    if b"crx " in brands:
        return f"camera raw (Canon CR3) {_REMEDY}"
    return "a video (MP4 or MOV), not a photo"


def _what_text(start: bytes) -> str:
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the photo; fetch the photos with 'git lfs pull'"
    if not start.strip(b"\0"):
        return "nothing but zero bytes; copy the photo again"
    if b"\0" in start:
        return "not a photo: its first bytes are of no image format"
    opening = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if opening.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a photo; the download of this photo failed"
    if opening.startswith(b"<svg") or (opening.startswith(b"<?xml") and b"<svg" in opening):
        return f"SVG {_REMEDY}"
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # else only the last letter was cut
            return "not a photo: its first bytes are of no image format"
    return "text, not a photo"


def without_metadata(data: bytes, name: str) -> tuple[bytes, bytes]:
    """Return the picture alone and its EXIF block (or b"") for bytes of format `name`.

    Colour profiles, texts, previews and notes never reach the decoder, so that none of them can make it unpack
    hundreds of megabytes, refuse a good picture, or spend time. Formats that keep no such thing pass unchanged.
    """
    if name == "JPEG":
        return _bare_jpeg(data)
    if name == "PNG":
        return _bare_png(data)
    if name == "GIF":
        return _bare_gif(data), b""
    if name == "WEBP":
        return _bare_webp(data)
    return data, b""


def jpeg_scans(data: bytes) -> int:
    """Return how many passes over its pixels a JPEG without metadata makes at most: one, or about ten if progressive.

    In coded pixels FF is followed by 00 or a restart, so what reads as the start of a scan elsewhere is one.
    """
    return data.count(b"\xff\xda")


def is_run_length_bmp(data: bytes) -> bool:
    """Return whether a BMP's pixels are coded by run length. Source: BITMAPINFOHEADER, biCompression 1 and 2."""
    return int.from_bytes(data[14:18], "little") >= 40 and int.from_bytes(data[30:34], "little") in (1, 2)


def _bare_jpeg(data: bytes) -> tuple[bytes, bytes]:
    """Leave out comments and application segments but JFIF and Adobe, which say how the colours are coded."""
    view, kept, exif, at, left_out = memoryview(data), [memoryview(b"\xff\xd8")], b"", 2, False
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if not 0xC0 <= marker <= 0xFE or 0xD0 <= marker <= 0xDA or not at + 4 <= end <= len(data):
            break  # the pixels begin, or this is no whole segment: the decoder judges what is left
        if 0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE):
            if marker == 0xE1 and not exif and data.startswith(b"Exif\0\0", at + 4):
                exif = data[at + 10 : end]
            left_out = True
        else:
            kept.append(view[at:end])
        at = end
    return (b"".join([*kept, view[at:]]) if left_out else data), exif


def _bare_png(data: bytes) -> tuple[bytes, bytes]:
    """Leave out the chunks that PNG calls ancillary (a small first letter) but the transparent colour."""
    view, kept, exif, at, start = memoryview(data), [], b"", 8, 0
    while at + 12 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data):
            break  # cut off: the decoder says so
        if kind == b"eXIf" and not exif:
            exif = data[at + 8 : end - 4]
        if kind[0] & 0x20 and kind != b"tRNS":
            kept.append(view[start:at])
            start = end
        at = end
    return (b"".join([*kept, view[start:]]) if kept else data), exif


def _bare_gif(data: bytes) -> bytes:
    """Leave out comments, texts and notes of programs before the first picture, which is all that is shown."""
    at = 13 + (3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    kept = [data[:at]]
    while data[at : at + 1] == b"!" and at + 2 < len(data):
        start, is_control = at, data[at + 1] == 0xF9
        at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
        if is_control:
            kept = [kept[0], data[start:at]]  # the last one before the picture counts
    return b"".join([*kept, data[at:]])


def _bare_webp(data: bytes) -> tuple[bytes, bytes]:
    """Leave out all chunks but those of the picture, and the marks in the header that say they are there."""
    kept, exif, at = [], b"", 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        if kind == b"VP8X" and length >= 10:
            kept.append(data[at : at + 8] + bytes([data[at + 8] & _WEBP_PICTURE_FLAGS]) + data[at + 9 : end])
        elif kind in _WEBP_PICTURE:
            kept.append(data[at:end])
        elif kind == b"EXIF" and not exif:
            exif = data[at + 8 : at + 8 + length]
        at = end
    body = b"".join(kept)
    if at != len(data) and at != len(data) + 1:  # cut off, or more behind the end: the decoder judges
        return data, exif
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body, exif


def orientation(exif: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where there is none that makes sense.

    Only the one tag is read. Source: Exif 3.0, 4.6.4; TIFF 6.0, section 2.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION_TAG:
                (value,) = struct.unpack_from(f"{order}{'I' if kind == 4 else 'H'}", tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1  # the block is cut off or points outside itself; viewers show such a photo unturned
    return 1
