"""A frozen net's head learns from features computed once: as the whole net would, and never twice the same work."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

from fireweed.api import TrainRequest, evaluate_run, featuring, train_run
from fireweed.api.building import TrainingParts
from fireweed.api.featuring import train_head
from fireweed.api.preparing import prepare_data
from fireweed.api.timing import speed_name
from fireweed.data.feature_batches import FeatureBatches
from fireweed.devices import choose_device
from fireweed.errors import DataError
from fireweed.recipe import checked
from fireweed.remembered import remembered
from fireweed.reporting import Reporter
from fireweed.run import RunFolder
from fireweed.settings import DataSettings
from fireweed.training.train import train

SILENT = Reporter(is_silent=True)
PHASES = [{"side": 16, "epochs": 3}, {"side": 24, "epochs": 2}]


def net() -> keras.Model:
    keras.utils.set_random_seed(3)
    photo = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(photo)
    x = layers.Conv2D(8, 3, activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(photo, layers.Dense(2, activation="softmax", name="classes")(x))
    for layer in model.layers[:-1]:
        layer.trainable = False
    return model


def recipe(**training):
    return checked({
        "model": {"name": "mobilenetv2", "freeze": True},
        "augment": {"flip": True, "crop": [0.5, 1.0], "mixup": 0.4},
        "training": {"phases": PHASES, "batch": 8, "precision": "float32", "average": 0.9, "average_every": 1,
                     "label_smoothing": 0.1, "schedule": {"peak": 1e-2}, **training}})  # fmt: skip


@pytest.fixture
def catalog(make_photos):
    return prepare_data(str(make_photos({"a": 30, "b": 20})), DataSettings(), SILENT).catalog


def head_trained(folder, asked, catalog, reporter=SILENT):
    """Return the net and the outcome of a training of its head in `folder`."""
    folder.mkdir(exist_ok=True)
    model, parts = net(), TrainingParts(asked, catalog, (1.0, 2.0))
    try:
        return model, train_head(model, asked, parts, RunFolder(folder), choose_device(), reporter)
    finally:
        parts.close()


@pytest.fixture
def looks(monkeypatch):
    """The number of photos of each batch that the backbone was shown."""
    seen = []

    def outputs(model, squares, batch_size):
        seen.append(len(squares))
        return original(model, squares, batch_size)

    original = featuring.outputs
    monkeypatch.setattr(featuring, "outputs", outputs)
    return seen


def test_the_head_becomes_what_it_would_in_the_whole_net(catalog, tmp_path):
    parts, whole = TrainingParts(recipe(), catalog, (1.0, 2.0)), net()
    (tmp_path / "whole").mkdir()
    expected = train(whole, recipe(), parts.input(), tmp_path / "whole", SILENT)
    parts.close()
    model, outcome = head_trained(tmp_path / "head", recipe(), catalog)
    before = net().get_weights()
    for ours, theirs, old in zip(model.get_weights(), whole.get_weights(), before, strict=True):
        assert np.allclose(ours, theirs, atol=2e-5)
        assert ours.ndim == 4 or not np.array_equal(ours, old) or np.array_equal(theirs, old)
    assert not np.allclose(model.get_layer("classes").get_weights()[0], before[-2], atol=1e-2)
    for row, other in zip(outcome.history, expected.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert (row["side"], row["val_accuracy"]) == (other["side"], pytest.approx(other["val_accuracy"], abs=1e-6))


def test_the_backbone_looks_at_each_view_and_at_the_validation_photos_once(catalog, tmp_path, looks):
    _, outcome = head_trained(tmp_path, recipe(views=2), catalog)
    training, validation = len(catalog.part("train")), len(catalog.part("validation"))
    assert len(looks) == 4 * -(-training // 8) + -(-validation // 8)  # two views in each of two phases
    assert len(outcome.history) == 5


def test_a_stopped_training_ends_like_one_never_stopped_and_computes_no_features_again(
    catalog, tmp_path, looks, monkeypatch
):
    asked = recipe(views=2, phases=[{"side": 16, "epochs": 6}])
    never_stopped, whole = head_trained(tmp_path / "whole", asked, catalog)
    make_batch, steps = FeatureBatches.make_batch, -(-len(catalog.part("train")) // 8)

    def dying(self, step):
        if step == 4 * steps + 1:
            raise KeyboardInterrupt
        return make_batch(self, step)

    monkeypatch.setattr(FeatureBatches, "make_batch", dying)
    with pytest.raises(BaseException):  # noqa: B017 - tf.data makes its own kind of it
        head_trained(tmp_path / "stopped", asked, catalog)
    monkeypatch.setattr(FeatureBatches, "make_batch", make_batch)
    looks.clear()
    model, outcome = head_trained(tmp_path / "stopped", asked, catalog)
    assert 1 <= outcome.resumed_at < 6 and not looks
    assert [row["loss"] for row in outcome.history] == [row["loss"] for row in whole.history]
    for ours, theirs in zip(model.get_weights(), never_stopped.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_features_go_on_where_they_stopped_and_only_damaged_ones_are_computed_anew(
    catalog, tmp_path, looks, monkeypatch
):
    asked = recipe(views=1, phases=[{"side": 16, "epochs": 2}])
    expected, _ = head_trained(tmp_path / "whole", asked, catalog)
    blocks, counting = len(looks), featuring.outputs

    def stopping(model, squares, batch_size):
        if len(looks) == 3:
            raise KeyboardInterrupt
        return counting(model, squares, batch_size)

    looks.clear()
    monkeypatch.setattr(featuring, "outputs", stopping)
    with pytest.raises(KeyboardInterrupt):
        head_trained(tmp_path / "stopped", asked, catalog)
    monkeypatch.setattr(featuring, "outputs", counting)
    model, _ = head_trained(tmp_path / "stopped", asked, catalog)
    assert len(looks) == blocks
    file = tmp_path / "stopped" / "features" / "view-000001-16px.bin"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    (tmp_path / "stopped" / "features" / "validation-16px.bin").unlink()
    looks.clear()
    again, _ = head_trained(tmp_path / "stopped", asked, catalog)
    assert len(looks) == 1 + -(-len(catalog.part("validation")) // 8)
    for ours, mine, theirs in zip(model.get_weights(), again.get_weights(), expected.get_weights(), strict=True):
        assert np.array_equal(ours, theirs) and np.array_equal(mine, theirs)


def test_progress_is_told_in_photos_with_rate_and_time_left(catalog, tmp_path):
    said = io.StringIO()
    reporter = Reporter(Console(file=said, width=200))
    reporter.seconds_between_lines = 0.0
    head_trained(tmp_path, recipe(views=1), catalog, reporter)
    total = 2 * len(catalog.part("train")) + len(catalog.part("validation"))
    assert f"features: 16 of {total} photos, " in said.getvalue()
    line = next(line for line in said.getvalue().splitlines() if line.startswith("features: 24 of"))
    assert "images/s" in line and line.endswith("left")


def test_a_photo_that_vanished_is_named(catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE_GB", "0")
    photo = catalog.part("train").photos[7]
    Path(photo.path).unlink()
    with pytest.raises(DataError, match=f"{photo.name} could be read when the run began and cannot any more"):
        head_trained(tmp_path / "run", recipe(views=1), catalog)


def test_a_run_stopped_and_gone_on_with_ends_in_a_plain_net_and_keeps_no_features(make_photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))
    said = io.StringIO()
    request = TrainRequest(
        str(make_photos({"a": 30, "b": 20})), model="mobilenetv2", weights="none", freeze=True, side=32, epochs=3,
        settings=("training.views=2", "training.batch=8"), out=str(tmp_path / "run"),
    )  # fmt: skip
    counting = featuring.outputs

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(featuring, "outputs", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_run(request, Reporter(Console(file=said, width=500)))
    assert "goes on with the features it has" in said.getvalue() and "2 views" in said.getvalue()
    monkeypatch.setattr(featuring, "outputs", counting)
    folder = train_run(request, Reporter(Console(file=said, width=500)))
    assert folder.is_finished and not folder.has_features and len(folder.history()) == 3
    figures = remembered()[speed_name(folder.resolved(), 32, choose_device())]
    assert set(figures) == {"forward", "head"}
    evaluation, _ = evaluate_run(folder.path, None, "validation", SILENT)
    assert evaluation["accuracy"] == pytest.approx(folder.history()[-1]["val_accuracy"], abs=1e-6)
    plain = keras.models.load_model(folder.path / "model.keras", compile=False)
    assert plain.count_params() == 2_257_984 + 1280 * 2 + 2
