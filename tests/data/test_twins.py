import hashlib
import io
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from fireweed.data import twins
from fireweed.data.catalog import Catalog, Photo
from fireweed.data.survey import survey
from fireweed.data.twins import group_twins


def picture(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    """Return colours that vary at several scales, as a photo's do; another seed, another picture."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.normal(0, 1, (size, size, 3)), (width, height), interpolation=cv2.INTER_CUBIC) / size**0.5
        for size in (3, 6, 12, 24, 48)
    ]
    return Image.fromarray(np.clip(128 + 110 * sum(layers), 0, 255).astype(np.uint8))


def encoded(image: Image.Image, quality: int = 92, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def catalog_of(folder: Path, contents: dict[str, bytes]) -> Catalog:
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return Catalog(("a",), tuple(Photo(str(folder / name), 0, name=name) for name in contents))


def twins_by_name(catalog: Catalog) -> set[frozenset[str]]:
    """Return the groups of two or more, by name."""
    found = survey(catalog, least_classes=1)
    groups = group_twins(found)
    names = np.array([photo.name for photo in found.catalog.photos])
    together = (frozenset(names[groups == group].tolist()) for group in np.unique(groups))
    return {group for group in together if len(group) > 1}


def test_copies_are_found_however_they_were_saved(tmp_path: Path) -> None:
    photo = picture(0)
    others = {f"other{i}.jpg": encoded(picture(1 + i)) for i in range(20)}
    copies = {
        "photo.jpg": encoded(photo),
        "copy.jpg": encoded(photo),
        "quality 70.jpg": encoded(photo, quality=70),
        "half.jpg": encoded(photo.resize((100, 75))),
        "larger.png": encoded(photo.resize((320, 240)), kind="PNG"),
        "brighter.jpg": encoded(ImageEnhance.Brightness(photo).enhance(1.15)),
        "grey.jpg": encoded(photo.convert("L")),
    }
    assert twins_by_name(catalog_of(tmp_path, {**others, **copies})) == {frozenset(copies)}


def test_mirrored_turned_and_cropped_photos_are_no_twins(tmp_path: Path) -> None:
    photo = picture(0)
    variants = {
        "photo.jpg": encoded(photo),
        "mirrored.jpg": encoded(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "turned.jpg": encoded(photo.transpose(Image.Transpose.ROTATE_180)),
        "part.jpg": encoded(photo.crop((0, 0, 100, 75))),
    }
    assert twins_by_name(catalog_of(tmp_path, variants)) == set()


def test_blank_photos_are_twins_only_if_equal(tmp_path: Path) -> None:
    blanks = {
        f"{shade}.png": encoded(Image.new("RGB", (80, 80), (shade, shade, shade)), kind="PNG") for shade in (0, 9)
    }
    again = {"again.png": blanks["9.png"], "jpeg.jpg": encoded(Image.new("RGB", (80, 80)))}
    assert twins_by_name(catalog_of(tmp_path, {**blanks, **again})) == {frozenset({"9.png", "again.png"})}


def test_renaming_and_reordering_changes_no_group(tmp_path: Path) -> None:
    contents = [encoded(picture(seed), quality) for seed in range(6) for quality in (95, 80, 60)]
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one = survey(catalog_of(tmp_path / "one", {f"{i}.jpg": data for i, data in enumerate(contents)}), least_classes=1)
    other = survey(
        catalog_of(tmp_path / "other", {f"{i}.jpg": data for i, data in enumerate(contents[::-1])}), least_classes=1
    )

    def first_keys(found: object) -> dict[str, str]:
        photos = found.catalog.photos  # type: ignore[attr-defined]
        groups = group_twins(found)  # type: ignore[arg-type]
        return {photo.key: photos[group].key for photo, group in zip(photos, groups, strict=True)}

    result = first_keys(one)
    assert result == first_keys(other)
    assert len(set(result.values())) == 6
    assert all(first <= key for key, first in result.items())


@dataclass
class Surveyed:
    """What `group_twins` needs of a survey, with keys and hashes chosen by the test."""

    catalog: Catalog
    hashes: np.ndarray
    blank: np.ndarray


def surveyed(folder: Path, contents: list[bytes], hashes: np.ndarray | None = None) -> Surveyed:
    files = catalog_of(folder, {f"{i}.png": data for i, data in enumerate(contents)}).photos
    photos = tuple(Photo(photo.path, 0, key=f"{i:064x}") for i, photo in enumerate(files))
    same = np.zeros(len(photos), np.uint64)
    return Surveyed(Catalog(("a",), photos), same if hashes is None else hashes, np.zeros(len(photos), bool))


def test_small_steps_make_no_chain(tmp_path: Path) -> None:
    """Each picture shares four fifths with the one before, the third too little with the first."""
    pixels, others = np.asarray(picture(0)), np.asarray(picture(1))
    steps = []
    for replaced in (0, 30, 60):
        step = pixels.copy()
        step[:replaced] = others[:replaced]
        steps.append(encoded(Image.fromarray(step), kind="PNG"))
    assert group_twins(surveyed(tmp_path, steps)).tolist() == [0, 0, 2]  # type: ignore[arg-type]


def test_hashes_alone_make_no_twins(tmp_path: Path) -> None:
    contents = [encoded(picture(seed), kind="PNG") for seed in range(8)]
    assert group_twins(surveyed(tmp_path, contents)).tolist() == list(range(8))  # type: ignore[arg-type]


def test_small_pictures_need_to_be_nearly_the_same_pixels(tmp_path: Path) -> None:
    """Strokes like handwritten ones, slanted a little differently, and one saved again."""
    strokes = []
    for lean in (0, 1, 2, 3):
        canvas = np.zeros((28, 28), np.uint8)
        cv2.line(canvas, (14 - lean, 24), (14 + lean, 4), 255, 2, cv2.LINE_AA)
        strokes.append(Image.fromarray(canvas))
    contents = [encoded(stroke, kind="PNG") for stroke in strokes] + [encoded(strokes[0], quality=85)]
    assert group_twins(surveyed(tmp_path, contents)).tolist() == [0, 1, 2, 3, 0]  # type: ignore[arg-type]


def test_a_photo_that_went_away_since_has_no_twins(tmp_path: Path) -> None:
    photo = picture(0)
    found = surveyed(tmp_path, [encoded(photo, kind="PNG"), encoded(photo, quality=80)])
    (tmp_path / "1.png").unlink()
    assert group_twins(found).tolist() == [0, 1]  # type: ignore[arg-type]


def test_hashes_up_to_seven_bits_apart_are_found_among_many_without_comparing_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    count = 5_000
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    for i in range(0, count, 2):
        apart = random.choice(64, size=int(random.integers(0, 8)), replace=False)
        hashes[i + 1] = hashes[i] ^ np.bitwise_or.reduce(np.uint64(1) << apart.astype(np.uint64))
    photos = tuple(Photo("none", 0, key=hashlib.sha256(bytes([i % 256, i // 256])).hexdigest()) for i in range(count))
    looks = []
    one = twins._Look(np.zeros((32, 32), np.float32), np.eye(1, 1024, dtype=np.float32)[0], False)
    monkeypatch.setattr(twins, "_look_at", lambda photo: looks.append(photo) or one)
    start = time.perf_counter()
    groups = group_twins(Surveyed(Catalog(("a",), photos), hashes, np.zeros(count, bool)))  # type: ignore[arg-type]
    assert time.perf_counter() - start < 2
    np.testing.assert_array_equal(groups[::2], groups[1::2])
    assert len(np.unique(groups)) == count // 2
    assert len(looks) == count


def test_pictures_alike_in_the_large_take_time_that_grows_with_their_number_and_copies_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    count = 3_000
    flips = [np.bitwise_or.reduce(np.uint64(1) << random.choice(64, 4, False).astype(np.uint64)) for _ in range(count)]
    hashes = np.uint64(0x0123456789ABCDEF) ^ np.array(flips, np.uint64)
    hashes[-1] = hashes[17]
    photos = tuple(Photo(str(i), 0, key=hashlib.sha256(i.to_bytes(4)).hexdigest()) for i in range(count))
    pairs = []

    def alike(one: int, other: int) -> bool:
        pairs.append((one, other))
        return {one, other} == {17, count - 1}

    monkeypatch.setattr(twins, "_look_at", lambda photo: int(photo.path))
    monkeypatch.setattr(twins, "_alike", alike)
    groups = group_twins(Surveyed(Catalog(("a",), photos), hashes, np.zeros(count, bool)))  # type: ignore[arg-type]
    assert len(pairs) <= twins.MOST_LOOKED_AT * count
    assert groups[17] == groups[-1] and len(np.unique(groups)) == count - 1
