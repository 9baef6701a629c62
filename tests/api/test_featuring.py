"""A frozen net's head learns from features computed once: as the whole net would, and never twice the same work."""

import io
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from rich.console import Console

from fireweed.api import TrainRequest, evaluate_run, feature_room, featuring, train_run
from fireweed.api.building import TrainingParts
from fireweed.api.featuring import train_head
from fireweed.api.preparing import prepare_data
from fireweed.api.timing import speed_name
from fireweed.data.feature_batches import FeatureBatches
from fireweed.devices import choose_device
from fireweed.errors import DataError, FireweedError, RunError
from fireweed.models.pretrained import freeze_backbone
from fireweed.recipe import checked
from fireweed.remembered import remembered
from fireweed.reporting import Reporter
from fireweed.run import RunFolder
from fireweed.settings import DataSettings
from fireweed.training.train import train

SILENT = Reporter(is_silent=True)
PHASES = [{"side": 16, "epochs": 3}, {"side": 24, "epochs": 2}]


def net(seed=3, freeze=True) -> keras.Model:
    keras.utils.set_random_seed(seed)
    photo = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255)(photo)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Add(name="add")([x, layers.Conv2D(8, 3, padding="same", activation="relu", name="behind")(x)])
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(photo, layers.Dense(2, activation="softmax", name="classes")(x))
    freeze_backbone(model, freeze)
    return model


def recipe(freeze=True, **training):
    return checked({
        "model": {"name": "mobilenetv2", "freeze": freeze},
        "augment": {"flip": True, "crop": [0.5, 1.0]},
        "training": {"phases": PHASES, "batch": 8, "precision": "float32", "average": 0.9, "average_every": 1,
                     "label_smoothing": 0.1, "schedule": {"peak": 1e-2}, **training}})  # fmt: skip


@pytest.fixture
def catalog(make_photos):
    return prepare_data(str(make_photos({"a": 30, "b": 20})), DataSettings(), SILENT).catalog


def head_trained(folder, asked, catalog, reporter=SILENT, seed=3):
    """Return the net and the outcome of a training of its head in `folder`."""
    folder.mkdir(exist_ok=True)
    model, parts = net(seed, asked.model.freeze), TrainingParts(asked, catalog, (1.0, 2.0))
    try:
        return model, train_head(model, asked, parts, RunFolder(folder), choose_device(), reporter)
    finally:
        parts.close()


@pytest.fixture
def shown(monkeypatch):
    """The number of photos of each batch that the backbone was shown."""
    seen = []

    def outputs(model, squares, batch_size):
        seen.append(len(squares))
        return original(model, squares, batch_size)

    original = featuring.outputs
    monkeypatch.setattr(featuring, "outputs", outputs)
    return seen


