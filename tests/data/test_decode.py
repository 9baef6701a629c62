import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from fireweed.data import decode
from fireweed.data.decode import (
    FOREIGN_SUFFIXES,
    decode_square,
    looks_like_photo,
    read_photo,
    read_photo_and_size,
    to_square,
)
from fireweed.data.headers import without_metadata
from fireweed.errors import PhotoError


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colour: int, rows: list[bytes], more: bytes = b"", after: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", pixels) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)


def turned_exif(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


# How the stored picture must lie for each orientation value so that it shows as the upright one.
STORED_BY = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_turns_the_photo_upright(kind, value):
    upright = np.asarray(noise(64, 32))
    stored = Image.fromarray(np.ascontiguousarray(STORED_BY[value](upright)))
    got = read_photo(encoded(stored, kind, exif=turned_exif(value), quality=95))
    assert got.shape == (32, 64, 3)
    assert np.abs(got.astype(int) - upright).mean() <= 3


def test_orientation_6_puts_the_left_half_on_top():
    halves = np.zeros((32, 64, 3), np.uint8)
    halves[:, :32, 0] = 255
    halves[:, 32:, 2] = 255
    got = read_photo(encoded(Image.fromarray(halves), "JPEG", exif=turned_exif(6), quality=95))
    assert got.shape == (64, 32, 3)
    assert got[5, 16, 0] > 240 and got[60, 16, 2] > 240


def test_orientation_after_the_pixels_of_a_png_counts():
    row = [bytes([255, 0, 0, 0, 0, 255])]
    data = png(2, 1, 8, 2, row, after=chunk(b"eXIf", turned_exif(6).removeprefix(b"Exif\0\0")))
    assert read_photo(data).shape == (2, 1, 3)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", turned_exif(9)]
)
def test_exif_without_sense_leaves_the_photo_as_it_is(exif):
    assert read_photo(encoded(noise(20, 10), "JPEG", exif=exif)).shape == (10, 20, 3)


def test_16_bit_grey_and_colour_keep_256_levels():
    column = np.arange(256, dtype=np.uint16) * 257
    grey = png(256, 64, 16, 0, [column.astype(">u2").tobytes()] * 64)
    colour = png(256, 64, 16, 2, [np.repeat(column, 3).astype(">u2").tobytes()] * 64)
    for data in (grey, colour):
        got = read_photo(data)
        assert got.shape == (64, 256, 3)
        np.testing.assert_array_equal(got[30], np.repeat(np.arange(256), 3).reshape(256, 3))


def test_cmyk_jpeg_is_red_not_cyan():
    got = read_photo(encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG"))
    assert got.shape == (64, 64, 3)
    assert got[..., 0].min() >= 240 and got[..., 1:].max() <= 15


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "RGB"])
def test_any_mode_becomes_rgb(mode):
    picture = Image.new("L", (6, 4), 255).convert(mode)
    np.testing.assert_array_equal(read_photo(encoded(picture)), np.full((4, 6, 3), 255))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "MPO"])
def test_any_read_format_gives_the_same_picture(kind):
    picture = Image.new("RGB", (24, 16), (200, 60, 20))
    got = read_photo(encoded(picture, kind))
    assert got.shape == (16, 24, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - (200, 60, 20)).max() <= 6


def test_transparent_parts_lie_on_white():
    clear = Image.new("RGBA", (3, 1))
    clear.putdata([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 128)])
    expected = [[10, 20, 30], [255, 255, 255], [127, 127, 127]]
    np.testing.assert_allclose(read_photo(encoded(clear))[0], expected, atol=1)
    np.testing.assert_allclose(read_photo(encoded(clear, "WEBP", lossless=True, exact=True))[0], expected, atol=1)
    palette = chunk(b"PLTE", bytes([10, 20, 30, 10, 20, 30, 0, 0, 0])) + chunk(b"tRNS", bytes([255, 0, 128]))
    np.testing.assert_allclose(read_photo(png(3, 1, 8, 3, [b"\0\1\2"], palette))[0], expected, atol=1)


@pytest.mark.parametrize(
    ("depth", "row", "colour", "expected"),
    [
        (1, bytes([0b01000000]), 0, [255, 255]),
        (2, bytes([0b10110000]), 2, [255, 255]),
        (4, bytes([0x3F]), 3, [255, 255]),
        (8, bytes([7, 9]), 7, [255, 9]),
        (16, struct.pack(">HH", 700, 9 * 257), 700, [255, 9]),
    ],
)
def test_transparent_grey_lies_on_white_at_every_depth(depth, row, colour, expected):
    data = png(2, 1, depth, 0, [row], chunk(b"tRNS", struct.pack(">H", colour)))
    assert read_photo(data)[0, :, 0].tolist() == expected


