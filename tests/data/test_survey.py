import hashlib
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from fireweed.data import survey as module
from fireweed.data.catalog import Catalog, Photo, Unreadable, catalog_of
from fireweed.data.drawn import draw_photo
from fireweed.data.survey import perceptual_hash, survey
from fireweed.errors import DataError
from hosts_in_threads import on_all


def _catalog(folder: Path) -> Catalog:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [(str(path), path.relative_to(folder).as_posix(), path.parent.name, "") for path in files]
    return catalog_of(rows, folder.name)


@pytest.mark.parametrize("name", ["daisy", "dandelion", "roses", "sunflowers", "tulips"])
@pytest.mark.parametrize("side_px", [40, 128, 301])
def test_the_hash_is_nearly_that_of_imagehash(name: str, side_px: int) -> None:
    for number in range(3):
        image = Image.fromarray(draw_photo(name, number)).resize((side_px + 20, side_px))
        theirs = int(str(imagehash.phash(image)), 16)
        assert (perceptual_hash(np.asarray(image))[0] ^ theirs).bit_count() <= 4


def test_a_photo_saved_anew_keeps_nearly_the_same_hash(tmp_path: Path) -> None:
    image = Image.fromarray(draw_photo("roses", 2)).resize((480, 480), Image.Resampling.BICUBIC)
    for label, suffix, settings in (("a", "png", {}), ("a", "jpg", {"quality": 40}), ("b", "jpeg", {"quality": 95})):
        (tmp_path / label).mkdir(exist_ok=True)
        image.save(tmp_path / label / f"x.{suffix}", **settings)
    hashes = [int(bits) for bits in survey(_catalog(tmp_path)).hashes]
    assert max((hashes[0] ^ other).bit_count() for other in hashes[1:]) <= 6


def test_keys_are_the_sha256_of_the_files(make_photos: Callable[..., Path]) -> None:
    folder = make_photos({"a": 20, "b": 30})
    told: list[tuple[int, int]] = []
    result = survey(_catalog(folder), progress=lambda done, total: told.append((done, total)))
    for photo in result.catalog.photos:
        assert photo.key == hashlib.sha256(Path(photo.path).read_bytes()).hexdigest()
    assert told[-1] == (50, 50) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_surveyed_file_that_changed_gets_its_new_key(make_photos: Callable[..., Path]) -> None:
    folder = make_photos({"a": 2, "b": 2})
    before = survey(_catalog(folder)).catalog
    Path(before.photos[0].path).write_bytes(Path(before.photos[1].path).read_bytes())
    assert survey(before).catalog.photos[0].key == before.photos[1].key


def test_the_number_of_threads_changes_nothing(make_photos: Callable[..., Path]) -> None:
    catalog = _catalog(make_photos({"a": 40, "b": 37}))
    one, four = survey(catalog, workers=1), survey(catalog, workers=4)
    assert one.catalog == four.catalog
    assert np.array_equal(one.hashes, four.hashes) and np.array_equal(one.sizes, four.sizes)


