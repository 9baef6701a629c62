"""Norm statistics computed anew are those of the photos given, and nothing else of the model changes."""

import keras
import numpy as np
import pytest

from fireweed.models.registry import build_model
from fireweed.training.engine import fast_twin
from fireweed.training.norms import has_moving_statistics, recompute_norms

BATCHES = [np.random.default_rng(seed).integers(0, 256, (6, 8, 8, 3), np.uint8) for seed in range(4)]


def test_statistics_are_the_mean_of_what_the_batches_give_and_the_weights_stay():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Dropout(0.9)(inputs)  # would scale what the norm sees, were it on
    norm = keras.layers.BatchNormalization(momentum=0.9)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(norm(x)))
    norm.gamma.assign([2.0, 3.0, 4.0])
    recompute_norms(model, BATCHES)
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
        recompute_norms(model, [np.repeat(np.repeat(batch, 4, 1), 4, 2) for batch in BATCHES])
    for ours, theirs in zip(plain.weights, twin.weights, strict=True):
        assert np.allclose(ours, theirs, rtol=2e-3, atol=1e-4), ours.path
    assert any(np.abs(w).max() > 0 for w in plain.weights if w.path.endswith("moving_mean"))


@pytest.mark.parametrize("freezes", [True, False])
def test_a_frozen_norm_keeps_its_statistics(freezes):
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((8, 8, 3)), norm])
    norm.trainable = not freezes
    assert has_moving_statistics(model) is not freezes
    recompute_norms(model, BATCHES)
    assert np.array(norm.moving_mean).any() is np.bool_(not freezes)
