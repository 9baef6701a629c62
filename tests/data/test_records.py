import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from fireweed.data import buckets, records
from fireweed.data.catalog import Photo
from fireweed.data.records import index_shards, read_bytes
from fireweed.errors import DataError, PhotoError
from hosts_in_threads import on_all

tf = pytest.importorskip("tensorflow")


def _example(**features: Any) -> bytes:
    """Serialize a record as the codelab describes it: bytes, whole numbers or lists of floats."""
    example = tf.train.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.extend(value)
    return example.SerializeToString()


def _write(path: Path, payloads: list[bytes]) -> Path:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    return path


def _good(count: int) -> list[bytes]:
    return [_example(image=b"photo %d" % i, label=b"rose" if i % 3 else b"daisy") for i in range(count)]


def test_the_codelabs_records_are_indexed_and_read(tmp_path: Path) -> None:
    size = tf.train.Int64List(value=[192, 192])
    for shard in range(2):
        payloads = []
        for i in range(5):
            example = tf.train.Example.FromString(
                _example(image=b"%d-%d" % (shard, i) * (i + 1), label=[b"tulips", b"daisy"][i % 2], one_hot_class=[1.0])
            )
            example.features.feature["class"].int64_list.value.append(4 * (1 - i % 2))
            example.features.feature["size"].int64_list.CopyFrom(size)
            payloads.append(example.SerializeToString())
        _write(tmp_path / f"flowers{shard:02d}-5.tfrec", payloads)
    told: list[tuple[int, int]] = []
    catalog = index_shards(str(tmp_path / "*.tfrec"), lambda done, total: told.append((done, total)))
    assert catalog.classes == ("daisy", "tulips")
    assert [photo.name for photo in catalog.photos[3:7]] == [
        "flowers00-5.tfrec#3", "flowers00-5.tfrec#4", "flowers01-5.tfrec#0", "flowers01-5.tfrec#1",
    ]  # fmt: skip
    assert catalog.labels().tolist() == [1, 0, 1, 0, 1] * 2
    expected = [b"%d-%d" % (shard, i) * (i + 1) for shard in range(2) for i in range(5)]
    assert [read_bytes(photo) for photo in reversed(catalog.photos)] == expected[::-1]
    assert [photo.key for photo in catalog.photos] == [hashlib.sha256(image).hexdigest() for image in expected]
    assert {photo.part for photo in catalog.photos} == {""}
    assert told == [(1, 2), (2, 2)]


def test_a_class_is_its_text_else_its_number(tmp_path: Path) -> None:
    payloads = [
        _example(image=b"1", label="郁金香 ".encode(), **{"class": 7}),
        _example(image=b"2", **{"class": 10}),
        _example(image=b"3", label=b"", **{"class": 2}),
        _example(image=b"4", one_hot_class=[0.0, 0.0, 1.0]),
        _example(image=b"5", label=10),
    ]
    catalog = index_shards(str(_write(tmp_path / "mixed.tfrec", payloads)))
    assert catalog.classes == ("2", "10", "郁金香")
    assert [catalog.classes[photo.label] for photo in catalog.photos] == ["郁金香", "10", "2", "2", "10"]


def test_our_key_is_kept_and_another_programs_is_not(tmp_path: Path) -> None:
    payloads = [_example(image=b"1", label=b"a", key=b"0f" * 32), _example(image=b"2", label=b"b", key=b"photo 2")]
    first, second = index_shards(str(_write(tmp_path / "x.tfrec", payloads))).photos
    assert first.key == "0f" * 32
    assert second.key == hashlib.sha256(b"2").hexdigest()


def test_shards_come_in_natural_order_and_a_date_is_no_count(tmp_path: Path) -> None:
    for number in (10, 9):
        _write(tmp_path / f"run{number}.tfrec", [_example(image=b"%d" % number, label=b"a")])
    _write(tmp_path / "set-2024-01-05.tfrec", _good(2))
    _write(tmp_path / "train-00000-of-00010.tfrec", _good(2))
    names = [photo.name for photo in index_shards(f"{tmp_path}/**/*.tfrec").photos]
    assert names[:3] == ["run9.tfrec#0", "run10.tfrec#0", "set-2024-01-05.tfrec#0"]
    assert len(names) == 6


