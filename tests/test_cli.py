"""The whole command line from end to end, on the drawn set, and what it says to wrong input."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import warm
from fireweed.cli import run

NET = "conv 8 | pool | fire 8 16 | pool | fire 8 16 | gap"


def fireweed(*arguments: str, expect: int = 0, timeout: float = 240, anew: bool = False) -> subprocess.CompletedProcess:
    """Run the command line; `anew`: in a Python that has imported nothing, as users do."""
    command = [*([sys.executable] if anew else warm.python()), "-m", "fireweed", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = fireweed("train", "--data", "drawn", "--model", NET, "--epochs", "2", "--side", "32", "--out", str(folder),
                    anew=True)  # fmt: skip
    assert "epoch 2/2" in done.stdout and "validation accuracy" in done.stdout
    return folder


def test_a_run_holds_all_its_files(trained):
    names = {path.name for path in trained.iterdir() if path.name != ".lock"}
    assert names == {"recipe.toml", "photos.csv", "history.csv", "report.html", "model.keras", "fireweed.json",
                     "environment.json", "evaluation-validation.json", "checkpoints", "logs"}  # fmt: skip
    with open(trained / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"] and all(row["side"] == "32" for row in rows)
    evaluation = json.loads((trained / "evaluation-validation.json").read_text())
    # not the last epoch's figure: norm statistics are computed anew for the weights that are kept
    assert evaluation["accuracy"] == json.loads((trained / "fireweed.json").read_text())["metrics"]["accuracy"]
    assert f"{100 * evaluation['accuracy']:.1f}%" in (trained / "report.html").read_text(encoding="utf-8")
    assert json.loads((trained / "environment.json").read_text())["device"]["kind"] == "cpu"


def test_the_same_command_on_a_finished_run_says_so_and_changes_nothing(trained):
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    done = fireweed("train", "--data", "drawn", "--model", NET, "--epochs", "2", "--side", "32", "--out", str(trained))
    assert "finished" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_another_request_on_that_folder_is_refused(trained):
    done = fireweed("train", "--data", "drawn", "--model", NET, "--epochs", "3", "--side", "32", "--out", str(trained),
                    expect=2)  # fmt: skip
    assert "training.epochs was 2, now 3" in done.stderr


def test_predictions_are_those_the_run_stored(trained):
    evaluation = json.loads((trained / "evaluation-validation.json").read_text())
    stored = evaluation["predictions"][::10]
    from fireweed.data.drawn import drawn_folder

    paths = [str(drawn_folder() / row["path"]) for row in stored]
    answers = json.loads(fireweed("predict", str(trained), *paths, "--json", anew=True).stdout)
    assert [answer["path"] for answer in answers] == paths
    for answer, row in zip(answers, stored, strict=True):
        assert answer["class"] == row["class"] and sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        for name, probability in row["probabilities"].items():
            assert answer["probabilities"][name] == pytest.approx(probability, abs=1e-5)


def test_one_bad_photo_does_not_end_a_batch_and_no_good_one_is_an_error(trained, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    Image.new("RGB", (50, 40), "red").save(tmp_path / "good.png")
    done = fireweed("predict", str(trained), str(tmp_path / "bad.jpg"), str(tmp_path / "good.png"), "--csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == 2 and rows[0]["error"] and not rows[1]["error"] and "1 of 2 photos" in done.stderr
    fireweed("predict", str(trained), str(tmp_path / "bad.jpg"), expect=2)


def test_evaluate_writes_each_part_and_leaves_trained_photos_out(trained, tmp_path):
    done = fireweed("evaluate", str(trained), "--part", "test")
    assert (trained / "evaluation-test.json").is_file() and "accuracy" in done.stdout.lower()
    done = fireweed("evaluate", str(trained), "--data", "drawn")
    with open(trained / "photos.csv", newline="") as file:
        parts = [row["part"] for row in csv.DictReader(file)]
    assert f"{parts.count('train')} that the run trained on are left out" in done.stdout
    judged = json.loads((trained / "evaluation-data.json").read_text())["photos"]
    assert judged == len(parts) - parts.count("train")
    before = (trained / "evaluation-test.json").read_bytes()
    fireweed("evaluate", str(trained), "--part", "test", "--flips")
    assert (trained / "evaluation-test.json").read_bytes() == before
    assert (trained / "evaluation-test-flips.json").read_bytes() != before


def test_the_bundle_opens_where_fireweed_cannot_be_imported(trained, tmp_path):
    program = (
        "import sys; sys.modules['fireweed'] = None\n"
        "import keras, numpy as np, json\n"
        f"m = keras.models.load_model({str(trained / 'model.keras')!r}, compile=False, safe_mode=True)\n"
        "x = np.random.default_rng(0).integers(0, 256, (2, *m.input_shape[1:])).astype('float32')\n"
        "print(json.dumps(np.asarray(m(x)).tolist()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    answers = np.array(json.loads(done.stdout.splitlines()[-1]))
    assert answers.shape == (2, 5) and np.allclose(answers.sum(1), 1, atol=1e-5)


def test_show_and_models_and_recipes_and_devices(tmp_path, capsys):
    assert run(["show", "drawn", "--out", str(tmp_path / "grid.png"), "--augment", "--count", "6"]) == 0
    assert Image.open(tmp_path / "grid.png").width > 300
    assert run(["recipes"]) == 0 and run(["recipes", "xception-codelab"]) == 0
    assert run(["models", NET]) == 0
    assert run(["devices"]) == 0
    said = capsys.readouterr().out
    for words in ("squeezenet-codelab", "learning rate", "multiply-adds a photo", "CPU"):
        assert words in said


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["train", "--data", "NOWHERE"], "NOWHERE"),
        (["train", "--recipe", "demo"], "--data"),
        (["train", "--repeat", "NOWHERE"], "NOWHERE"),
        (["train", "--repeat", "NOWHERE", "--epochs", "3"], "--epochs"),
        (["train", "--data", "drawn", "--model", "squeznet"], "squeezenet"),
        (["train", "--data", "drawn", "--model", "conv 32 | fyre 24 48 | gap"], "fyre"),
        (["train", "--data", "drawn", "--set", "training.epoks=3"], "epochs"),
        (["train", "--data", "drawn", "--recipe", "squeznet"], "squeezenet"),
        (["train", "--data", "drawn", "--epochs", "-1"], "epochs"),
        (["train", "--data", "drawn", "--device", "gpu"], "gpu"),
        (["train", "--data", "drawn", "--recipe", "demo", "--compile", "fast"], "training.compile"),
        (["audit", "NOWHERE"], "NOWHERE"),
        (["bench", "--model", "squeznet"], "squeezenet"),
        (["bench", "--side", "9"], "9 px"),
        (["evaluate", "NOWHERE"], "NOWHERE"),
        (["predict", "NOWHERE", "a.jpg"], "a.jpg"),
        (["shards", "NOWHERE", "out"], "NOWHERE"),
        (["recipes", "nothing"], "nothing"),
        (["models", "xeption"], "xception"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_2(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    said = capsys.readouterr().err.strip()
    assert word.lower() in said.lower() and len(said.splitlines()) == 1
    assert not (tmp_path / "runs").exists() and not (tmp_path / "out").exists()


def test_help_is_quick():
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        fireweed("--help", anew=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1.0  # 0.1 s when nothing else runs
