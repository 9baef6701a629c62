"""Trainings on odd photos and in hard times: what is said, what is kept, and that the same call goes on."""

import errno
import io
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from fireweed.api import TrainRequest, evaluate_run, predict, train_run
from fireweed.api.sharding import make_shards
from fireweed.errors import DataError, FireweedError, RecipeError, RunError
from fireweed.reporting import Reporter
from fireweed.run import TIME_COLUMNS, RunFolder
from fireweed.training import checkpoints

NET = "conv 4 | pool | conv 8 | gap"


def train(data, out, **options):
    """Train a tiny net; return the run's folder and all that was said."""
    said = io.StringIO()
    asked = {"model": NET, "side": 16, "epochs": 2, **options}
    folder = train_run(TrainRequest(str(data), out=str(out), **asked), Reporter(Console(file=said, width=500)))
    return folder, said.getvalue()


def lasting(folder):
    return [{k: v for k, v in row.items() if k not in TIME_COLUMNS} for row in folder.history()]


def test_two_classes_of_thirty_photos_adapt_and_say_so(make_photos, tmp_path):
    quickly = ("training.phases=[{side=16, epochs=4}]", "training.steps_at_least=150")
    folder, said = train(make_photos({"cats": 30, "dogs": 30}), tmp_path / "run", epochs=None, settings=quickly)
    resolved = folder.resolved().training
    assert resolved.batch == 8 and "batch 8" in said
    assert f"{len(folder.history())} epochs instead of 4" in said
    evaluation, _ = evaluate_run(folder.path, None, "validation", Reporter(is_silent=True))
    assert "top5_accuracy" not in evaluation and len(evaluation["confusion"]) == 2
    assert evaluation["accuracy"] >= 0.9  # red against green


def test_rare_classes_train_and_a_single_photo_goes_to_training(make_photos, tmp_path):
    folder, said = train(make_photos({"common": 40, "rare": 6, "single": 1}), tmp_path / "run")
    rows = folder.rows()
    assert [row["part"] for row in rows if row["class"] == "single"] == ["train"]
    assert "single" in said and "unbalanced" in said
    assert {row["part"] for row in rows if row["class"] == "rare"} >= {"train", "validation"}


