import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from fireweed.data.catalog import PARTS, Catalog, catalog_of
from fireweed.data.decode import decode_square
from fireweed.data.records import index_shards, read_bytes
from fireweed.data.shards import shard_name, write_shards
from fireweed.data.split import split
from fireweed.data.survey import survey
from fireweed.data.twins import group_twins
from fireweed.errors import DataError, FireweedError

tf = pytest.importorskip("tensorflow")


def _surveyed(folder: Path) -> Catalog:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [(str(path), path.relative_to(folder).as_posix(), path.parent.name, "") for path in files]
    return survey(catalog_of(rows, str(folder))).catalog


def _split(folder: Path) -> Catalog:
    found = survey(_surveyed(folder))
    return split(found.catalog, group_twins(found), 0.19, 0.1)


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@pytest.fixture
def photos(make_photos: Callable[..., Path]) -> Path:
    return make_photos({"daisy": 40, "rose 10": 30, "rose 9": 20}, name="flowers")


def _plain_reader(pattern: str, classes: int) -> list[tuple[np.ndarray, int, str, np.ndarray, np.ndarray]]:
    """Read shards as the codelab's notebooks do."""
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "class": tf.io.FixedLenFeature([], tf.int64),
        "label": tf.io.FixedLenFeature([], tf.string),
        "size": tf.io.FixedLenFeature([2], tf.int64),
        "one_hot_class": tf.io.FixedLenFeature([classes], tf.float32),
    }
    rows = []
    for record in tf.data.TFRecordDataset(tf.io.gfile.glob(pattern)):
        example = tf.io.parse_single_example(record, features)
        image = tf.io.decode_jpeg(example["image"], channels=3).numpy()
        label = example["label"].numpy().decode()
        rows.append((image, int(example["class"]), label, example["size"].numpy(), example["one_hot_class"].numpy()))
    return rows


def test_a_plain_reader_of_the_codelabs_format_reads_them(photos: Path, tmp_path: Path) -> None:
    summary = write_shards(_split(photos), tmp_path / "out", 48, 8)
    rows = _plain_reader(str(tmp_path / "out" / "flowers*.tfrec"), 3)
    assert len(rows) == summary.photos == 90
    assert Counter(label for _, _, label, _, _ in rows) == {"daisy": 40, "rose 9": 20, "rose 10": 30}
    for image, number, label, size, one_hot in rows:
        assert image.shape == (48, 48, 3) and size.tolist() == [48, 48]
        assert ("daisy", "rose 9", "rose 10")[number] == label
        assert one_hot.tolist() == [float(i == number) for i in range(3)]


def test_names_and_manifest_tell_what_is_there(photos: Path, tmp_path: Path) -> None:
    catalog = _split(photos)
    summary = write_shards(catalog, tmp_path / "out", 32, 8, fit="pad", quality=80)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    files = sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".tfrec")
    assert [shard["file"] for shard in manifest["shards"]] == files and len(files) == 8
    assert manifest["classes"] == ["daisy", "rose 9", "rose 10"] and manifest["counts"]["rose 9"] == 20
    assert (manifest["side_px"], manifest["fit"], manifest["quality"]) == (32, "pad", 80)
    for number, shard in enumerate(manifest["shards"]):
        records = list(tf.data.TFRecordDataset(str(tmp_path / "out" / shard["file"])))
        assert re.fullmatch(rf"flowers{number:02d}-{len(records)}\.tfrec", shard["file"])
        assert shard["records"] == len(records) == sum(shard["counts"].values())
        assert shard["sha256"] == hashlib.sha256((tmp_path / "out" / shard["file"]).read_bytes()).hexdigest()
    for part in PARTS:
        listed = [shard for shard in manifest["shards"] if shard["part"] == part]
        assert sum(shard["records"] for shard in listed) == len(catalog.part(part)) > 0
        assert {lane for shard in listed for lane in shard["lanes"]} == set(range(manifest["lanes"][part]))
    assert "90 photos of 32 x 32 pixels as 8 shards (4 train" in str(summary)


