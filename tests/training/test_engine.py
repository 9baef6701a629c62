"""The fast twin is the plain net: the same answers, gradients and moving statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fireweed.errors import FireweedError
from fireweed.training.engine import FusedBatchNormalization, copy_variables, fast_twin


def small_net(trainable: bool = True) -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, activation="tanh", padding="same")(x)  # so that the norm is not merged with it
    x = keras.layers.BatchNormalization(momentum=0.9, trainable=trainable)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 1, 4), (16, 12, 12, 24)])
def test_fused_norm_equals_plain_norm(shape):
    photos = np.random.default_rng(0).normal(3, 5, shape).astype(np.float32)
    plain, fused = keras.layers.BatchNormalization(momentum=0.9), FusedBatchNormalization(momentum=0.9)
    results = []
    for layer in (plain, fused):
        layer.build(shape)
        layer.gamma.assign(np.linspace(0.5, 2, shape[-1]))
        layer.beta.assign(np.linspace(-1, 1, shape[-1]))
        x = tf.constant(photos)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * tf.sin(y))
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([y, *gradients, layer.moving_mean.value, layer.moving_variance.value])
    for ours, theirs in zip(*results, strict=True):
        scale = np.abs(np.asarray(ours)).max() + 1e-6
        assert np.abs(np.asarray(ours) - np.asarray(theirs)).max() <= 1e-4 * scale


def test_twin_answers_like_the_plain_net_and_trains_to_the_same_weights():
    keras.utils.set_random_seed(1)
    plain = small_net()
    twin = fast_twin(plain)
    assert any(isinstance(layer, FusedBatchNormalization) for layer in twin.layers)
    photos = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
    targets = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    assert np.allclose(plain(photos), twin(photos), atol=1e-6)
    for model in (plain, twin):
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
        for _ in range(3):
            model.train_on_batch(photos, targets)
    for ours, theirs in zip(plain.weights, twin.weights, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5), ours.path


def test_frozen_norm_of_the_twin_does_not_move():
    twin = fast_twin(small_net(trainable=False))
    norm = next(layer for layer in twin.layers if isinstance(layer, FusedBatchNormalization))
    before = [np.array(w) for w in norm.weights]
    twin.compile("sgd", "categorical_crossentropy")
    twin.train_on_batch(np.full((4, 8, 8, 3), 99.0), np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])
    assert all(np.array_equal(a, b) for a, b in zip(before, norm.weights, strict=True))
    assert len(twin.trainable_weights) == 4


def test_models_with_other_variables_are_not_copied():
    with pytest.raises(FireweedError, match="differ"):
        copy_variables(small_net(), keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
