"""Convolutions with a faster gradient give Keras's results and gradients, in both precisions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fireweed.training.engine import FusedBatchNormalization, fast_twin
from fireweed.training.pointwise import FastSeparableConvolution, PointwiseConvolution

LAYERS = {
    "1x1": lambda dtype: keras.layers.Conv2D(24, 1, activation="relu", dtype=dtype),
    "1x1, no bias": lambda dtype: keras.layers.Conv2D(5, 1, use_bias=False, dtype=dtype),
    "separable": lambda dtype: keras.layers.SeparableConv2D(12, 3, padding="same", activation="relu", dtype=dtype),
    "separable, strided": lambda dtype: keras.layers.SeparableConv2D(
        12, 3, strides=2, depth_multiplier=2, use_bias=False, dtype=dtype
    ),
    "norm": lambda dtype: keras.layers.BatchNormalization(dtype=dtype),
}


def net(name: str, dtype: str) -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((9, 7, 16))
    return keras.Model(inputs, LAYERS[name](dtype)(inputs))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 0.02)])
def test_results_and_gradients_are_those_of_the_plain_layer(monkeypatch, name, dtype, tolerance):
    monkeypatch.setenv("FIREWEED_KERNELS", "none")
    plain = net(name, dtype)
    twin = fast_twin(plain)
    assert isinstance(twin.layers[-1], PointwiseConvolution | FastSeparableConvolution | FusedBatchNormalization)
    x = tf.constant(np.random.default_rng(0).normal(1, 2, (4, 9, 7, 16)).astype(np.float32))
    results = []
    for model in (plain, twin):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(model(x, training=True), tf.float32)
            loss = tf.reduce_sum(y * tf.sin(y))
        weights = [weight.value for weight in model.trainable_weights]
        results.append([y, *tape.gradient(loss, [x, *weights]), *(w.value for w in model.non_trainable_weights)])
    for theirs, ours in zip(*map(list, results), strict=True):
        assert np.abs(np.asarray(ours) - np.asarray(theirs)).max() <= tolerance * np.abs(np.asarray(theirs)).max()


def test_wider_strides_and_groups_stay_keras_own():
    inputs = keras.Input((8, 8, 16))
    for layer in (keras.layers.Conv2D(8, 1, strides=2), keras.layers.Conv2D(8, 1, groups=2)):
        assert type(fast_twin(keras.Model(inputs, layer(inputs))).layers[-1]) is keras.layers.Conv2D
