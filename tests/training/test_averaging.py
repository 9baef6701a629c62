"""The moving average holds weights and norm statistics, and only validation sees it."""

import keras
import numpy as np

from fireweed.training.averaging import Averaging


def net() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="zeros"),
                             keras.layers.BatchNormalization()])  # fmt: skip


def test_average_follows_the_formula_and_counts_norm_statistics():
    model = net()
    averaging = Averaging(decay=0.5, every=2)
    averaging.start(model)
    expected = [np.array(w) for w in model.weights]
    rng = np.random.default_rng(0)
    for step in range(1, 9):
        for weight in model.weights:
            weight.assign(rng.normal(size=weight.shape))
        averaging.on_train_batch_end(step)
        if step % 2 == 0:
            decay = min(0.5, step / 2 / (9 + step / 2))
            expected = [decay * old + (1 - decay) * np.array(new)
                        for old, new in zip(expected, model.weights, strict=True)]  # fmt: skip
    assert averaging.updates == 4
    for ours, right in zip(averaging.values(), expected, strict=True):
        assert np.allclose(ours, right, atol=1e-6)


def test_validation_sees_the_average_and_training_gets_its_weights_back():
    model = net()
    averaging = Averaging(decay=0.9, every=1)
    averaging.start(model)
    for weight in model.weights:
        weight.assign(np.ones(weight.shape))
    averaging.on_test_begin()
    assert not np.array(model.weights[0]).any()
    averaging.on_test_end()
    assert all((np.array(weight) == 1).all() for weight in model.weights)


def test_without_a_decay_the_weights_are_their_own_average():
    model = net()
    averaging = Averaging(decay=0.0, every=1)
    averaging.start(model)
    model.weights[0].assign(np.full((2, 2), 7.0))
    averaging.on_train_batch_end(0)
    averaging.on_test_begin()
    assert (np.array(model.weights[0]) == 7).all()
    averaging.on_test_end()
    averaging.put_in(model)
    assert (np.array(model.weights[0]) == 7).all()
