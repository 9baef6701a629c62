"""What an audit without a model finds among photos whose faults are known."""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fireweed.data.audit import Audit, audit_of
from fireweed.data.drawn import draw_photo
from fireweed.data.modes import colour_mode
from fireweed.data.sources import open_data
from fireweed.data.survey import survey
from fireweed.data.twins import group_twins


def jpeg(name: str, number: int, side_px: int = 120, quality: int = 90) -> bytes:
    image = Image.fromarray(draw_photo(name, number)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return encoded(image, "JPEG", quality=quality)


def encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def audited(folder: Path, files: dict[str, bytes]) -> Audit:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    opened = open_data(str(folder), least_classes=1)
    found = survey(opened, least_classes=0)
    return audit_of(opened, found, group_twins(found))


def names(audit: Audit, photos: tuple[int, ...]) -> set[str]:
    return {audit.catalog.photos[photo].name for photo in photos}


def remarked(audit: Audit, kind: str) -> dict[str, str]:
    return {audit.catalog.photos[one.photo].name: one.detail for one in audit.remarks[kind]}


def flowers(count: int = 6) -> dict[str, bytes]:
    return {f"{name}/{i}.jpg": jpeg(name, i) for name in ("roses", "tulips") for i in range(count)}


def test_sound_photos_have_nothing_the_matter(tmp_path: Path) -> None:
    audit = audited(tmp_path, flowers())
    assert not audit.exact_twins and not audit.near_twins and not audit.conflicts and not audit.leaks
    assert not any(audit.remarks.values()) and not audit.missing
    assert [(row.name, row.photos) for row in audit.classes] == [("roses", 6), ("tulips", 6)]
    assert audit.formats == {"JPEG": 12} and audit.modes == {"colour": 12} and audit.imbalance == 1


def test_twins_and_the_labels_they_disagree_on(tmp_path: Path) -> None:
    files = flowers()
    files["roses/again.jpg"] = files["roses/1.jpg"]
    files["tulips/rose.jpg"] = files["roses/2.jpg"]
    files["tulips/small.jpg"] = jpeg("roses", 3, side_px=90, quality=70)
    audit = audited(tmp_path, files)
    equal = [{"roses/1.jpg", "roses/again.jpg"}, {"roses/2.jpg", "tulips/rose.jpg"}]
    assert [names(audit, group) for group in audit.exact_twins] == equal
    assert [names(audit, group) for group in audit.near_twins] == [{"roses/3.jpg", "tulips/small.jpg"}]
    conflicts = [(names(audit, one.photos), one.equal) for one in audit.conflicts]
    assert conflicts == [(equal[1], True), ({"roses/3.jpg", "tulips/small.jpg"}, False)]


def test_a_group_of_equal_and_nearly_equal_photos_is_one_conflict(tmp_path: Path) -> None:
    files = {**flowers(), "tulips/equal.jpg": jpeg("roses", 2), "roses/small.jpg": jpeg("roses", 2, 90, 70)}
    audit = audited(tmp_path, files)
    together = {"roses/2.jpg", "tulips/equal.jpg", "roses/small.jpg"}
    assert [(names(audit, one.photos), one.equal) for one in audit.conflicts] == [(together, True)]
    assert [names(audit, group) for group in audit.near_twins] == [together]


def test_twins_in_two_given_parts_leak_and_classes_missing_in_a_part_are_named(tmp_path: Path) -> None:
    files = {f"train/{name}": data for name, data in flowers(5).items()}
    files |= {"test/roses/9.jpg": jpeg("roses", 9), "test/roses/copy.jpg": files["train/roses/0.jpg"]}
    files |= {"test/roses/small.jpg": jpeg("tulips", 1, 90, 70)}
    audit = audited(tmp_path, files)
    leaks = {(audit.catalog.photos[one.second].name, one.equal) for one in audit.leaks}
    assert leaks == {("test/roses/copy.jpg", True), ("test/roses/small.jpg", False)}
    assert audit.missing == (("tulips", "test"),)
    assert audit.classes[0].parts == {"train": 5, "test": 3}


def test_without_given_parts_nothing_leaks(tmp_path: Path) -> None:
    assert audited(tmp_path, {**flowers(2), "roses/copy.jpg": jpeg("roses", 0)}).leaks == ()


def test_photos_that_cannot_be_read_count_for_their_class_even_when_none_is_left(tmp_path: Path) -> None:
    files = {
        **flowers(2),
        "daisy/a.jpg": b"",
        "daisy/b.jpg": b"<!doctype html>",
        "roses/cut.jpg": jpeg("roses", 7)[:900],
    }
    audit = audited(tmp_path, files)
    assert {one.name for one in audit.catalog.unreadable} == {"daisy/a.jpg", "daisy/b.jpg", "roses/cut.jpg"}
    rows = {row.name: (row.photos, row.unreadable) for row in audit.classes}
    assert rows == {"daisy": (0, 2), "roses": (2, 1), "tulips": (2, 0)}


def test_a_photo_shown_like_one_that_cannot_be_read_is_not_taken_for_it(tmp_path: Path) -> None:
    files = {**flowers(2), os.fsdecode(b"roses/\xff.jpg"): jpeg("roses", 7), os.fsdecode(b"roses/\xfe.jpg"): b""}
    assert [(row.photos, row.unreadable) for row in audited(tmp_path, files).classes] == [(3, 1), (2, 0)]


def test_no_photo_that_can_be_read_is_a_finding(tmp_path: Path) -> None:
    audit = audited(tmp_path, {"a/1.jpg": b"", "b/1.jpg": b"no photo"})
    assert len(audit.catalog) == 0 and len(audit.catalog.unreadable) == 2 and audit.imbalance is None


def test_a_jpeg_that_programs_read_with_lost_pixels_is_damaged(tmp_path: Path) -> None:
    data = jpeg("roses", 1, side_px=300, quality=95)
    half = len(data) // 2
    broken = data[:half] + bytes(len(data) // 8) + data[half + len(data) // 8 :]
    audit = audited(tmp_path, {**flowers(3), "roses/broken.jpg": broken})
    assert set(remarked(audit, "damaged")) == {"roses/broken.jpg"} and not audit.catalog.unreadable


def test_wrong_endings_are_told_by_the_bytes(tmp_path: Path) -> None:
    photo = Image.fromarray(draw_photo("roses", 8))
    files = {**flowers(3), "roses/a.JPG": encoded(photo, "PNG"), "roses/b.PNG": encoded(photo.rotate(90), "PNG")}
    audit = audited(tmp_path, files)
    assert remarked(audit, "wrong_endings") == {"roses/a.JPG": "is a PNG, called .jpg"}


def test_tiny_narrow_and_blank_photos(tmp_path: Path) -> None:
    files = {**flowers(), "roses/tiny.jpg": jpeg("roses", 8, side_px=30)}
    files["roses/long.png"] = encoded(Image.fromarray(draw_photo("roses", 9)).resize((400, 100)), "PNG")
    files["tulips/blank.png"] = encoded(Image.new("RGB", (120, 120), "grey"), "PNG")
    audit = audited(tmp_path, files)
    assert remarked(audit, "tiny") == {"roses/tiny.jpg": "30 x 30 pixels"}
    assert remarked(audit, "narrow") == {"roses/long.png": "400 x 100 pixels"}
    assert set(remarked(audit, "blank")) == {"tulips/blank.png"}


def test_where_all_photos_are_small_none_is_tiny(tmp_path: Path) -> None:
    files = {f"{name}/{i}.jpg": jpeg(name, i, side_px=28) for name in ("roses", "tulips") for i in range(4)}
    assert audited(tmp_path, files).remarks["tiny"] == ()


@pytest.mark.parametrize(("sizes", "huge"), [([(9000, 6000), (400, 300)], [0]), ([(4200, 3000)] * 2, []),
                                             ([(4200, 3000), (400, 300), (400, 300)], [0])])  # fmt: skip
def test_huge_is_by_megapixels_and_beside_the_others(
    tmp_path: Path, sizes: list[tuple[int, int]], huge: list[int]
) -> None:
    audited(tmp_path, flowers(3))
    opened = open_data(str(tmp_path))
    found = dataclasses.replace(survey(opened), sizes=np.array((sizes * 6)[:6], np.int32))
    told = [one.photo for one in audit_of(opened, found, np.arange(6)).remarks["huge"]]
    assert [photo for photo in told if photo < len(sizes)] == huge


def test_photos_in_other_colours_than_most(tmp_path: Path) -> None:
    photo = Image.fromarray(draw_photo("roses", 20)).resize((90, 90))
    files = {**flowers(12), "roses/grey.jpg": encoded(photo.convert("L"), "JPEG")}
    files["roses/cmyk.jpg"] = encoded(photo.rotate(90).convert("CMYK"), "JPEG")
    assert remarked(audited(tmp_path, files), "odd_modes") == {"roses/grey.jpg": "grey", "roses/cmyk.jpg": "CMYK"}


@pytest.mark.parametrize(("kind", "mode", "told"), [
    ("PNG", "RGB", "colour"), ("PNG", "L", "grey"), ("PNG", "P", "palette"), ("PNG", "RGBA", "transparent"),
    ("PNG", "I;16", "16 bits"), ("JPEG", "L", "grey"), ("JPEG", "CMYK", "CMYK"), ("JPEG", "RGB", "colour"),
    ("GIF", "P", "palette"), ("BMP", "P", "palette"), ("BMP", "RGB", "colour"), ("WEBP", "RGB", "colour"),
    ("WEBP", "RGBA", "transparent"),
])  # fmt: skip
def test_the_mode_is_what_the_file_says(kind: str, mode: str, told: str) -> None:
    image = Image.fromarray(draw_photo("roses", 0)).resize((20, 20))
    image = image.convert(mode) if mode not in ("I;16", "RGBA") else image
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((20, 20)))
    if mode == "I;16":
        image = Image.fromarray(np.zeros((20, 20), np.uint16))
    assert colour_mode(encoded(image, kind), kind) == told


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_the_mode_of_too_few_bytes_is_no_error(kind: str) -> None:
    data = encoded(Image.new("RGB", (20, 20)), kind)
    assert all(colour_mode(data[:length], kind) for length in range(len(data)))