def test_shards_read_back_are_split_as_the_photos_were(photos: Path, tmp_path: Path) -> None:
    twin = (photos / "daisy" / "000.png").read_bytes()
    (photos / "rose 9" / "twin.png").write_bytes(twin)
    catalog = _split(photos)
    write_shards(catalog, tmp_path / "out", 64, 8)
    back = index_shards(str(tmp_path / "out" / "*.tfrec"))
    assert back.classes == catalog.classes and len(back) == 91
    assert sorted((p.key, p.label, p.part) for p in back.photos) == sorted(
        (p.key, p.label, p.part) for p in catalog.photos
    )
    assert back.digest() == catalog.digest()
    without_parts = survey(Catalog(back.classes, tuple(replace(photo, part="") for photo in back.photos)))
    anew = split(without_parts.catalog, group_twins(without_parts), 0.19, 0.1)
    assert {p.key: p.part for p in anew.photos} == {p.key: p.part for p in catalog.photos}


def test_pixels_are_those_of_decode_square_at_full_colour(photos: Path, tmp_path: Path) -> None:
    catalog = _surveyed(photos)
    write_shards(catalog, tmp_path / "out", 40, 2, quality=100)
    by_key = {photo.key: photo for photo in catalog.photos}
    for photo in index_shards(str(tmp_path / "out" / "*.tfrec")).photos[::9]:
        with Image.open(io.BytesIO(read_bytes(photo))) as image:
            assert JpegImagePlugin.get_sampling(image) == 0
            stored = np.asarray(image).astype(int)
        original = decode_square(Path(by_key[photo.key].path).read_bytes(), 40)
        assert np.abs(stored - original).mean() < 3


def test_a_photo_turned_by_its_tag_is_stored_upright(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "set" / label).mkdir(parents=True)
    image = Image.new("RGB", (64, 32), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "set" / "a" / "turned.jpg", exif=exif, quality=95)
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "set" / "b" / "other.png")
    write_shards(_surveyed(tmp_path / "set"), tmp_path / "out", 32, 1, fit="squash")
    photo = next(p for p in index_shards(str(tmp_path / "out" / "*.tfrec")).photos if p.label == 0)
    with Image.open(io.BytesIO(read_bytes(photo))) as stored:
        assert stored.getexif().get(0x0112) is None
        pixels = np.asarray(stored).astype(int)
    assert pixels[4, 16, 0] > 200 > 60 > pixels[4, 16, 2]
    assert pixels[28, 16, 2] > 200 > 60 > pixels[28, 16, 0]


class TestPhotosLeftOut:
    def test_are_counted_and_no_shard_is_empty(self, make_photos: Callable[..., Path], tmp_path: Path) -> None:
        folder = make_photos({"a": 5, "b": 5})
        for name in ("a/000.png", "a/003.png", "b/001.png", "b/002.png"):
            (folder / name).rename((folder / name).with_suffix(".jpg"))
            (folder / name).with_suffix(".jpg").write_text("hello")
        catalog = _surveyed(folder)
        assert len(catalog.unreadable) == 4
        summary = write_shards(catalog, tmp_path / "out", 32, 16)
        files = sorted((tmp_path / "out").glob("*.tfrec"))
        assert [path.name for path in files] == [f"photos{i:02d}-1.tfrec" for i in range(6)]
        assert summary.photos == json.loads((tmp_path / "out" / "manifest.json").read_text())["records"] == 6
        assert len(index_shards(str(tmp_path / "out" / "*.tfrec"))) == 6
        assert "16 shards were asked for; 6 can be filled" in str(summary)

    def test_after_the_survey_are_counted_too(self, make_photos: Callable[..., Path], tmp_path: Path) -> None:
        folder = make_photos({"a": 4, "b": 4})
        catalog = _surveyed(folder)
        (folder / "a" / "002.png").unlink()
        (folder / "b" / "001.png").write_bytes(b"")
        summary = write_shards(catalog, tmp_path / "out", 32, 8)
        assert summary.photos == 6 == len(index_shards(str(tmp_path / "out" / "*.tfrec")))
        assert [entry.name for entry in summary.unreadable] != [] and "2 photos could not be read" in str(summary)
        assert [path.name[6:8] for path in sorted((tmp_path / "out").glob("*.tfrec"))] == [f"0{i}" for i in range(6)]

    def test_if_they_are_all_leave_no_file(self, make_photos: Callable[..., Path], tmp_path: Path) -> None:
        folder = make_photos({"a": 2, "b": 2})
        catalog = _surveyed(folder)
        for photo in catalog.photos:
            Path(photo.path).write_text("hello")
        with pytest.raises(DataError, match="none of the 4 photos"):
            write_shards(catalog, tmp_path / "new" / "out", 32, 2)
        assert not (tmp_path / "new").exists()
        assert not [path for path in tmp_path.iterdir() if path != folder]