def test_bmp_with_an_unused_fourth_byte_is_not_blank():
    assert read_photo(encoded(Image.new("RGBA", (4, 4), (9, 8, 7, 0)), "BMP"))[0, 0].tolist() == [9, 8, 7]


def test_gif_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_photo(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_cut_off_photo_is_refused(kind, share):
    data = encoded(noise(120, 90), kind)
    with pytest.raises(PhotoError, match=r"cut off|damaged"):
        read_photo(data[: int(len(data) * share)])


def test_damaged_bytes_never_raise_anything_else():
    random = np.random.default_rng(7)
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):
        good = np.frombuffer(encoded(noise(40, 30), kind), np.uint8)
        for _ in range(60):
            bad = good.copy()
            places = random.integers(0, len(bad), 4)
            bad[places] = random.integers(0, 256, 4)
            try:
                assert read_photo(bad.tobytes()).ndim == 3
            except PhotoError as error:
                assert "\n" not in str(error)


def test_huge_photo_is_refused_before_decoding_and_without_warning():
    big = png(20_000, 20_000, 8, 0, [b""])
    almost = png(9_800, 9_800, 8, 0, [b""])  # above Pillow's own number for a warning, below ours
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoError, match="20,000 x 20,000 pixels are more than the 100 megapixels"):
            read_photo(big)
        with pytest.raises(PhotoError, match="cut off"):
            read_photo(almost)


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "Canon CR3"),
        (b"II*\0\x10\0\0\0CR\x02\0", "Canon CR2"),
        (b"MM\0*\0\0\0\x08", "TIFF or camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "Fujifilm RAF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    ],
)
def test_foreign_format_is_named_with_its_remedy(start, named):
    with pytest.raises(PhotoError, match=f"{named}.*convert it to JPEG or PNG"):
        read_photo(start + bytes(range(256)))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"hello\n", "text, not a photo"),
        (b"  <!DOCTYPE html><title>404</title>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (bytes(500), "zero bytes"),
        (b"\x01\x02\x00\xff" * 40, "no image format"),
    ],
)
def test_what_is_no_photo_is_named(data, named):
    with pytest.raises(PhotoError, match=named):
        read_photo(data)


def test_metadata_never_reaches_the_decoder():
    text = zlib.compress(bytes(64 << 20))  # 64 MB of text in 64 kB, which Pillow would refuse with the picture
    bomb = chunk(b"zTXt", b"Comment\0\0" + text) + chunk(b"iCCP", b"p\0\0" + text)
    assert read_photo(png(1, 1, 8, 0, [b"\x40"], bomb)).tolist() == [[[64, 64, 64]]]
    plain = encoded(noise(30, 20), "JPEG")
    notes = b"".join(b"\xff\xe1" + struct.pack(">H", 65_535) + bytes(65_533) for _ in range(20)) + b"\xff\xff"
    np.testing.assert_array_equal(read_photo(plain[:2] + notes + plain[2:]), read_photo(plain))


