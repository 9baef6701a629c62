import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from fireweed.data import lists, sources
from fireweed.data.catalog import Catalog, Photo
from fireweed.data.sources import open_data
from fireweed.errors import DataError


def jpeg(colour="red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "JPEG")
    return file.getvalue()


PHOTO = jpeg()


def make(folder, *names, data=PHOTO):
    """Write photos (or other bytes) under `folder`, making folders as needed."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def make_zip(path, *names, **contents):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, contents.get("data", PHOTO))
        for name, data in contents.get("more", {}).items():
            file.writestr(name, data)
    return path


def named(catalog):
    """Return what a catalog holds as name -> (class, part)."""
    return {photo.name: (catalog.classes[photo.label], photo.part) for photo in catalog.photos}


def labels(catalog):
    return {name: label for name, (label, _) in named(catalog).items()}


def refused(data, *words, **options) -> str:
    with pytest.raises(DataError) as caught:
        open_data(str(data), **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


# Folders


def test_folder_of_classes_in_natural_order(tmp_path):
    make(tmp_path, *(f"class {i}/{j}.jpg" for i in (10, 9, 1) for j in (2, 10, 1)))
    catalog = open_data(str(tmp_path))
    assert catalog.classes == ("class 1", "class 9", "class 10")
    assert [photo.name for photo in catalog.photos[:4]] == [
        "class 1/1.jpg",
        "class 1/2.jpg",
        "class 1/10.jpg",
        "class 9/1.jpg",
    ]
    assert all(photo.path == str(tmp_path / photo.name) and photo.part == "" for photo in catalog.photos)
    assert catalog.title == str(tmp_path) and catalog.notes == ()


def test_photos_in_folders_below_a_class_are_of_that_class(tmp_path):
    make(tmp_path, "rose/1.jpg", "rose/2024/may/2.JPEG", "tulip/1.png")
    assert labels(open_data(str(tmp_path))) == {
        "rose/1.jpg": "rose",
        "rose/2024/may/2.JPEG": "rose",
        "tulip/1.png": "tulip",
    }


def test_hidden_folders_and_files_are_neither_class_nor_photo(tmp_path):
    for kind in ("daisy", "rose"):
        make(tmp_path, *(f"{kind}/{i}.jpg" for i in range(5)), f"{kind}/._1.jpg", f"{kind}/.ipynb_checkpoints/1.jpg")
    make(tmp_path, ".ipynb_checkpoints/1.jpg", "__MACOSX/daisy/1.jpg", "@eaDir/1.jpg")
    make(tmp_path, "Thumbs.db", ".DS_Store", "daisy/Thumbs.db", "daisy/.DS_Store", "rose/desktop.ini", data=b"x")
    catalog = open_data(str(tmp_path))
    assert catalog.classes == ("daisy", "rose") and len(catalog) == 10
    assert catalog.unreadable == () and catalog.notes == ()


def test_folder_of_hidden_things_only_is_empty(tmp_path):
    make(tmp_path, ".ipynb_checkpoints/1.jpg", "Thumbs.db", ".DS_Store")
    refused(tmp_path, "is empty")


@pytest.mark.parametrize(
    ("folders", "part"),
    [
        (("train", "validation", "test"), ("train", "validation", "test")),
        (("Training", "val"), ("train", "validation")),
        (("train", "valid", "testing"), ("train", "validation", "test")),
        (("training_set", "dev", "Test Set"), ("train", "validation", "test")),
        (("trn", "evaluation", "tst"), ("train", "validation", "test")),
        (("trainset", "val-set", "testset"), ("train", "validation", "test")),
        (("train",), ("train",)),
    ],
)
def test_part_folders_fill_the_parts(tmp_path, folders, part):
    for folder in folders:
        make(tmp_path, f"{folder}/a/1.jpg", f"{folder}/b/1.jpg")
    expected = {f"{f}/{label}/1.jpg": (label, p) for f, p in zip(folders, part, strict=True) for label in "ab"}
    assert named(open_data(str(tmp_path))) == expected


def test_train_may_be_a_class_beside_others(tmp_path):
    make(tmp_path, "train/1.jpg", "bus/1.jpg", "car/ford/1.jpg")
    catalog = open_data(str(tmp_path))
    assert catalog.classes == ("bus", "car", "train") and {photo.part for photo in catalog.photos} == {""}


def test_part_folders_beside_others_and_with_stray_photos_say_what_was_left_out(tmp_path):
    make(
        tmp_path,
        "train/a/1.jpg",
        "train/b/1.jpg",
        "train/stray.jpg",
        "val/a/1.jpg",
        "unlabelled/1.jpg",
        "unlabelled/2.jpg",
    )
    catalog = open_data(str(tmp_path))
    assert named(catalog) == {
        "train/a/1.jpg": ("a", "train"),
        "train/b/1.jpg": ("b", "train"),
        "val/a/1.jpg": ("a", "validation"),
    }
    assert any("2 photos lie beside the folders train, val" in note for note in catalog.notes)
    assert any(note.startswith("1 photos in") for note in catalog.notes)


def test_test_folder_without_labels_is_left_out_and_told(tmp_path):
    make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/1.jpg", "test/2.jpg", "test/3.jpg")
    catalog = open_data(str(tmp_path))
    assert len(catalog) == 2 and {photo.part for photo in catalog.photos} == {"train"}
    assert any("3 photos in" in note and "test" in note for note in catalog.notes)


def test_part_folders_of_photos_are_not_taken_for_classes(tmp_path):
    make(tmp_path, "train/1.jpg", "test/1.jpg")
    refused(tmp_path, "'test' and 'train' hold photos directly")


def test_one_folder_around_the_classes_is_looked_through(tmp_path):
    make(tmp_path, "photos/v1/a/1.jpg", "photos/v1/b/1.jpg")
    make(tmp_path, "photos/README.md", "LICENSE.txt", data=b"x")
    catalog = open_data(str(tmp_path))
    assert labels(catalog) == {"photos/v1/a/1.jpg": "a", "photos/v1/b/1.jpg": "b"}
    assert "'photos'" in catalog.notes[0]


def test_what_is_left_out_is_counted(tmp_path):
    make(tmp_path, "a/1.jpg", "b/1.jpg", "cover.jpg", "back.jpg")
    make(tmp_path, "a/notes.txt", "a/more.txt", "b/list.csv", "b/x/Makefile", "README.md", data=b"words")
    (tmp_path / "empty").mkdir()
    notes = " | ".join(open_data(str(tmp_path)).notes)
    assert "2 photos in" in notes and "no class folder" in notes
    assert "1 folders in" in notes and "empty" in notes
    assert "4 files in class folders are no photos and were left out (.txt 2, .csv 1, no suffix 1)" in notes


def test_photo_suffix_with_other_content_and_foreign_formats_are_left_for_the_survey(tmp_path):
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    make(tmp_path, "a/text.jpg", "a/IMG.HEIC", "b/raw.nef", "b/empty.png", data=b"")
    assert len(open_data(str(tmp_path))) == 6


def test_photos_without_suffix_are_found_by_their_first_bytes(tmp_path):
    make(tmp_path, "a/0001", "b/0001")
    assert len(open_data(str(tmp_path))) == 2


def test_links_are_followed_but_not_in_circles(tmp_path):
    make(tmp_path, "photos/a/1.jpg", "photos/b/1.jpg", "elsewhere/2.jpg")
    top = tmp_path / "photos"
    (top / "a" / "again").symlink_to(top)
    (top / "a" / "linked.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    (top / "a" / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    (top / "c").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(top / "b" / "pipe.jpg")
    assert labels(open_data(str(top))) == {
        "a/1.jpg": "a",
        "a/gone.jpg": "a",  # the survey says that it cannot be read
        "a/linked.jpg": "a",
        "b/1.jpg": "b",
        "c/2.jpg": "c",
    }


@pytest.mark.parametrize(("one", "other"), [("Rose", "rose"), ("rose", "rose "), ("Gänse", "Ga\u0308nse")])
def test_classes_that_differ_in_case_or_form_only_are_refused(tmp_path, one, other):
    make(tmp_path, f"{one}/1.jpg", f"{other}/1.jpg", "tulip/1.jpg")
    refused(tmp_path, "rose" if "o" in one else "nse", "differ only in case")


def test_classes_that_differ_in_case_across_parts_are_refused(tmp_path):
    make(tmp_path, "train/Rose/1.jpg", "train/a/1.jpg", "val/rose/1.jpg")
    refused(tmp_path, "'Rose' and 'rose'")


@pytest.mark.parametrize("parts", [("", ""), ("train/", "val/")])
@pytest.mark.parametrize("names", [(b"m\xfcller", b"m\xf6ller"), (b"a\x01", b"a\x02")])
def test_classes_that_would_become_one_since_they_cannot_be_shown_are_refused(tmp_path, parts, names):
    one, other = (part + os.fsdecode(name) for part, name in zip(parts, names, strict=True))
    make(tmp_path, f"{one}/1.jpg", f"{other}/2.jpg", f"{parts[0]}tulip/1.jpg", f"{parts[1]}tulip/2.jpg")
    refused(tmp_path, "both shown as", "\ufffd", "rename them")


def test_class_names_take_one_unicode_form(tmp_path):
    make(tmp_path, "Ga\u0308nse/1.jpg", "tulip/1.jpg")
    assert open_data(str(tmp_path)).classes == ("Gänse", "tulip")


def test_odd_names_do_no_harm(tmp_path):
    odd = ["<svg onload=alert(1)>", "line\nbreak", "\x1b[31mred", "郁金香", "$(reboot)", "'; DROP TABLE", "-x", "*?[a]"]
    make(tmp_path, *(f"{name}/1.jpg" for name in odd), '-x/"><img src=x onerror=alert(1)>.jpg')
    (tmp_path / os.fsdecode(b"bytes\xff")).mkdir()
    make(tmp_path / os.fsdecode(b"bytes\xff"), os.fsdecode(b"\xfe.jpg"))
    catalog = open_data(str(tmp_path))
    assert len(catalog) == 10
    for photo in catalog.photos:
        assert os.path.exists(photo.path)  # noqa: PTH110
        photo.name.encode("utf-8")
    for name in catalog.classes:
        assert name.isprintable() and name.encode("utf-8")
    assert {"<svg onload=alert(1)>", "line\ufffdbreak", "郁金香", "bytes\ufffd"} < set(catalog.classes)


def test_no_such_path_is_named_with_a_near_one(tmp_path):
    refused(tmp_path / "nowhere", "no such file or folder", "nowhere")
    make(tmp_path, "flower_photos/a/1.jpg")
    refused(tmp_path / "flower_photo", "did you mean 'flower_photos'?")
    refused(tmp_path / "deep" / "nowhere", "nowhere", "is not there either")
    for odd in ("", "  ", "~no-such-user/x", "x" * 5000, "a\0b", "line\nbreak"):
        refused(odd)


def test_empty_single_class_and_photoless_folders_are_told_apart(tmp_path):
    for name in ("empty", "one/lonely", "texts/a"):
        (tmp_path / name).mkdir(parents=True)
    make(tmp_path, "one/lonely/1.jpg", "flat/1.jpg", "flat/2.jpg")
    make(tmp_path, "texts/a/1.txt", data=b"x")
    refused(tmp_path / "empty", "empty", "is empty")
    refused(tmp_path / "one", "'lonely'", "at least two classes are needed")
    refused(tmp_path / "texts", "holds no photos", "only a/")
    refused(tmp_path / "flat", "the 2 photos in", "no class folder")
    assert open_data(str(tmp_path / "one"), least_classes=1).classes == ("lonely",)


def test_folder_without_right_to_read_is_named(tmp_path, monkeypatch):
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    refused(tmp_path, "/b'", "cannot be read: Permission denied")


# Lists


ROWS = [("path", "label"), ("a/1.jpg", "rose"), ("a/with, comma.jpg", "tulip"), ("a/a blank.jpg", "tulip")]


def write_list(folder, text, name="list.csv", encoding="utf-8", photos=True):
    if photos:
        make(folder, *(path for path, _ in ROWS[1:]))
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def joined(delimiter=",", ending="\n"):
    rows = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in ROWS]
    return ending.join(delimiter.join(row) for row in rows) + ending


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (joined(), "utf-8"),
        (joined(ending="\r\n"), "utf-8-sig"),
        (joined(";", "\r\n"), "utf-8-sig"),
        ("sep=;\r\n" + joined(";", "\r\n"), "utf-8"),
        (joined("\t"), "utf-16"),
        (joined(ending="\r"), "utf-8"),
        (
            joined()
            .replace("path,label", " Path , LABEL ")
            .replace("rose", "  rose  ")
            .replace("tulip\n", "tulip\n\n,\n"),
            "utf-8",
        ),
    ],
)
def test_list_saved_by_any_spreadsheet_is_the_same(tmp_path, text, encoding):
    catalog = open_data(str(write_list(tmp_path, text, encoding=encoding)))
    assert catalog.classes == ("rose", "tulip")
    assert labels(catalog) == {"a/1.jpg": "rose", "a/with, comma.jpg": "tulip", "a/a blank.jpg": "tulip"}
    assert catalog.photos[0].path == str(tmp_path / "a/1.jpg")


def test_list_with_split_and_further_columns(tmp_path):
    text = 'id,split,label,path\n1,train,x,a/1.jpg\n2,Val,y,a/a blank.jpg\n3,test,y,"a/with, comma.jpg"\n'
    assert named(open_data(str(write_list(tmp_path, text)))) == {
        "a/1.jpg": ("x", "train"),
        "a/a blank.jpg": ("y", "validation"),
        "a/with, comma.jpg": ("y", "test"),
    }


def test_list_may_name_absolute_and_windows_paths(tmp_path):
    make(tmp_path, "elsewhere/1.jpg", "lists/sub/2.jpg")
    text = f"path,label\n{tmp_path}/elsewhere/1.jpg,x\nsub\\2.jpg,y\n../elsewhere/1.jpg,x\n"
    catalog = open_data(str(write_list(tmp_path / "lists", text)))
    assert len({os.path.realpath(photo.path) for photo in catalog.photos}) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "path,label\nmissing.jpg,a\na/1.jpg,b\ngone.jpg,b\n",
            ["2 of the 3 photos it names do not exist, first", "'missing.jpg' in line 2"],
        ),
        ("file;kind\na/1.jpg;x\n", ["'file;kind'", "path and label"]),
        ("", ["is empty"]),
        ("path,label\n", ["names no photos"]),
        ("path,label\na/1.jpg\n", ["no label in line 2"]),
        ("path,label\na/1.jpg,x\n,y\n", ["no path in line 3"]),
        ("path,label,split\na/1.jpg,x,trian\n", ["'trian' in line 2", "train, validation or test"]),
        ("path,label,split\na/1.jpg,x,train\na/a blank.jpg,y,\n", ["no split in line 3"]),
        ("path,label\na/1.jpg,x\na/1.jpg,y\n", ["'x' in line 2", "'y' in line 3"]),
        ("path,label\na/1.jpg,x\na/a blank.jpg,X\n", ["'X' and 'x'", "differ only in case"]),
        ("path,label\na/1.jpg,x\na/a blank.jpg,x\n", ["one class only, 'x'"]),
        ("path,label\na/1.jpg,x\1\na/a blank.jpg,x\2\n", ["both shown as 'x\ufffd'"]),
        ('path,label\n"a/1.jpg,x\n', ["broken at line"]),
        ("path,label\n" + "x" * 200_000 + ",y\n", ["broken at line 2"]),
        ("path,label\n" + "x" * 9_000 + ",y\na\0b,z\n", ["2 of the 2 photos it names do not exist"]),
    ],
)
def test_list_with_a_fault_is_refused_by_line(tmp_path, text, words):
    refused(write_list(tmp_path, text), "list.csv", *words)


@pytest.mark.parametrize("folder", [".", "/", "/a", "/a/b", "x", "x y"])
def test_paths_of_a_list_are_those_of_pathlib(folder):
    paths = (
        "a",
        "a/b",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a/.",
        ".",
        "..",
        "../a",
        "/x",
        "a/../b",
        ".a",
        "a.",
        ".../x",
        "",
    )
    assert [lists._joined(folder, path) for path in paths] == [str(Path(folder, path)) for path in paths]


def test_list_in_another_encoding_is_refused_with_the_remedy(tmp_path):
    refused(write_list(tmp_path, "path,label\na/1.jpg,Gänse\n", encoding="latin-1"), "not UTF-8", "line 2", "CSV UTF-8")


def test_photo_listed_twice_counts_once(tmp_path):
    catalog = open_data(str(write_list(tmp_path, "path,label\na/1.jpg,x\na/1.jpg,x\n./a/a blank.jpg,y\n")))
    assert len(catalog) == 2 and "1 lines" in catalog.notes[0]


def test_folder_without_classes_but_with_a_list_points_to_it(tmp_path):
    write_list(tmp_path, joined())
    make(tmp_path, "b.jpg")
    for name in ("a/1.jpg", "a/a blank.jpg", "a/with, comma.jpg"):
        (tmp_path / name).rename(tmp_path / name.removeprefix("a/"))
    refused(tmp_path, "no class folder", "list.csv")


# Archives


def test_archive_packed_on_a_mac(tmp_path):
    photos = ["photos/a/1.jpg", "photos/a/2.jpg", "photos/b/1.jpg", "photos/b/2.jpg"]
    twin = {f"__MACOSX/{name[:-5]}._{name[-5:]}": b"\0\5\x16\7\0\2" for name in photos}
    archive = make_zip(tmp_path / "x.zip", *photos, more={**twin, "photos/.DS_Store": b"x", "__MACOSX/._photos": b"x"})
    catalog = open_data(str(archive), cache=tmp_path / "cache")
    assert catalog.classes == ("a", "b") and len(catalog) == 4 and catalog.notes == ()


def test_archive_is_unpacked_once_into_a_folder_named_by_its_sum(tmp_path):
    archive = make_zip(tmp_path / "x.zip", "a/1.jpg", "b/1.jpg")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    first = open_data(str(archive), cache=tmp_path / "cache")
    unpacked = tmp_path / "cache" / "unpacked" / digest
    assert first.photos[0].path == str(unpacked / "a/1.jpg")
    (unpacked / "c").mkdir()
    make(unpacked, "c/1.jpg")
    renamed = archive.rename(tmp_path / "y.zip")
    assert open_data(str(renamed), cache=tmp_path / "cache").classes == ("a", "b", "c")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_tar_with_parts(tmp_path, kind):
    make(tmp_path / "set", "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg")
    mode = {"tar": "w", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}.get(kind, "w:gz")
    with tarfile.open(tmp_path / f"x.{kind}", mode) as file:
        file.add(tmp_path / "set", "set")
    catalog = open_data(str(tmp_path / f"x.{kind}"), cache=tmp_path / "cache")
    assert named(catalog)["set/val/a/1.jpg"] == ("a", "validation") and len(catalog) == 3


def test_list_in_an_archive_is_used(tmp_path):
    text = "path,label\nimages/1.jpg,x\n./images/2.jpg,y\n"
    archive = make_zip(tmp_path / "x.zip", "set/images/1.jpg", "set/images/2.jpg", more={"set/list.csv": text})
    assert labels(open_data(str(archive), cache=tmp_path / "cache")) == {"images/1.jpg": "x", "images/2.jpg": "y"}


@pytest.mark.parametrize(
    "path", ["../../outside.jpg", "/etc/hostname", "C:\\x.jpg", "\\\\server\\x.jpg", "a/../../../../x.jpg"]
)
def test_list_in_an_archive_may_not_lead_out_of_it(tmp_path, path):
    make(tmp_path / "cache", "unpacked/outside.jpg")
    archive = make_zip(tmp_path / "x.zip", "a/1.jpg", more={"list.csv": f"path,label\na/1.jpg,x\n{path},y\n"})
    refused(archive, "not allowed", cache=tmp_path / "cache")


def test_several_lists_in_an_archive_are_not_guessed_between(tmp_path):
    text = "path,label\na/1.jpg,x\n"
    archive = make_zip(
        tmp_path / "x.zip", "a/1.jpg", more={"one.csv": text, "two.csv": text, "sizes.csv": "file,size\n"}
    )
    refused(archive, "several lists", "one.csv, two.csv", cache=tmp_path / "cache")


def test_hostile_archive_leaves_nothing_behind(tmp_path):
    archive = make_zip(tmp_path / "x.zip", "a/1.jpg", "b/1.jpg", "../evil.jpg")
    refused(archive, "'../evil.jpg'", cache=tmp_path / "cache")
    assert [p.name for p in tmp_path.rglob("*")] == ["x.zip", "cache", "unpacked"]


def test_archive_without_photos_and_files_that_are_no_data_are_refused(tmp_path):
    refused(make_zip(tmp_path / "x.zip"), "x.zip", "is empty", cache=tmp_path / "cache")
    refused(make(tmp_path, "notes.txt", data=b"words") / "notes.txt", "notes.txt", "none of what is read")
    refused(make(tmp_path, "1.jpg") / "1.jpg", "single photo")
    refused(make(tmp_path, "empty.zip", data=b"") / "empty.zip", "none of what is read")
    refused(make(tmp_path, "cut.tgz", data=b"\x1f\x8b\x08\0") / "cut.tgz", "damaged", cache=tmp_path / "cache")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "pipe or device")


# Shards and named sets


@pytest.fixture
def indexed(monkeypatch):
    """Note the patterns that are indexed instead of reading shards."""
    from fireweed.data import records

    patterns = []

    def index_shards(pattern, progress=None, hosts=None):
        patterns.append(pattern)
        return Catalog(("a", "b"), (Photo("s", 0, offset=0), Photo("s", 1, offset=9)))

    monkeypatch.setattr(records, "index_shards", index_shards, raising=False)
    return patterns


def test_shards_are_found_by_pattern_name_folder_and_address(tmp_path, indexed):
    make(tmp_path, "s/x00-2.tfrec", "s/x01-2.tfrec", "s/manifest.json", "t/x.tfrecord-00000-of-00001", data=b"x")
    asked = {
        f"{tmp_path}/s/*.tfrec": f"{tmp_path}/s/*.tfrec",
        f"{tmp_path}/s/x00-2.tfrec": f"{tmp_path}/s/x00-2.tfrec",
        f"{tmp_path}/s": f"{tmp_path}/s/*.tfrec*",
        f"{tmp_path}/t": f"{tmp_path}/t/*.tfrec*",
        "gs://bucket/flowers/*.tfrec": "gs://bucket/flowers/*.tfrec",
        "gs://bucket/flowers/": "gs://bucket/flowers/*.tfrec*",
    }
    for data in asked:
        assert len(open_data(data)) == 2
    assert indexed == list(asked.values())


def test_what_is_no_shard_is_not_indexed(tmp_path, indexed):
    make(tmp_path, "a/1.jpg", "x.tfrec")
    refused(f"{tmp_path}/*.tfrecs", "no files match", ".tfrecs")
    refused(f"{tmp_path}/*", "pattern is for TFRecord files")
    refused("gs://bucket/photos.zip", "gs://", "TFRecord")
    refused("https://example.org/photos.zip", "not read over the network")
    assert indexed == []


def test_brackets_in_a_folder_name_are_no_pattern(tmp_path):
    make(tmp_path / "photos [1]*", "a/1.jpg", "b/1.jpg")
    assert len(open_data(str(tmp_path / "photos [1]*"))) == 2


def test_drawn_is_the_embedded_set_and_a_folder_of_that_name_needs_its_path(tmp_path, monkeypatch):
    from fireweed.data import drawn

    make(tmp_path, "embedded/x/1.jpg", "embedded/y/1.jpg", "here/drawn/a/1.jpg", "here/drawn/b/1.jpg")
    monkeypatch.setattr(drawn, "drawn_folder", lambda: tmp_path / "embedded")
    monkeypatch.chdir(tmp_path / "here")
    catalog = open_data("drawn")
    assert catalog.classes == ("x", "y") and catalog.title == "drawn" and "./drawn" in catalog.notes[0]
    assert open_data("./drawn").classes == ("a", "b")


def test_flowers_are_downloaded_checked_and_unpacked_once(tmp_path, monkeypatch):
    make(tmp_path / "flower_photos", "daisy/1.jpg", "roses/1.jpg")
    make(tmp_path / "flower_photos", "LICENSE.txt", data=b"CC-BY")
    (tmp_path / "served").mkdir()
    with tarfile.open(tmp_path / "served" / "flower_photos.tgz", "w:gz") as file:
        file.add(tmp_path / "flower_photos", "flower_photos")
    archive = (tmp_path / "served" / "flower_photos.tgz").read_bytes()
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(archive)))
            self.end_headers()
            self.wfile.write(archive)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/flower_photos.tgz"
    remote = sources._Remote(url, len(archive), hashlib.sha256(archive).hexdigest())
    monkeypatch.setattr(sources, "FLOWERS", remote)
    try:
        for _ in range(2):
            catalog = open_data("flowers", cache=tmp_path / "cache")
            assert catalog.classes == ("daisy", "roses") and catalog.title == "flowers" and catalog.notes == ()
    finally:
        server.shutdown()
        server.server_close()
    assert asked == ["/flower_photos.tgz"]
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".jpg"] == ["LICENSE.txt"]