class TestOutFolder:
    def test_with_something_in_it_is_refused_and_left(self, photos: Path, tmp_path: Path) -> None:
        catalog = _surveyed(photos)
        write_shards(catalog, tmp_path / "out", 32, 2)
        before = _tree(tmp_path)
        with pytest.raises(DataError, match=r"already holds 'flowers00-45\.tfrec'"):
            write_shards(catalog, tmp_path / "out", 32, 3)
        assert _tree(tmp_path) == before

    def test_that_is_empty_but_for_dot_files_is_used(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / ".keep").write_text("mine")
        write_shards(_surveyed(photos), tmp_path / "out", 32, 1)
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
            ".keep", "flowers00-90.tfrec", "manifest.json",
        ]  # fmt: skip
        assert sorted(path.name for path in tmp_path.iterdir()) == ["flowers", "out"]

    @pytest.mark.parametrize("out", ["gs://bucket/shards", "s3://bucket/shards"])
    def test_in_a_bucket_is_refused(self, photos: Path, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(photos)
        with pytest.raises(DataError, match="written to a folder here"):
            write_shards(_surveyed(photos), Path(out), 32, 1)

    def test_that_is_a_file_is_refused(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("mine")
        with pytest.raises(DataError, match="is a file"):
            write_shards(_surveyed(photos), tmp_path / "out", 32, 1)
        assert (tmp_path / "out").read_text() == "mine"

    def test_on_a_full_disk_leaves_nothing(self, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fill_up(self: object, record: bytes) -> None:
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

        catalog = _surveyed(photos)
        before = _tree(tmp_path)
        monkeypatch.setattr(tf.io.TFRecordWriter, "write", fill_up)
        with pytest.raises(FireweedError, match="disk full"):
            write_shards(catalog, tmp_path / "new" / "out", 32, 2)
        assert _tree(tmp_path) == before

    def test_after_ctrl_c_leaves_nothing(self, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(done: int, total: int) -> None:
            if done > 40:
                raise KeyboardInterrupt

        catalog = _surveyed(photos)
        before = _tree(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            write_shards(catalog, tmp_path / "out", 32, 4, progress=interrupt)
        assert _tree(tmp_path) == before

    def test_that_cannot_be_made_is_one_line(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(FireweedError, match="could not be written"):
            write_shards(_surveyed(photos), tmp_path / "file" / "out", 32, 1)


def test_photos_without_keys_are_a_fault_of_the_caller(photos: Path, tmp_path: Path) -> None:
    rows = [(str(path), path.name, path.parent.name, "") for path in sorted(photos.rglob("*.png"))]
    with pytest.raises(ValueError, match="survey the catalog first"):
        write_shards(catalog_of(rows), tmp_path / "out", 32, 1)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../shared/flower_photos", "flower_photos"),
        ("flowers", "flowers"),
        ("C:\\photos\\My set.zip", "My_set"),
        ("photos.tar.gz", "photos"),
        ("gs://bucket/flowers*.tfrec", "flowers"),
        ("*.tfrec", "photos"),
        (".", "photos"),
        ("run-2/", "run_2_"),
        ("郁金香", "郁金香"),
    ],
)
def test_a_shard_is_named_after_the_data(title: str, name: str) -> None:
    assert shard_name(title) == name


def test_progress_counts_photos(photos: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_shards(_surveyed(photos), tmp_path / "out", 32, 4, progress=lambda *counts: told.append(counts))
    assert told[-1] == (90, 90) and len(told) > 4
