"""Every photo gets its answer or the reason why not, in the order given, and answers are the model's own."""

import csv
import io
import json
import math
import os
import random
import struct
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from fireweed.bundle import Bundle
from fireweed.data.decode import decode_square, to_square
from fireweed.errors import DataError, PhotoError
from fireweed.models.registry import build_model
from fireweed.serving.predict import (
    Prediction,
    as_csv_text,
    as_json_rows,
    as_lines,
    expand_paths,
    predict_arrays,
    predict_files,
)

SIDE = 24
CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def bundle():
    keras.utils.set_random_seed(1)
    return Bundle(build_model("conv 8 /2 | conv 8 | gap", 3, SIDE), CLASSES, SIDE, "crop", {"temperature": None})


@pytest.fixture
def photos(tmp_path):
    """Twenty photos of several sizes and formats; the 7th is cut in half, the 12th has 0 bytes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(1, 21):
        noise = np.random.default_rng(i).integers(0, 256, (6, 5 + i % 4, 3)).astype(np.uint8)
        picture = Image.fromarray(noise).resize((60 + 10 * i, 100), Image.Resampling.BICUBIC)
        picture.save(folder / f"{i}.{'png' if i % 3 else 'jpg'}")
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[: (folder / "7.png").stat().st_size // 2])
    (folder / "12.jpg").write_bytes(b"")
    return folder


def test_one_bad_photo_does_not_end_the_batch(bundle, photos):
    paths = expand_paths([str(photos)])
    assert [Path(path).stem for path in paths] == [str(i) for i in range(1, 21)]
    answers = list(predict_files(bundle, paths, batch_size=8))
    assert [answer.path for answer in answers] == paths
    assert [i for i, answer in enumerate(answers, 1) if answer.error] == [7, 12]
    rows = as_json_rows(answers)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    for i, row in enumerate(rows, 1):
        if i in (7, 12):
            assert set(row) == {"path", "error"} and row["error"]
            continue
        assert set(row) == {"path", "class", "probability", "probabilities"}
        assert list(row["probabilities"]) == list(CLASSES)
        assert math.isclose(sum(row["probabilities"].values()), 1, abs_tol=1e-5)
        assert row["probability"] == max(row["probabilities"].values()) == row["probabilities"][row["class"]]
    table = list(csv.reader(io.StringIO(as_csv_text(answers))))
    assert table[0] == ["path", "class", "probability", "error", *(f"probability of {name}" for name in CLASSES)]
    assert len(table) == 21 and {len(line) for line in table} == {7}
    assert [line[0] for line in table[1:]] == paths
    assert float(table[1][2]) == rows[0]["probability"] and table[7][1:3] == ["", ""] and table[7][3]


def test_answers_are_the_models_own_whatever_the_batch(bundle, photos):
    paths = [path for path in expand_paths([str(photos)]) if Path(path).name not in ("7.png", "12.jpg")]
    squares = np.stack([decode_square(Path(path).read_bytes(), SIDE, "crop") for path in paths])
    expected = bundle.model.predict(squares.astype(np.float32), verbose=0)
    for batch_size in (1, 5, 32):
        answers = list(predict_files(bundle, paths, batch_size, workers=2))
        given = np.array([list(answer.probabilities.values()) for answer in answers])
        assert np.abs(given - expected).max() <= 1e-6
        assert np.abs(predict_arrays(bundle, squares, batch_size) - expected).max() <= 1e-6
    assert predict_arrays(bundle, squares[:0]).shape == (0, 3)


def test_with_flips_an_answer_is_the_mean_over_a_photo_and_its_mirror_image(bundle, photos):
    paths = [str(photos / name) for name in ("1.png", "7.png", "2.png", "3.jpg")]
    readable = [path for path in paths if Path(path).name != "7.png"]
    squares = np.stack([decode_square(Path(path).read_bytes(), SIDE, "crop") for path in readable])
    both = [bundle.model.predict(s.astype(np.float32), verbose=0) for s in (squares, squares[:, :, ::-1])]
    assert np.abs(both[0] - both[1]).max() > 1e-4
    answers = list(predict_files(bundle, paths, 2, flips=True))
    assert answers[1].error and not any(answer.error for answer in answers[::2])
    given = np.array([list(answer.probabilities.values()) for answer in answers if not answer.error])
    assert np.abs(given - np.mean(both, axis=0)).max() <= 1e-6


def png_of_16_bits(path):
    rows = b"".join(b"\0" + b"".join(struct.pack(">H", 257 * x) for x in range(256)) for _ in range(64))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 256, 64, 16, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))  # fmt: skip  # noqa: E501


def test_striped_deep_and_turned_photos_give_the_pixels_of_training(bundle, tmp_path):
    stripes = np.zeros((600, 900, 3), np.uint8)
    stripes[:, (np.arange(900) // 3) % 2 == 1] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.jpg", quality=95)
    png_of_16_bits(tmp_path / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stripes[:, :300] // 2).save(tmp_path / "turned.jpg", exif=exif)
    paths = [str(tmp_path / name) for name in ("stripes.jpg", "deep.png", "turned.jpg")]
    seen = []

    class Spy:
        compiled, predict_function = False, None

        def predict_on_batch(self, batch):
            seen.append(batch.copy())
            return np.full((len(batch), 3), 1 / 3, np.float32)

    list(predict_files(Bundle(Spy(), CLASSES, SIDE, "crop", {}), paths))
    for i, path in enumerate(paths):
        assert np.array_equal(seen[0][i], decode_square(Path(path).read_bytes(), SIDE, "crop"))


def test_few_shapes_reach_the_model(tmp_path):
    shapes = set()

    class Spy:
        compiled, predict_function = True, None

        def predict_on_batch(self, batch):
            shapes.add(len(batch))
            return np.full((len(batch), 3), 1 / 3, np.float32)

    spied = Bundle(Spy(), CLASSES, SIDE, "crop", {})
    for count in range(1, 40):
        assert predict_arrays(spied, np.zeros((count, SIDE, SIDE, 3), np.uint8), 32).shape == (count, 3)
    assert shapes == {1, 2, 4, 8, 16, 32}


def test_arrays_of_any_size_are_made_squares(bundle):
    wide = np.random.default_rng(0).integers(0, 256, (50, 90, 3)).astype(np.uint8)
    square = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    answers = predict_arrays(bundle, [wide, square])
    expected = bundle.model.predict_on_batch(np.stack([to_square(wide, SIDE, "crop"), square]).astype(np.float32))
    assert np.abs(answers - expected).max() <= 1e-6


@pytest.mark.parametrize(
    "array",
    [np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.uint8), np.zeros((20, 10, 4), np.uint8),
     np.zeros((20, 10, 3), np.int64), np.zeros((0, 0, 3), np.uint8), [[1, 2], [3, 4]]],
)  # fmt: skip
def test_an_array_that_is_no_photo_is_refused_with_what_to_give(bundle, array):
    with pytest.raises(PhotoError, match=r"uint8 of shape \(height, width, 3\), not .*; convert it"):
        predict_arrays(bundle, [array])


def test_temperature_softens_and_keeps_the_order(bundle):
    squares = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
    plain = predict_arrays(bundle, squares)
    softer = predict_arrays(Bundle(bundle.model, CLASSES, SIDE, "crop", {"temperature": 2.0}), squares)
    expected = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
    assert np.abs(softer - expected).max() <= 1e-6
    assert np.array_equal(softer.argsort(axis=1), plain.argsort(axis=1))


def test_no_finite_answer_is_an_error(tmp_path):
    class Broken:
        compiled, predict_function = True, None

        def predict_on_batch(self, batch):
            return np.full((len(batch), 3), np.nan, np.float32)

    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    (row,) = as_json_rows(predict_files(Bundle(Broken(), CLASSES, SIDE, "crop", {}), [tmp_path / "a.png"]))
    assert "finite" in row["error"] and set(row) == {"path", "error"}


def test_pipes_folders_and_missing_files_get_a_reason(bundle, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    paths = [tmp_path / "pipe.jpg", tmp_path / "folder.jpg", tmp_path / "gone.jpg", "nul\0.jpg", "x" * 5000]
    answers = list(predict_files(bundle, paths))
    assert all(answer.error and answer.probabilities is None for answer in answers)
    assert [answer.name for answer in answers] == [None] * 5 and answers[0].probability is None


def test_stopping_early_leaves_no_thread_behind(bundle, photos):
    import threading

    before = threading.active_count()
    answers = predict_files(bundle, expand_paths([str(photos)]) * 5, batch_size=4)
    next(answers)
    answers.close()
    assert threading.active_count() <= before


def test_folders_are_searched_in_natural_order_without_hidden_and_other_files(tmp_path):
    names = [
        "b/10.jpg",
        "b/2.JPG",
        "b/1/x.png",
        "a.png",
        "notes.txt",
        ".hidden.jpg",
        ".git/x.jpg",
        "b/.DS_Store",
        "c.heic",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    random.Random(0).shuffle(names)
    found = [os.path.relpath(path, tmp_path) for path in expand_paths([str(tmp_path)])]
    assert found == ["a.png", "b/1/x.png", "b/2.JPG", "b/10.jpg", "c.heic"]
    given = [str(tmp_path / "notes.txt"), str(tmp_path / "b" / "1")]
    assert expand_paths(given) == [given[0], str(tmp_path / "b" / "1" / "x.png")]


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    for argument, words in (
        ("gone.jpg", "no such photo"),
        ("empty", "no photos in"),
        ("a\0b", "no such"),
        ("x" * 5000, "no such"),
    ):
        with pytest.raises(DataError, match=words) as error:
            expand_paths([str(tmp_path / argument)])
        assert "\n" not in str(error.value) and "\0" not in str(error.value)


def test_top_of_few_classes_shows_them_all():
    answer = Prediction("x.jpg", {"a": 0.25, "b": 0.75})
    assert as_lines([answer], top=5) == ["x.jpg  b 75.0%  a 25.0%"]
    assert as_lines([answer]) == ["x.jpg  b 75.0%"]


def test_names_cannot_move_the_terminal_or_the_table():
    evil = "\x1b[2J[red]a\n.jpg"
    hostile = Prediction(evil, {"=1+1": 0.75, "b\x07": 0.25})
    (line,) = as_lines([hostile], top=2)
    assert line.isprintable() and "[red]a" in line and "75.0%" in line
    unreadable = Prediction("bad\udcff.jpg", error="damaged: \x1b[2J")
    assert as_lines([unreadable])[0].isprintable()
    assert json.dumps(as_json_rows([unreadable]), ensure_ascii=False).encode()
    table = list(
        csv.reader(io.StringIO(as_csv_text([hostile, Prediction("=cmd|' /C calc'!A0.jpg", error="-x"), unreadable])))
    )
    assert table[1][0] == evil and table[1][1] == "'=1+1" and table[0][4] == "probability of =1+1"
    assert table[2][0] == "./=cmd|' /C calc'!A0.jpg" and table[2][3] == "'-x"
    assert not any(cell.startswith(("=", "+", "@")) for line in table for cell in line)


def test_equal_probabilities_take_the_first_class():
    assert Prediction("x", {"a": 0.5, "b": 0.5}).name == "a"