def test_large_jpeg_is_decoded_small_but_never_below_twice_the_need():
    data = encoded(noise(1600, 1200), "JPEG")
    assert read_photo(data).shape == (1200, 1600, 3)
    assert read_photo(data, 100).shape == (300, 400, 3)
    assert read_photo(data, 200).shape == (600, 800, 3)
    assert read_photo(data, 301).shape == (1200, 1600, 3)
    close = np.abs(decode_square(data, 96).astype(int) - to_square(read_photo(data), 96))
    assert close.mean() < 1.5


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_square_is_the_same_by_one_call_or_two(fit):
    stripes = np.zeros((600, 900, 3), np.uint8)
    stripes[:, (np.arange(900) // 3) % 2 == 0] = 255
    deep = png(256, 64, 16, 0, [(np.arange(256) * 257).astype(">u2").tobytes()] * 64)
    turned = encoded(noise(90, 60), "JPEG", exif=turned_exif(6))
    for data in (encoded(Image.fromarray(stripes), "JPEG"), deep, turned):
        once = decode_square(data, 64, fit)
        assert once.shape == (64, 64, 3) and once.dtype == np.uint8 and once.flags.writeable
        np.testing.assert_array_equal(once, to_square(read_photo(data, 64), 64, fit))


def test_fine_stripes_are_averaged_not_aliased():
    stripes = np.zeros((600, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    got = decode_square(encoded(Image.fromarray(stripes)), 60)
    assert np.abs(got.astype(int) - 127).max() <= 8


def test_fits_show_what_they_promise():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, :10, 0] = 255
    wide[:, 10:20, 1] = 255
    wide[:, 20:, 2] = 255
    crop, pad, squash = (to_square(wide, 30, fit) for fit in ("crop", "pad", "squash"))
    assert crop[15, 5:25].tolist() == [[0, 255, 0]] * 20
    assert (pad[:10] == 255).all() and (pad[20:] == 255).all() and pad[15, 4].tolist() == [255, 0, 0]
    assert squash[2, 5].tolist() == [255, 0, 0] and squash[28, 25].tolist() == [0, 0, 255]


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_photo_of_one_pixel_width_decodes(size, fit):
    got = decode_square(encoded(Image.new("RGB", size, (1, 2, 3))), 32, fit)
    assert got.shape == (32, 32, 3) and (got == (1, 2, 3)).all(axis=2).any()


def test_square_of_the_same_side_is_the_picture_itself():
    picture = np.asarray(noise(48, 48))
    np.testing.assert_array_equal(to_square(picture, 48), picture)


def test_photos_are_known_by_suffix_or_else_by_first_bytes(tmp_path):
    (tmp_path / "0001").write_bytes(encoded(noise(4, 4)))
    (tmp_path / "README").write_text("hello")
    assert looks_like_photo(tmp_path / "0001")
    assert not looks_like_photo(tmp_path / "README")
    assert looks_like_photo("a/IMG.JPEG") and looks_like_photo("a/x.heic") and ".nef" in FOREIGN_SUFFIXES
    assert not looks_like_photo("notes.txt")


JPEG_KINDS = [
    {}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}, {"keep_rgb": True}, {"restart_marker_blocks": 3},
]  # fmt: skip


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", JPEG_KINDS, ids=str)
def test_jpegs_have_pillows_pixels_to_the_bit(options, mode, monkeypatch):
    data = encoded(noise(93, 61).convert(mode), "JPEG", **options)
    ours = [read_photo(data, at_least_px) for at_least_px in (0, 3, 10, 20)]
    assert [len(rgb) for rgb in ours] == [61, 8, 31, 61]
    monkeypatch.setattr(decode, "_by_simplejpeg", lambda *_: None)
    for rgb, at_least_px in zip(ours, (0, 3, 10, 20), strict=True):
        np.testing.assert_array_equal(rgb, read_photo(data, at_least_px))


def test_damaged_jpegs_are_judged_as_pillow_judges_them(monkeypatch):
    random = np.random.default_rng(3)
    damaged = []
    for options in JPEG_KINDS:
        good = np.frombuffer(encoded(noise(50, 40), "JPEG", **options), np.uint8)
        for _ in range(15):
            changed = good.copy()
            changed[random.integers(2, len(good), 3)] = random.integers(0, 256, 3)
            place = random.integers(2, len(good))
            damaged += [changed.tobytes(), good[:place].tobytes(), np.delete(good, slice(place, place + 20)).tobytes()]

    def told(data):
        try:
            return read_photo(data).tobytes()
        except PhotoError as error:
            return str(error)

    ours = [told(data) for data in damaged]
    assert 0 < sum(isinstance(one, str) for one in ours) < len(ours)
    monkeypatch.setattr(decode, "_by_simplejpeg", lambda *_: None)
    assert ours == [told(data) for data in damaged]


def test_squares_are_near_those_of_an_antialiased_bicubic_filter():
    for width, height in ((300, 200), (800, 600), (150, 100), (90, 70)):
        picture = noise(width, height).crop((0, 0, min(width, height), min(width, height)))
        theirs = np.asarray(picture.resize((96, 96), Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(to_square(np.asarray(picture), 96) - theirs).mean() < 4


def test_full_size_is_told_of_a_photo_decoded_small_and_turned():
    data = encoded(noise(901, 603), "JPEG", exif=turned_exif(6))
    rgb, size = read_photo_and_size(data, 100)
    assert rgb.shape == (451, 302, 3) and size == (901, 603)


def test_a_photo_that_would_take_too_much_memory_or_time_is_refused(monkeypatch):
    data = encoded(Image.new("RGB", (300, 200)), "JPEG", progressive=True)
    monkeypatch.setattr("fireweed.data.decode.SCANNED_PIXELS_CAP", 100_000)
    with pytest.raises(PhotoError, match="scans of 300 x 200 pixels"):
        read_photo(data)
    monkeypatch.undo()
    monkeypatch.setattr("fireweed.data.decode.MEMORY_CAP", 100_000)
    with pytest.raises(PhotoError, match="300 x 200 pixels in this format take 0 MB of memory"):
        read_photo(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_metadata_of_any_format_is_left_out(kind):
    picture = Image.new("RGB", (30, 20), "red")
    more = {"comment": b"x" * 60_000} if kind in ("GIF", "JPEG") else {"icc_profile": b"x" * 60_000}
    data = encoded(picture, kind, **more)
    assert len(data) > 50_000 or kind == "PNG"
    assert len(without_metadata(data, kind)[0]) < 5_000
    assert np.array_equal(read_photo(data), read_photo(encoded(picture, kind)))
