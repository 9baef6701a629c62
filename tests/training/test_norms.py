"""Norm statistics computed anew are those of the photos given, and nothing else of the model changes."""

import io

import keras
import numpy as np
import pytest
from rich.console import Console

from fireweed.models.registry import build_model
from fireweed.reporting import Reporter
from fireweed.settings import TrainingSettings
from fireweed.training.engine import fast_twin
from fireweed.training.norms import freeze_norms, photos_for_norms, recompute_norms

BATCHES = [np.random.default_rng(seed).integers(0, 256, (6, 8, 8, 3), np.uint8) for seed in range(4)]
SILENT = Reporter(is_silent=True)


def normed():
    norm = keras.layers.BatchNormalization()
    return norm, keras.Sequential([keras.Input((8, 8, 3)), norm])


def test_statistics_are_the_mean_of_what_the_batches_give_and_the_weights_stay():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Dropout(0.9)(inputs)  # would scale what the norm sees, were it on
    norm = keras.layers.BatchNormalization(momentum=0.9)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(norm(x)))
    norm.gamma.assign([2.0, 3.0, 4.0])
    recompute_norms(model, BATCHES, 24, SILENT)
    each = [batch.astype("float64").reshape(-1, 3) for batch in BATCHES]
    assert np.allclose(norm.moving_mean, np.mean([one.mean(0) for one in each], 0), rtol=1e-4)
    assert np.allclose(norm.moving_variance, np.mean([one.var(0) for one in each], 0), rtol=1e-4)
    assert np.array(norm.gamma).tolist() == [2.0, 3.0, 4.0]
    assert norm.momentum == 0.9 and model.layers[1].rate == 0.9


def test_the_fast_twin_gets_the_same_statistics_as_the_plain_net():
    keras.utils.set_random_seed(0)
    plain = build_model("conv 32 | fire 16 32 | norm none | conv 16 | gap", 3)
    twin = fast_twin(plain)
    for model in (plain, twin):
        recompute_norms(model, [np.repeat(np.repeat(batch, 4, 1), 4, 2) for batch in BATCHES], 24, SILENT)
    for ours, theirs in zip(plain.weights, twin.weights, strict=True):
        assert np.allclose(ours, theirs, rtol=2e-3, atol=1e-4), ours.path
    assert any(np.abs(w).max() > 0 for w in plain.weights if w.path.endswith("moving_mean"))


@pytest.mark.parametrize("freezes", [True, False])
def test_a_frozen_norm_keeps_its_statistics(freezes):
    norm, model = normed()
    norm.trainable = not freezes
    assert photos_for_norms(model, TrainingSettings(norm_photos=512), 40) == (0 if freezes else 40)
    recompute_norms(model, BATCHES, 24, SILENT)
    assert np.array(norm.moving_mean).any() is np.bool_(not freezes)


def test_frozen_norms_stay_as_they_came_while_the_convolutions_learn():
    model = build_model("conv 32 | fire 16 32 | gap", 3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(layer.moving_mean + 0.5)
    before = {weight.path: np.array(weight) for weight in model.weights}
    freeze_norms(model)
    assert photos_for_norms(model, TrainingSettings(norm_photos=512), 40) == 0
    twin = fast_twin(model)
    twin.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    photos = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    assert np.allclose(twin(photos, training=True), model(photos, training=False), atol=1e-5)
    twin.train_on_batch(photos, np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]])
    for ours, theirs in zip(model.weights, twin.weights, strict=True):
        is_norm = "norm" in ours.path
        assert np.array_equal(before[ours.path], theirs) is is_norm, ours.path


@pytest.mark.parametrize(("settings", "photos"), [
    ({"norm_photos": 512}, 512),
    ({"norm_photos": 0}, 0),
    ({"norm_photos": 512, "keep": "best"}, 0),  # that accuracy was of the net with the old statistics
    ({"norm_photos": 512, "patience": 3}, 0),
])  # fmt: skip
def test_only_a_net_that_was_not_picked_gets_other_statistics(settings, photos):
    assert photos_for_norms(normed()[1], TrainingSettings(**settings), 1000) == photos
    without = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
    assert photos_for_norms(without, TrainingSettings(**settings), 1000) == 0


def test_photos_of_a_smaller_batch_count_no_more_than_others_and_missing_ones_are_told():
    norm, model = normed()
    said = io.StringIO()
    uneven = [BATCHES[0], BATCHES[1], BATCHES[2][:2]]
    recompute_norms(model, uneven, 20, Reporter(Console(file=said, width=200)))
    expected = np.concatenate(uneven).astype("float64").reshape(-1, 3).mean(0)
    assert np.allclose(norm.moving_mean, expected, rtol=1e-4)
    assert "warning: 6 photos could not be read any more" in said.getvalue()


def test_statistics_that_take_too_much_memory_stay_as_they_were():
    norm, model = normed()
    norm.moving_mean.assign([1.0, 2.0, 3.0])
    said = io.StringIO()

    def batches():
        yield BATCHES[0]
        raise MemoryError

    recompute_norms(model, batches(), 24, Reporter(Console(file=said, width=200)))
    assert np.array(norm.moving_mean).tolist() == [1, 2, 3] and np.array(norm.moving_variance).tolist() == [1, 1, 1]
    assert norm.momentum == 0.99 and "more memory than there is" in said.getvalue()