@pytest.mark.parametrize(
    ("freeze", "learn"),
    [(True, ["classes"]), ("norm", ["behind", "classes"]), ("conv", ["norm", "behind", "classes"])],
)
def test_the_head_becomes_what_it_would_in_the_whole_net(catalog, tmp_path, freeze, learn):
    asked = recipe(freeze, norm_photos=12)
    parts, whole = TrainingParts(asked, catalog, (1.0, 2.0)), net(freeze=freeze)
    (tmp_path / "whole").mkdir()
    expected = train(whole, asked, parts.input(), tmp_path / "whole", SILENT)
    parts.close()
    model, outcome = head_trained(tmp_path / "head", asked, catalog)
    for ours, theirs, before in zip(model.weights, whole.weights, net().get_weights(), strict=True):
        assert np.allclose(ours, theirs, atol=5e-5), ours.path
        if ours.path.split("/")[0] in learn:
            assert not np.allclose(ours, before, atol=1e-3), ours.path
        else:
            assert np.array_equal(ours, before), ours.path
    for row, other in zip(outcome.history, expected.history, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert (row["side"], row["val_accuracy"]) == (other["side"], pytest.approx(other["val_accuracy"], abs=1e-6))


def test_photos_are_never_mixed_before_the_backbone_sees_them(catalog, tmp_path, monkeypatch):
    kept = []

    def passes(*arguments):
        views, validation = original(*arguments)
        kept.append(views)
        return views, validation

    original = featuring._passes
    monkeypatch.setattr(featuring, "_passes", passes)
    losses = []
    for name, mixup in (("plain", 0.0), ("mixed", 1.0)):
        asked = checked({**recipe(views=1).model_dump(exclude_none=True), "augment": {"flip": True, "mixup": mixup}})
        losses.append(head_trained(tmp_path / name, asked, catalog)[1].history[0]["loss"])
    places = np.arange(len(catalog.part("train")))
    plain, mixed = ([one.file.read(places) for one in views.values()] for views in kept)
    assert len(plain) == 2 and all(np.array_equal(ours, theirs) for ours, theirs in zip(plain, mixed, strict=True))
    assert losses[0] != losses[1]


def test_the_backbone_is_shown_each_view_and_the_validation_photos_once(catalog, tmp_path, shown):
    _, outcome = head_trained(tmp_path, recipe(views=2), catalog)
    training, validation = len(catalog.part("train")), len(catalog.part("validation"))
    assert len(shown) == 4 * -(-training // 8) + -(-validation // 8)  # two views in each of two phases
    assert len(outcome.history) == 5


def test_a_stopped_training_ends_like_one_never_stopped_and_computes_no_features_again(
    catalog, tmp_path, shown, monkeypatch
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
    shown.clear()
    model, outcome = head_trained(tmp_path / "stopped", asked, catalog)
    assert 1 <= outcome.resumed_at < 6 and not shown
    assert [row["loss"] for row in outcome.history] == [row["loss"] for row in whole.history]
    for ours, theirs in zip(model.get_weights(), never_stopped.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_features_go_on_where_they_stopped_and_only_damaged_ones_are_computed_anew(
    catalog, tmp_path, shown, monkeypatch
):
    asked = recipe(views=1, phases=[{"side": 16, "epochs": 2}])
    expected, _ = head_trained(tmp_path / "whole", asked, catalog)
    blocks, counting = len(shown), featuring.outputs

    def stopping(model, squares, batch_size):
        if len(shown) == 3:
            raise KeyboardInterrupt
        return counting(model, squares, batch_size)

    shown.clear()
    monkeypatch.setattr(featuring, "outputs", stopping)
    with pytest.raises(KeyboardInterrupt):
        head_trained(tmp_path / "stopped", asked, catalog)
    monkeypatch.setattr(featuring, "outputs", counting)
    model, _ = head_trained(tmp_path / "stopped", asked, catalog)
    assert len(shown) == blocks
    file = tmp_path / "stopped" / "features" / "view-000001-16px.bin"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    (tmp_path / "stopped" / "features" / "validation-16px.bin").unlink()
    shown.clear()
    again, _ = head_trained(tmp_path / "stopped", asked, catalog)
    assert len(shown) == 1 + -(-len(catalog.part("validation")) // 8)
    for ours, mine, theirs in zip(model.get_weights(), again.get_weights(), expected.get_weights(), strict=True):
        assert np.array_equal(ours, theirs) and np.array_equal(mine, theirs)


def test_a_head_goes_on_with_the_backbone_it_began_with_and_no_other(catalog, tmp_path):
    asked = recipe(views=1, phases=[{"side": 16, "epochs": 2}])
    head_trained(tmp_path / "run", asked, catalog)
    shutil.rmtree(tmp_path / "run" / "features")
    with pytest.raises(RunError, match=r"began with another backbone than mobilenetv2 has now.*--out"):
        head_trained(tmp_path / "run", asked, catalog, seed=4)
    _, outcome = head_trained(tmp_path / "run", asked, catalog)
    assert outcome.resumed_at == 2


def test_the_room_that_features_take_is_told_and_too_little_is_refused_beforehand(
    catalog, tmp_path, shown, monkeypatch
):
    asked, said = recipe(views=2, phases=[{"side": 16, "epochs": 3}]), io.StringIO()
    blocks = 2 * -(-len(catalog.part("train")) // 8) + -(-len(catalog.part("validation")) // 8)
    needed = blocks * (4 + 8 * 8 * 4)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(feature_room.shutil, "disk_usage", lambda path: usage._replace(free=needed - 1))
    with pytest.raises(FireweedError, match=r"features of 2 views take 0\.0 MB more in .*fewer views"):
        head_trained(tmp_path / "run", asked, catalog)
    assert not shown
    monkeypatch.setattr(feature_room.shutil, "disk_usage", lambda path: usage._replace(free=needed))
    head_trained(tmp_path / "run", asked, catalog, Reporter(Console(file=said, width=200)))
    assert "features of 2 views take 0.0 MB of disk" in said.getvalue()
    monkeypatch.setattr(feature_room.shutil, "disk_usage", lambda path: usage._replace(free=0))
    head_trained(tmp_path / "run", asked, catalog)  # nothing is missing


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
        str(make_photos({"a": 30, "b": 20})), model="mobilenetv2", weights="none", freeze=True, side=32, epochs=5,
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
    assert folder.is_finished and not folder.has_features and len(folder.history()) == 5
    figures = remembered()[speed_name(folder.resolved(), 32, choose_device())]
    assert set(figures) == {"forward", "head"}
    evaluation, _ = evaluate_run(folder.path, None, "validation", SILENT)
    assert evaluation["accuracy"] == pytest.approx(folder.history()[-1]["val_accuracy"], abs=1e-6)
    plain = keras.models.load_model(folder.path / "model.keras", compile=False)
    assert plain.count_params() == 2_257_984 + 1280 * 2 + 2


def test_a_run_of_some_minutes_goes_on_with_its_own_random_backbone_and_no_more_views_than_asked(
    make_photos, tmp_path, monkeypatch
):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path / "cache"))
    said = io.StringIO()
    request = TrainRequest(
        str(make_photos({"a": 30, "b": 20})), model="mobilenetv2", weights="none", freeze=True, side=32, minutes=5,
        settings=("training.views=2", "training.batch=8", "training.evaluation_scale=1.5"), out=str(tmp_path / "run"),
    )  # fmt: skip
    original = featuring.train

    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(featuring, "train", stopped)
    with pytest.raises(KeyboardInterrupt):  # this start timed a net before it made its own
        train_run(request, Reporter(Console(file=said, width=500)))
    assert "5 minutes: 2 views of" in said.getvalue()
    monkeypatch.setattr(featuring, "train", original)
    folder = train_run(request, Reporter(Console(file=said, width=500)))
    assert folder.is_finished and folder.resolved().evaluation_side == 48
    assert "photos are there" in said.getvalue()  # the features are those of the same backbone