class TestBadShards:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (lambda good: bytes(range(7, 107)), "corrupt or cut off"),
            (lambda good: good[:-5], "corrupt or cut off"),
            (lambda good: good[:60] + b"X" + good[61:], "corrupt or cut off"),
            (lambda good: good[: len(good) // 20 * 3], "corrupt or cut off|holds 3 records and its name says 20"),
            (lambda good: b"", "holds 0 records and its name says 20"),
        ],
    )
    def test_is_named_in_one_line(self, tmp_path: Path, content: Any, said: str) -> None:
        path = _write(tmp_path / "bad00-20.tfrec", _good(20))
        path.write_bytes(content(path.read_bytes()))
        with pytest.raises(DataError, match=said) as caught:
            index_shards(str(tmp_path / "*.tfrec"))
        assert "bad00-20.tfrec" in str(caught.value) and "\n" not in str(caught.value)

    def test_compressed_with_gzip_is_said_with_the_remedy(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "x00-20.tfrec", _good(20))
        path.write_bytes(gzip.compress(path.read_bytes()))
        with pytest.raises(DataError, match="gzip -dc") as caught:
            index_shards(str(path))
        assert "corrupt" not in str(caught.value)

    def test_compressed_with_zlib_is_said(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "x00-20.tfrec", _good(20))
        path.write_bytes(zlib.compress(path.read_bytes()))
        with pytest.raises(DataError, match="compressed with zlib"):
            index_shards(str(path))

    def test_a_good_shard_that_begins_like_gzip_is_read(self, tmp_path: Path) -> None:
        wanted = 0x088B1F
        payload = _example(image=bytes(wanted), label=b"a")
        payload = _example(image=bytes(wanted - (len(payload) - wanted)), label=b"a")
        path = _write(tmp_path / "x.tfrec", [payload])
        assert path.read_bytes()[:3] == b"\x1f\x8b\x08"
        assert len(index_shards(str(path))) == 1

    @pytest.mark.parametrize(
        ("payload", "said"),
        [
            (b"not an example at all", "record 0 of .* is no tf.train.Example"),
            (_example(image_raw=b"1", label=b"a"), "no feature 'image'.* it holds: image_raw, label"),
            (_example(image=b"1"), "neither 'label' nor 'class'"),
        ],
        ids=["no example", "other names", "no label"],
    )
    def test_other_records_are_said_to_be_no_photos(self, tmp_path: Path, payload: bytes, said: str) -> None:
        with pytest.raises(DataError, match=said):
            index_shards(str(_write(tmp_path / "other.tfrec", [payload])))

    def test_no_match_and_no_record_are_errors(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no shard matches"):
            index_shards(str(tmp_path / "*.tfrec"))
        _write(tmp_path / "a.tfrec", [])
        with pytest.raises(DataError, match="holds a record"):
            index_shards(str(tmp_path / "*.tfrec"))

    def test_classes_that_differ_in_case_only_are_refused(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "x.tfrec", [_example(image=b"1", label=b"Rose"), _example(image=b"2", label=b"rose")])
        with pytest.raises(DataError, match="'Rose' and 'rose'"):
            index_shards(str(path))


class TestManifest:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        shards = []
        for number, part in enumerate(("train", "train", "validation")):
            path = _write(tmp_path / f"x{number:02d}-3.tfrec", _good(3))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            shards.append({"file": path.name, "records": 3, "sha256": digest, "part": part})
        (tmp_path / "manifest.json").write_text(json.dumps({"fireweed": "0.1.0", "shards": shards}))
        return tmp_path

    def _change(self, folder: Path, name: str, value: object) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        content["shards"][1][name] = value
        (folder / "manifest.json").write_text(json.dumps(content))

    def test_gives_the_parts(self, folder: Path) -> None:
        catalog = index_shards(str(folder / "*.tfrec"))
        assert [photo.part for photo in catalog.photos] == ["train"] * 6 + ["validation"] * 3
        assert catalog.notes == ()

    def test_shards_left_out_are_noted(self, folder: Path) -> None:
        catalog = index_shards(str(folder / "x0[01]-3.tfrec"))
        assert len(catalog) == 6
        assert "1 of the 3 shards" in catalog.notes[0]

    def test_a_shard_that_was_exchanged_is_refused(self, folder: Path) -> None:
        _write(folder / "x01-3.tfrec", _good(4)[1:])
        with pytest.raises(DataError, match=r"x01-3\.tfrec is not the file that the manifest"):
            index_shards(str(folder / "*.tfrec"))

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("records", 4, r"holds 3 records and the manifest.json beside it says 4"),
            ("records", None, "damaged"),
            ("part", "trial", "names the part 'trial'"),
        ],
    )
    def test_that_does_not_fit_is_refused(self, folder: Path, name: str, value: object, said: str) -> None:
        self._change(folder, name, value)
        with pytest.raises(DataError, match=said):
            index_shards(str(folder / "*.tfrec"))

    @pytest.mark.parametrize("text", ['{"name": "my web app"}', "no JSON", "[]"])
    def test_of_another_program_is_none_of_ours(self, folder: Path, text: str) -> None:
        (folder / "manifest.json").write_text(text)
        assert {photo.part for photo in index_shards(str(folder / "*.tfrec")).photos} == {""}