@pytest.mark.parametrize("hosts", [2, 3, 64])
def test_each_of_several_hosts_reads_its_share_and_knows_all(
    hosts: int, make_photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_photos({"a": 20, "b": 30})
    (folder / "a" / "007.png").write_text("hello")
    catalog = _catalog(folder)
    alone = survey(catalog)
    read, read_bytes = [], module.read_bytes
    monkeypatch.setattr(module, "read_bytes", lambda photo: (read.append(photo.name), read_bytes(photo))[1])
    for share in on_all(hosts, lambda host: survey(catalog, hosts=host)):
        assert share.catalog == alone.catalog and len(share.catalog.unreadable) == 1
        for name in ("hashes", "blank", "sizes"):
            assert np.array_equal(getattr(share, name), getattr(alone, name))
            assert getattr(share, name).dtype == getattr(alone, name).dtype
    assert sorted(read) == sorted(photo.name for photo in catalog.photos)


def test_unreadable_photos_are_left_out_and_the_rest_stays_in_line(make_photos: Callable[..., Path]) -> None:
    folder = make_photos({"a": 5, "b": 5})
    whole = survey(_catalog(folder))
    (folder / "a" / "001.png").write_text("hello")
    (folder / "b" / "003.png").write_bytes((folder / "b" / "003.png").read_bytes()[:60])
    (folder / "b" / "004.png").write_bytes(b"")
    result = survey(_catalog(folder))
    assert [entry.name for entry in result.catalog.unreadable] == ["a/001.png", "b/003.png", "b/004.png"]
    assert "text" in result.catalog.unreadable[0].reason and "empty" in result.catalog.unreadable[2].reason
    kept = [
        i for i, photo in enumerate(whole.catalog.photos) if photo.name not in ("a/001.png", "b/003.png", "b/004.png")
    ]
    assert [photo.name for photo in result.catalog.photos] == [whole.catalog.photos[i].name for i in kept]
    assert np.array_equal(result.hashes, whole.hashes[kept])
    assert len(result.blank) == len(result.sizes) == 7


def test_photos_left_out_before_stay_listed(make_photos: Callable[..., Path]) -> None:
    catalog = _catalog(make_photos({"a": 2, "b": 2}))
    listed = Catalog(catalog.classes, catalog.photos, "photos", unreadable=(Unreadable("a/x.heic", "HEIC"),))
    assert survey(listed).catalog.unreadable == (Unreadable("a/x.heic", "HEIC"),)


def test_a_class_without_a_readable_photo_is_left_out_and_said(make_photos: Callable[..., Path]) -> None:
    folder = make_photos({"a": 3, "b": 2, "c": 4})
    for path in (folder / "b").iterdir():
        path.write_text("hello")
    result = survey(_catalog(folder)).catalog
    assert result.classes == ("a", "c")
    assert {Path(photo.path).parent.name: photo.label for photo in result.photos} == {"a": 0, "c": 1}
    assert any("'b'" in note for note in result.notes)


def test_nothing_readable_is_an_error_that_names_the_data_and_the_first_reason(tmp_path: Path) -> None:
    folder = tmp_path / "noimg"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        (folder / label / "x.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"none of the 2 photos in noimg .*a/x\.jpg: text, not a photo"):
        survey(_catalog(folder))


def test_a_lonely_class_is_an_error_unless_one_is_enough(make_photos: Callable[..., Path]) -> None:
    catalog = _catalog(make_photos({"lonely": 3}))
    with pytest.raises(DataError, match="only the class 'lonely'"):
        survey(catalog)
    assert len(survey(catalog, least_classes=1).catalog) == 3


def test_a_photo_that_cannot_be_opened_is_unreadable(make_photos: Callable[..., Path]) -> None:
    folder = make_photos({"a": 3, "b": 3})
    catalog = _catalog(folder)
    (folder / "a" / "000.png").unlink()
    assert survey(catalog).catalog.unreadable == (
        Unreadable("a/000.png", "cannot be opened: No such file or directory"),
    )


def test_400_megapixels_are_unreadable_and_one_pixel_is_noted(make_photos: Callable[..., Path]) -> None:
    folder = make_photos({"a": 3, "b": 3})
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(60001)))]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    (folder / "a" / "huge.png").write_bytes(png)
    Image.new("RGB", (1, 1), (9, 200, 9)).save(folder / "b" / "tiny.png")
    result = survey(_catalog(folder))
    (huge,) = result.catalog.unreadable
    assert huge.name == "a/huge.png" and "20,000 x 20,000" in huge.reason
    assert any("b/tiny.png (1 x 1)" in note for note in result.catalog.notes)
    assert result.sizes[[photo.name for photo in result.catalog.photos].index("b/tiny.png")].tolist() == [1, 1]


def test_plain_photos_are_blank_and_patterned_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Image.new("RGB", (300, 200), (120, 130, 140)).save(tmp_path / "a" / "1-plain.jpg")
    slope = np.repeat(np.linspace(200, 208, 300).astype(np.uint8)[None], 200, 0)
    Image.fromarray(slope).save(tmp_path / "a" / "2-sheet.png")
    Image.fromarray(draw_photo("daisy", 0)).save(tmp_path / "b" / "3-daisy.jpg")
    assert survey(_catalog(tmp_path)).blank.tolist() == [True, True, False]


def test_sizes_are_those_of_the_whole_photo_upright(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    image = Image.fromarray(draw_photo("tulips", 0)).resize((901, 603))
    image.save(tmp_path / "a" / "1.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a" / "2.jpg", exif=exif)
    image.save(tmp_path / "b" / "3.png")
    result = survey(_catalog(tmp_path))
    assert result.sizes.tolist() == [[603, 901], [901, 603], [603, 901]]
    assert result.sizes.dtype == np.int32 and result.hashes.dtype == np.uint64


def test_a_record_keeps_the_key_its_shard_gave_it(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    Image.fromarray(draw_photo("roses", 1)).save(tmp_path / "x.png")
    example = tf.train.Example()
    example.features.feature["image"].bytes_list.value.append((tmp_path / "x.png").read_bytes())
    payload = example.SerializeToString()
    with tf.io.TFRecordWriter(str(tmp_path / "x.tfrec")) as writer:
        writer.write(payload)
    record = Photo(str(tmp_path / "x.tfrec"), 0, "ab" * 32, offset=0, length=len(payload), name="x.tfrec#0")
    file = Photo(str(tmp_path / "x.png"), 1, name="x.png")
    result = survey(Catalog(("a", "b"), (record, file)))
    assert result.catalog.photos[0].key == "ab" * 32
    assert result.hashes[0] == result.hashes[1]
