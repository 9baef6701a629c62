"""Photos that are bombs, lies, wrecks, or no photos at all."""

import functools
import io
import struct
import zlib

from PIL import Image

from hostile.cases import Case, of_bytes

DAMAGED = ("damaged", "cut off")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
FOREIGN = {
    "EPS, which Pillow gives to Ghostscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "text, not a photo",
    ),
    "TIFF": (b"II*\x00\x08\x00\x00\x00", "TIFF"),
    "TIFF of the other order": (b"MM\x00*\x00\x00\x00\x08", "TIFF"),
    "Photoshop": (b"8BPS\x00\x01", "Photoshop"),
    "PDF": (b"%PDF-1.7\n", "PDF"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "SVG with an entity bomb": (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aa">]><svg>&a;</svg>', "SVG"),
    "HEIC": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC"),
    "AVIF": (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", "AVIF"),
    "video": (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42", "a video"),
    "JPEG 2000": (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    "JPEG XL": (b"\xff\x0a\x00\x00", "JPEG XL"),
    "camera raw": (b"FUJIFILMCCD-RAW 0201", "camera raw"),
    "web page": (b"<!doctype html><html><script>alert(1)</script>", "a web page"),
    "shell script": (b"#!/bin/sh\nrm -rf /\n", "text, not a photo"),
    "program": (b"\x7fELF\x02\x01\x01\x00" + bytes(40), "no image format"),
    "pickle": (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix", "no image format"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00", "no image format"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "no image format"),
    "icon, which Pillow would open": (b"\x00\x00\x01\x00\x01\x00\x10\x10", "no image format"),
    "PPM, which Pillow would open": (b"P6 99999 99999 255\n", "text, not a photo"),
    "FITS, which Pillow would open": (b"SIMPLE  =                    T", "text, not a photo"),
    "WMF, which Pillow would open": (b"\xd7\xcd\xc6\x9a\x00\x00" + bytes(16), "no image format"),
    "DDS, which Pillow would open": (b"DDS \x7c\x00\x00\x00" + bytes(120), "no image format"),
    "Sun raster": (b"\x59\xa6\x6a\x95" + bytes(28), "no image format"),
    "zeros": (bytes(5000), "nothing but zero bytes"),
    "nothing": (b"", "the file is empty"),
    "pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    "one byte": (b"\xff", "not a photo"),
}


@functools.cache
def good(kind: str, side: int = 48, **options: object) -> bytes:
    """Return a sound photo."""
    picture = Image.effect_noise((side, side), 90).convert("RGB" if kind != "GIF" else "P")
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of these chunks, their checksums right."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)


def idat(data: bytes) -> tuple[bytes, bytes]:
    return b"IDAT", zlib.compress(data)


END = (b"IEND", b"")


def with_size(kind: str, width: int, height: int) -> bytes:
    """Return a photo whose header claims this size."""
    if kind == "PNG":
        return png(ihdr(width, height), idat(bytes(1000)), END)
    data = bytearray(good(kind))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif kind == "WEBP":
        body = bytes(data[12:])
        wide = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        frame = bytes(6) + b"\x2f\0\0\x2f\0\0" + bytes(3) + b"\x01" + body
        body = b"VP8X" + struct.pack("<IB3x", 10, 0x02) + wide + b"ANIM" + struct.pack("<I6x", 6)
        body += b"ANMF" + struct.pack("<I", len(frame)) + frame
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    return bytes(data)


def bmp(width: int, height: int, bits: int = 24, compression: int = 0, body: bytes = b"", colours: int = 0,
        header: int = 40, offset: int = 54) -> bytes:  # fmt: skip
    fields = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(body), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + fields + body


def many_scans() -> bytes:
    data = bytearray(good("JPEG", progressive=True))
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", 9_000, 9_000)
    first = data.rindex(b"\xff\xda")
    return bytes(data[:first] + data[first:-2] * 40 + data[-2:])


def gif_with_comments() -> bytes:
    data = good("GIF")
    start = 13 + 3 * (2 << (data[10] & 7))
    return data[:start] + b"!\xfe" + (b"\xff" + b"x" * 255) * 100_000 + b"\0" + data[start:]


def webp_with_metadata() -> bytes:
    body = b"VP8X" + struct.pack("<IB3x", 10, 0x2C) + b"\x2f\0\0\x2f\0\0"
    body += b"ICCP" + struct.pack("<I", 30 << 20) + bytes(30 << 20) + good("WEBP")[12:]
    body += b"EXIF" + struct.pack("<I", 30 << 20) + bytes(30 << 20)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def png_with(kind: bytes, start: bytes) -> bytes:
    bomb = start + zlib.compress(bytes(300 << 20), 1)
    return png(ihdr(48, 48), (kind, bomb), idat((b"\0" + bytes(144)) * 48), END)


def _sizes() -> list[Case]:
    cases = [
        of_bytes(
            f"{kind} that claims {w} x {h}", with_size(kind, w, h), "megapixels", "no side", "of memory", "damaged"
        )
        for kind in FORMATS
        for w, h in ((65_000, 65_000), (16_000, 16_000), (1, 65_000_000), (10_001, 10_001))
        if not (kind in ("JPEG", "GIF") and h > 65_535) and not (kind == "WEBP" and h > 1 << 24)
    ]
    cases += [of_bytes(f"{kind} of no size", with_size(kind, 0, 0), *DAMAGED) for kind in ("JPEG", "PNG", "BMP")]
    cases += [of_bytes(f"{kind} of no height", with_size(kind, 9, 0), *DAMAGED) for kind in ("PNG", "BMP")]
    cases.append(of_bytes("WebP within the cap that takes gigabytes", with_size("WEBP", 8_000, 8_000), "MB of memory"))
    return cases


def _cuts() -> list[Case]:
    return [
        of_bytes(f"{kind} cut off after {share:.0%}", good(kind)[: int(len(good(kind)) * share)], *DAMAGED)
        for kind in FORMATS
        for share in (0.04, 0.3, 0.6, 0.9)
    ]


def _wrecks() -> list[Case]:
    jpeg = good("JPEG")
    table, frame, scan = (jpeg.index(mark) for mark in (b"\xff\xdb", b"\xff\xc0", b"\xff\xda"))
    return [
        of_bytes("PNG whose checksum is wrong", good("PNG")[:29] + b"\0\0\0\0" + good("PNG")[33:], *DAMAGED),
        of_bytes("PNG without pixels", png(ihdr(9, 9), END), *DAMAGED),
        of_bytes("PNG without a header", png(idat(bytes(99)), END), *DAMAGED),
        of_bytes("PNG of depth 3", png(ihdr(9, 9, depth=3), idat(bytes(999)), END), *DAMAGED),
        of_bytes("PNG with too few pixels", png(ihdr(900, 900), idat(bytes(99)), END), *DAMAGED),
        of_bytes("PNG with a chunk of 4 GB", good("PNG")[:33] + b"\xff\xff\xff\xffIDAT" + bytes(99), *DAMAGED),
        of_bytes("PNG whose pixels are no zlib", png(ihdr(9, 9), (b"IDAT", b"\xff" * 99), END), *DAMAGED),
        of_bytes("JPEG without tables", jpeg[:table] + jpeg[frame:], *DAMAGED),
        of_bytes("JPEG without a scan", jpeg[:scan] + b"\xff\xd9", *DAMAGED),
        of_bytes("JPEG with a segment beyond its end", b"\xff\xd8\xff\xdb\xff\xff\x00", *DAMAGED),
        of_bytes("JPEG of nothing but its mark", b"\xff\xd8\xff", *DAMAGED),
        of_bytes("JPEG of fill bytes", b"\xff\xd8" + b"\xff" * 100_000, *DAMAGED),
        of_bytes("progressive JPEG of 400 scans", many_scans, "scans of 9,000 x 9,000"),
        of_bytes("WebP of no chunks", b"RIFF\x04\0\0\0WEBP", *DAMAGED),
        of_bytes("WebP with an empty picture", b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", *DAMAGED),
        of_bytes("WebP with a chunk of 4 GB", b"RIFF\x0c\0\0\0WEBPVP8L\xff\xff\xff\xff", *DAMAGED),
        of_bytes("WebP animation without frames",
                 b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x08\0\0\x08\0\0ANIM\x06\0\0\0" + bytes(6), *DAMAGED),
        of_bytes("GIF without pictures", good("GIF")[:13] + b";", *DAMAGED),
        of_bytes("GIF of endless extensions", good("GIF")[:13] + b"!\xfe\x01x" * 50_000, *DAMAGED),
        of_bytes("GIF frame far larger than its screen",
                 good("GIF")[: 13 + 768] + b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;", *DAMAGED),
        of_bytes("BMP of run lengths that jump", bmp(90_000_000, 1, 8, 1, b"\0\2\0\xff" * 9), "run length", "damaged"),
        of_bytes("BMP of run lengths that pad", bmp(9_000, 9_000, 8, 1, b"\1\0\0\0" * 99), "run length", "damaged"),
        of_bytes("BMP of 4-bit run lengths", bmp(9, 9, 4, 2, b"\1\0\0\0" * 99), "run length", "damaged"),
        of_bytes("BMP with a JPEG inside", bmp(9, 9, 24, 4, jpeg), *DAMAGED),
        of_bytes("BMP of 7 bits", bmp(9, 9, 7), *DAMAGED),
        of_bytes("BMP with a palette of billions", bmp(9, 9, 8, 0, bytes(99), colours=2**31), *DAMAGED),
        of_bytes("BMP whose pixels lie behind its end", bmp(9, 9, offset=2**31 - 1), *DAMAGED),
        of_bytes("BMP with a header of 4 GB", bmp(9, 9, header=2**32 - 1), *DAMAGED),
        of_bytes("BMP with the least height there is", bmp(9, -(2**31)), *DAMAGED, "no side"),
    ]  # fmt: skip


def at_the_cap() -> bytes:
    """Return a PNG with alpha of nearly as many pixels as are read: 400 MB when unpacked."""
    packer = zlib.compressobj(1)
    pixels = b"".join(packer.compress(bytes(1 + 4 * 9_990)) for _ in range(9_990)) + packer.flush()
    return png(ihdr(9_990, 9_990, colour=6), (b"IDAT", pixels), END)


def _harmless() -> list[Case]:
    largest = of_bytes("PNG with alpha at the cap", at_the_cap, "read as 9990 x 9990", harmless=True)
    bombs = {
        "PNG text that unpacks to 300 MB": functools.partial(png_with, b"zTXt", b"k\0\0"),
        "PNG colour profile that unpacks to 300 MB": functools.partial(png_with, b"iCCP", b"k\0\0"),
        "GIF with 25 MB of comments": gif_with_comments,
        "WebP with 60 MB of metadata": webp_with_metadata,
        "PNG with 50 MB of pixels too many": lambda: png(ihdr(48, 48), idat(bytes(50 << 20)), END),
    }
    return [largest, *(of_bytes(name, data, "read as 48 x 48", harmless=True) for name, data in bombs.items())]


CASES = [
    *_sizes(),
    *_cuts(),
    *_wrecks(),
    *(of_bytes(f"{name} named as a photo", data, words) for name, (data, words) in FOREIGN.items()),
    *_harmless(),
]


def give(given: str) -> str:
    """Give a photo to the program."""
    from pathlib import Path

    from fireweed.data.decode import read_photo

    height, width = read_photo(Path(given).read_bytes(), at_least_px=32).shape[:2]
    return f"read as {width} x {height}"