class TestReadBytes:
    def test_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").write_bytes(b"photo")
        assert read_bytes(Photo(str(tmp_path / "a.jpg"), 0)) == b"photo"
        with pytest.raises(PhotoError, match="cannot be opened: No such file"):
            read_bytes(Photo(str(tmp_path / "b.jpg"), 0))

    def test_of_a_file_beyond_measure(self, tmp_path: Path) -> None:
        with open(tmp_path / "a.jpg", "wb") as file:
            file.truncate(records.MAX_PHOTO_BYTES + 1)
        with pytest.raises(PhotoError, match="larger than 256 MB"):
            read_bytes(Photo(str(tmp_path / "a.jpg"), 0))

    @pytest.mark.parametrize("change", [lambda data: data[:30], lambda data: data[40:], lambda data: b""])
    def test_of_a_shard_that_has_changed(self, tmp_path: Path, change: Any) -> None:
        path = _write(tmp_path / "x.tfrec", _good(3))
        photo = index_shards(str(path)).photos[1]
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(DataError, match="has changed since it was indexed"):
            read_bytes(photo)

    def test_of_a_shard_that_is_gone(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "x.tfrec", _good(3))
        photo = index_shards(str(path)).photos[1]
        path.unlink()
        with pytest.raises(DataError, match="cannot be read any more"):
            read_bytes(photo)


class TestBucket:
    """A bucket cannot be had here, so a folder is read the way a bucket is: through TensorFlow's file system."""

    @pytest.fixture(autouse=True)
    def _as_bucket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (records, buckets):
            monkeypatch.setattr(module, "is_remote", lambda path: True)

    def test_shards_are_found_indexed_and_read_in_any_order(self, tmp_path: Path) -> None:
        for number in range(2):
            _write(tmp_path / f"x{number:02d}-9.tfrec", _good(9))
        photos = index_shards(str(tmp_path / "x*.tfrec")).photos
        assert len(photos) == 18
        for photo in (*photos[::2], *reversed(photos)):
            assert read_bytes(photo) == b"photo %d" % int(photo.name.split("#")[1])

    def test_none_that_match(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no shard matches"):
            index_shards(str(tmp_path / "nowhere" / "*.tfrec"))

    @pytest.mark.parametrize("denied", [tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError])
    def test_that_may_not_be_read_tells_how_to_sign_in(self, monkeypatch: pytest.MonkeyPatch, denied: Any) -> None:
        def refuse(pattern: str) -> list[str]:
            raise denied(None, None, "Error executing an HTTP request: HTTP response code 403\nwith body ...")

        monkeypatch.setattr(tf.io.gfile, "glob", refuse)
        with pytest.raises(DataError, match="gcloud auth application-default login") as caught:
            index_shards("gs://private/flowers*.tfrec")
        assert "\n" not in str(caught.value)

    def test_that_cannot_be_reached_is_said_in_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(pattern: str) -> list[str]:
            raise tf.errors.FailedPreconditionError(None, None, "Could not resolve hostname\n\twhen reading gs://x")

        monkeypatch.setattr(tf.io.gfile, "glob", fail)
        with pytest.raises(DataError, match=r"cannot be read: Could not resolve hostname$"):
            index_shards("gs://x/flowers*.tfrec")

    def test_whose_shard_is_gone_is_told_and_tried_anew(self, tmp_path: Path) -> None:
        path = _write(tmp_path / "x.tfrec", _good(3))
        photo = index_shards(str(path)).photos[0]
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(DataError, match=r"x\.tfrec cannot be read"):
            read_bytes(photo)
        path.write_bytes(kept)
        assert read_bytes(photo) == b"photo 0"


def test_each_of_several_hosts_reads_its_share_of_the_shards_and_knows_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        payloads = [_example(image=b"%d %d" % (number, i), label=b"ab"[i : i + 1]) for i in range(2)]
        _write(tmp_path / f"x0{number}-2.tfrec", payloads)
    pattern = str(tmp_path / "*.tfrec")
    alone = index_shards(pattern)
    read, reads = [], records._read_shard
    monkeypatch.setattr(records, "_read_shard", lambda path, *rest: (read.append(path), reads(path, *rest))[1])
    shares = on_all(2, lambda hosts: index_shards(pattern, hosts=hosts))
    assert shares == [alone, alone]
    assert sorted(read) == sorted({photo.path for photo in alone.photos})