def test_broken_photos_are_counted_named_and_left_out(make_photos, tmp_path):
    data = make_photos({"a": 12, "b": 12})
    whole = (data / "a" / "000.png").read_bytes()
    (data / "a" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (data / "b" / "text.jpg").write_text("no photo")
    (data / "b" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    Image.new("RGB", (1, 1), "red").save(data / "a" / "dot.png")
    folder, said = train(data, tmp_path / "run")
    assert "3 photos cannot be read" in said
    for name in ("a/cut.png", "b/text.jpg", "b/phone.heic"):
        assert name in said and name in folder.file("report.html").read_text()
    assert len(folder.rows()) == 25


NAMES = ["郁金香", "Gänseblümchen", "роза", "w" * 60, "<svg onload=alert(1)>"]


def test_the_net_of_the_best_epoch_is_the_one_that_was_validated(make_photos, tmp_path):
    settings = ("training.keep=best", "training.norm_photos=64")
    folder, _ = train(make_photos({"a": 40, "b": 40}), tmp_path / "run", epochs=3, settings=settings)
    kept = json.loads(folder.file("fireweed.json").read_text())["epoch"]
    evaluation, _ = evaluate_run(folder.path, None, "validation", Reporter(is_silent=True))
    assert evaluation["loss"] == pytest.approx(folder.history()[kept - 1]["val_loss"], rel=1e-3)


def test_a_few_photos_are_not_validated_on_many_in_every_epoch(make_photos, tmp_path):
    settings = ("data.photos_per_class=3", "training.norm_photos=0")
    folder, said = train(make_photos({"a": 30, "b": 30}), tmp_path / "run", epochs=5, settings=settings)
    judged = [row.get("val_accuracy") for row in folder.history()]
    assert judged[0] is None and judged[-1] is not None and "6 photos to train on" in said
    evaluation, _ = evaluate_run(folder.path, None, "validation", Reporter(is_silent=True))
    assert evaluation["accuracy"] == pytest.approx(judged[-1], abs=1e-6)
    assert folder.file("report.html").is_file()


def test_features_that_a_killed_run_left_behind_go_when_it_is_met_finished(make_photos, tmp_path):
    data = make_photos({"a": 8, "b": 8})
    folder, _ = train(data, tmp_path / "run", epochs=1)
    folder.file("features").mkdir()
    folder.file("features").joinpath("view-000001-16px.bin").write_bytes(b"features")
    assert "this run is finished" in train(data, tmp_path / "run", epochs=1)[1]
    assert folder.is_finished and not folder.has_features


def test_only_a_training_tells_of_what_a_square_cuts_off(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(8):
            colour = (number * 30, 255 * (name == "a"), 9)
            Image.new("RGB", (90, 30), colour).save(tmp_path / "data" / name / f"{number}.png")
    said = io.StringIO()
    make_shards(
        str(tmp_path / "data"), str(tmp_path / "shards"), 16, 3, "crop", 90, Reporter(Console(file=said, width=500))
    )
    assert "middle square" not in said.getvalue() and "photos" in said.getvalue()
    assert "only the middle square of each photo is used" in train(tmp_path / "data", tmp_path / "run", epochs=1)[1]


def test_any_name_is_shown_as_text_everywhere(make_photos, tmp_path):
    data = make_photos(dict.fromkeys(NAMES, 6))
    (data / NAMES[0] / "000.png").rename(data / NAMES[0] / '"><img src=x onerror=alert(1)>.png')
    folder, _ = train(data, tmp_path / "run", epochs=1)
    report = folder.file("report.html").read_text(encoding="utf-8")
    assert all(name in report for name in NAMES[:4])
    assert "<svg onload" not in report and "<img src=x" not in report and "&lt;svg onload" in report
    assert json.loads(folder.file("fireweed.json").read_text(encoding="utf-8"))["classes"] == sorted(NAMES)
    photo = next((data / NAMES[2]).iterdir())
    assert next(predict(folder.path, [str(photo)])).name in NAMES


def test_given_parts_are_kept_and_twins_across_them_are_told(make_photos, tmp_path):
    data = tmp_path / "data"
    for part, count in (("train", 20), ("validation", 6), ("test", 6)):
        made = make_photos(
            {"a": count, "b": count}, name=f"made-{part}", side={"train": 40, "validation": 48, "test": 56}[part]
        )
        shutil.move(made, data / part)
    for number in range(3):
        shutil.copy(data / "train" / "a" / f"00{number}.png", data / "validation" / "a" / f"copy{number}.png")
    folder, said = train(data, tmp_path / "run")
    parts = [row["part"] for row in folder.rows()]
    assert (parts.count("train"), parts.count("validation"), parts.count("test")) == (40, 15, 12)
    assert any("3" in line and "warning" in line for line in said.split("epoch 1/")[0].splitlines()), said


@pytest.fixture(scope="module")
def whole(twenty_photos, tmp_path_factory):
    """A run that nothing happened to; tests leave it as it is."""
    return train(twenty_photos, tmp_path_factory.mktemp("whole") / "run")[0]


@pytest.mark.parametrize("failing_write", [1, 2, 4, 6, 9])
def test_a_disk_that_fills_up_loses_nothing(twenty_photos, whole, tmp_path, monkeypatch, failing_write):
    data = twenty_photos
    writes, sync = [], os.fsync

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) >= failing_write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr("fireweed.files.os.fsync", full)
    with pytest.raises(FireweedError, match=r"disk full.*free"):
        train(data, tmp_path / "run")
    hidden = [path.name for path in (tmp_path / "run").rglob(".*")]
    assert hidden == ([] if failing_write == 1 else [".lock"]), "nothing half written, and no folder for nothing"
    monkeypatch.undo()
    folder, _ = train(data, tmp_path / "run")
    assert folder.is_finished and len(folder.history()) == 2
    assert lasting(folder)[0].keys() == lasting(whole)[0].keys()


def test_a_folder_that_cannot_be_written_is_told_before_training(make_photos, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    data = make_photos({"a": 8, "b": 8})
    monkeypatch.setattr("fireweed.api.run_folders.tempfile.TemporaryFile", refuse)
    with pytest.raises(FireweedError, match="no permission to write"):
        train(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_photos_or_files_of_others_are_refused(make_photos, tmp_path):
    data = make_photos({"a": 8, "b": 8})
    folder, _ = train(data, tmp_path / "run", epochs=1)
    Image.new("RGB", (30, 30), "blue").save(data / "a" / "new.png")
    with pytest.raises(RunError, match="other photos"):
        train(data, tmp_path / "run", epochs=1)
    (folder.path / "mine.txt").write_text("keep")
    with pytest.raises(RunError, match=r"mine\.txt"):
        train(data, tmp_path / "run", epochs=1)
    assert (folder.path / "mine.txt").read_text() == "keep"


def test_photos_that_changed_since_are_not_judged_in_silence(make_photos, tmp_path):
    data = make_photos({"a": 10, "b": 10})
    folder, _ = train(data, tmp_path / "run", epochs=1)
    row = next(row for row in folder.rows() if row["part"] == "validation")
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(data / row["name"])
    with pytest.raises(DataError, match="changed"):
        evaluate_run(folder.path, None, "validation", Reporter(is_silent=True))


def test_a_run_goes_on_on_another_backend_free_request(twenty_photos, whole, tmp_path):
    """What was resolved at the first start holds, though the machine would choose otherwise now."""
    data, folder = twenty_photos, RunFolder(Path(shutil.copytree(whole.path, tmp_path / "run")))
    for name in ("report.html", "fireweed.json", "model.keras"):
        folder.file(name).unlink()
    again, said = train(data, tmp_path / "run")
    assert "resuming after epoch 2" in said and again.is_finished and len(again.history()) == 2


def test_a_run_of_some_minutes_ends_by_the_clock_and_goes_on_where_it_was_stopped(make_photos, tmp_path, monkeypatch):
    """How near to its time it ends depends on what else the machine does; `tests/training/test_clock.py` has that."""
    data, asked = make_photos({"a": 40, "b": 40}), {"epochs": None, "side": None, "minutes": 0.4}
    monkeypatch.setattr("fireweed.api.budget.LEAST_STEPS", 0)  # however busy the machine is, it is not refused
    write = checkpoints.write_checkpoint

    def stopped(*arguments):
        write(*arguments)
        if len(arguments) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("fireweed.training.saving.write_checkpoint", stopped)
        train(data, tmp_path / "run", **asked)
    frozen = RunFolder(tmp_path / "run").resolved()
    began = time.monotonic()
    folder, said = train(data, tmp_path / "run", **asked)
    left = re.search(r"resuming after epoch 1 with (\d+) s of 24 s left", said)
    assert left, said
    assert time.monotonic() - began > 0.8 * int(left[1]) - 1  # the time that was left is taken
    assert folder.is_finished and folder.resolved() == frozen
    assert "the clock decided" in folder.file("report.html").read_text()
    assert all(row["steps"] > 0 for row in folder.history())
    assert train(data, tmp_path / "run", **asked)[1].count("finished") == 1


def test_too_short_a_time_is_refused_with_the_least_that_works(make_photos, tmp_path):
    data, asked = make_photos({"a": 20, "b": 20}), {"epochs": None, "side": None, "minutes": 0.01}
    with pytest.raises(RecipeError, match=r"too short to train .* give at least 0\.\d"):
        train(data, tmp_path / "run", **asked)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with pytest.raises(RecipeError):
        train(data, tmp_path / "run", **asked)
    assert (tmp_path / "run").exists(), "a folder that was there stays"


def test_the_report_needs_nothing_but_itself(whole):
    report = whole.file("report.html").read_text(encoding="utf-8")
    assert "<script" not in report and 'src="http' not in report and "@import" not in report
    assert "url(http" not in report and 'href="http' not in report


def test_photos_that_leave_nothing_to_train_or_validate_on_are_refused(make_photos, tmp_path):
    with pytest.raises(DataError, match="no photo to validate on"):
        train(make_photos({"a": 1, "b": 1}), tmp_path / "run")
    for part in ("validation", "test"):
        shutil.move(make_photos({"a": 4, "b": 4}, name=f"made-{part}", side=40 + len(part)), tmp_path / "parts" / part)
    with pytest.raises(DataError, match="no training photos"):
        train(tmp_path / "parts", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_moved_and_renamed_photos_are_found_by_their_keys(make_photos, tmp_path):
    data = make_photos({"a": 12, "b": 12})
    folder, _ = train(data, tmp_path / "run", epochs=1)
    before, _ = evaluate_run(folder.path, None, None, Reporter(is_silent=True))
    for photo in (data / "a").iterdir():
        photo.rename(photo.with_name("renamed-" + photo.name))
    data.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="no such"):
        evaluate_run(folder.path, None, None, Reporter(is_silent=True))
    after, path = evaluate_run(folder.path, str(tmp_path / "moved"), "validation", Reporter(is_silent=True))
    assert after["accuracy"] == before["accuracy"] and after["photos"] == before["photos"]
    assert path.name == "evaluation-validation.json"
    with pytest.raises(DataError, match="unknown part"):
        evaluate_run(folder.path, None, "train", Reporter(is_silent=True))
