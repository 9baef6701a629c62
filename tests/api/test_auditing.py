"""`fireweed audit` as a user calls it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fireweed.api.auditing import AuditRequest, audit
from fireweed.cli import run
from fireweed.data.drawn import draw_photo
from fireweed.errors import FireweedError
from fireweed.reporting import Reporter

SILENT = Reporter(is_silent=True)
NET = "conv 8 | pool | fire 8 16 | gap"


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Return a folder of drawn flowers with a broken photo and two equal ones of two classes."""
    folder = tmp_path / "flowers"
    for name in ("roses", "tulips", "daisy"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(draw_photo(name, number)).save(folder / name / f"{number}.jpg", quality=92)
    (folder / "roses" / "cut.jpg").write_bytes((folder / "roses" / "0.jpg").read_bytes()[:700])
    (folder / "tulips" / "rose.jpg").write_bytes((folder / "roses" / "1.jpg").read_bytes())
    return folder


def test_the_table_names_what_was_found_and_the_exit_code_is_0(flowers, capsys):
    assert run(["audit", str(flowers)]) == 0
    said = capsys.readouterr().out
    for words in (
        "26 photos, 3 classes",
        "cannot be read",
        "twins with different labels",
        "equal photos",
        "few photos",
    ):
        assert words in said
    assert "labels were not judged" in said


def test_json_is_alone_on_standard_output(flowers, capsys):
    assert run(["audit", str(flowers), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in found["unreadable"]] == ["roses/cut.jpg"]
    assert [set(group) for group in found["exact_twins"]] == [{"roses/1.jpg", "tulips/rose.jpg"}]
    assert found["classes"]["roses"] == {"photos": 8, "unreadable": 1}


def test_csv_and_page_at_once(flowers, tmp_path, capsys):
    page = tmp_path / "audit.html"
    assert run(["audit", str(flowers), "--csv", "--html", str(page)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["path"] == "roses/cut.jpg" and rows[1]["problem"] == "twins with different labels"
    assert "data:image/jpeg" in page.read_text(encoding="utf-8")


def test_photos_that_none_can_read_and_a_single_class_are_no_errors(tmp_path, capsys):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "x.jpg").write_bytes(b"nothing")
    assert run(["audit", str(tmp_path / "photos")]) == 0
    assert "cannot be read" in capsys.readouterr().out
    assert run(["audit", str(tmp_path / "photos"), "--json", "--labels", "off"]) == 0


@pytest.mark.parametrize(("options", "word"), [
    (["--json", "--csv"], "--csv"),
    (["--labels", "maybe"], "maybe"),
    (["--labels", "off", "--model", "."], "--model"),
    (["--model", ".", "--weights", "."], "--weights"),
    (["--model", "NOWHERE"], "NOWHERE"),
    (["--html", "NOWHERE/page.html"], "NOWHERE"),
    (["--html", "."], "folder"),
])  # fmt: skip
def test_options_that_cannot_be_are_told_before_photos_are_read(flowers, options, word, capsys, monkeypatch):
    monkeypatch.chdir(flowers.parent)
    assert run(["audit", str(flowers), *options]) == 2
    said = capsys.readouterr().err.strip()
    assert word in said and len(said.splitlines()) == 1


def test_labels_on_without_weights_says_what_is_wanted(flowers, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    with pytest.raises(FireweedError, match="--weights FILE"):
        audit(AuditRequest(str(flowers), labels="on"), SILENT)


def test_no_framework_is_loaded_without_a_model(flowers):
    program = (
        "import sys\n"
        "from fireweed.cli import run\n"
        f"run(['audit', {str(flowers)!r}, '--json'])\n"
        "print([name for name in ('tensorflow', 'keras', 'jax', 'sklearn') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_bundle_judges_the_labels_of_the_classes_it_knows(tmp_path, capsys):
    """The net is made to answer by colour, and one photo lies in the folder of another colour."""
    bundle = colour_bundle(tmp_path / "bundle")
    folder = tmp_path / "photos"
    for name, colour in (("red", (200, 40, 40)), ("blue", (40, 40, 200)), ("odd", (40, 200, 40))):
        (folder / name).mkdir(parents=True)
        for number in range(5):
            noise = np.random.default_rng((number, *colour)).integers(-35, 36, (8, 8, 3))
            image = Image.fromarray(np.uint8(np.clip(noise + colour, 0, 255))).resize(
                (40, 40), Image.Resampling.NEAREST
            )
            image.save(folder / name / f"{number}.png")
    (folder / "red" / "3.png").rename(folder / "blue" / "red.png")
    assert run(["audit", str(folder), "--json", "--model", str(bundle)]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    told = found["label_errors"][0]
    assert (told["path"], told["class"], told["suggested"]) == ("blue/red.png", "blue", "red") and told["likely"]
    assert not [row for row in found["label_errors"] if row["class"] == "odd"]
    assert "does not know odd" in captured.err and "not known" in captured.err


def colour_bundle(folder: Path) -> Path:
    """Write a bundle that calls photos blue, green (a class of its own) or red by their mean colour."""
    import keras

    from fireweed.bundle import write_bundle

    photo = keras.Input((16, 16, 3), name="photo")
    dense = keras.layers.Dense(3, activation="softmax", name="classes")
    model = keras.Model(photo, dense(keras.layers.GlobalAveragePooling2D(name="gap")(photo)))
    dense.set_weights([np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32) / 20, np.zeros(3, np.float32)])
    folder.mkdir()
    write_bundle(folder, model, {"classes": ["blue", "green", "red"], "side": 16, "fit": "crop"})
    return folder
