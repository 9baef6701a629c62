"""Nets whose convolutions, relus and norms run as one operation train like the plain ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fireweed.kernels import native
from fireweed.models.registry import build_model
from fireweed.training.engine import FusedBatchNormalization, fast_twin
from fireweed.training.merging import MergedConcatenation, MergedNormalization, find_merges

pytestmark = pytest.mark.skipif(native.library() is None, reason="no compiled kernels: no C compiler, or another chip")

NET = "conv 16 | fire 8 16 | pool | fire 16 48 | inception 8 16 | pool | conv 24 | gap"


def test_what_fits_is_merged_and_the_rest_is_not():
    twin = fast_twin(build_model(NET, 3, None))
    merged = [layer.name for layer in twin.layers if isinstance(layer, MergedConcatenation | MergedNormalization)]
    assert merged == ["conv1_norm", "fire1_squeeze_norm", "fire1", "fire2_squeeze_norm", "fire2", "inception1",
                      "conv2_norm"]  # fmt: skip
    assert not find_merges(build_model("conv 12 | gap", 3, None)), "12 channels are no whole vectors"
    assert not find_merges(build_model("conv 16 3 /2 | gap", 3, None)), "strides are left to oneDNN"
    assert not find_merges(build_model("norm none | conv 16 | gap", 3, None))


def test_nothing_that_is_seen_from_outside_is_merged():
    photo = keras.Input((None, None, 3))
    inner = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="inner")(photo)
    norm = keras.layers.BatchNormalization(name="norm")(inner)
    assert len(find_merges(keras.Model(photo, norm))) == 1
    assert not find_merges(keras.Model(photo, [inner, norm]))
    twice = keras.layers.Conv2D(8, 3, padding="same", name="twice")
    assert not find_merges(keras.Model(photo, keras.layers.BatchNormalization()(twice(keras.layers.Conv2D(8, 1)(
        twice(keras.layers.Conv2D(8, 1)(photo)))))))  # fmt: skip


def test_steps_that_xla_compiles_call_no_kernels():
    twin = fast_twin(build_model("conv 8 | gap", 3, None), "xla")
    assert not any(isinstance(layer, MergedNormalization) for layer in twin.layers)
    twin.compile("sgd", "categorical_crossentropy", jit_compile=True)
    twin.train_on_batch(np.zeros((2, 8, 8, 3)), np.eye(3, dtype=np.float32)[:2])


def test_the_twin_has_the_plain_nets_variables_in_the_same_order(monkeypatch):
    plain = build_model(NET, 3, None)
    merged = fast_twin(plain)
    monkeypatch.setattr(native, "library", lambda: None)
    fused = fast_twin(plain)
    assert any(isinstance(layer, FusedBatchNormalization) for layer in fused.layers)
    for twin in (merged, fused):
        assert [w.path for w in twin.weights] == [w.path for w in plain.weights]
        assert [w.path for w in twin.trainable_weights] == [w.path for w in plain.trainable_weights]
        assert all(np.array_equal(a, b) for a, b in zip(twin.weights, plain.weights, strict=True))


def step(
    model: keras.Model, photos: np.ndarray, targets: np.ndarray
) -> tuple[float, list[np.ndarray], list[np.ndarray]]:
    @tf.function
    def run() -> tuple:
        with tf.GradientTape() as tape:
            answers = model(photos, training=True)
            loss = -tf.reduce_mean(tf.reduce_sum(targets * tf.math.log(answers), axis=-1))
        return loss, tape.gradient(loss, model.trainable_variables)

    loss, gradients = run()
    statistics = [np.asarray(w, np.float64) for w in model.non_trainable_weights]
    return float(loss), [np.asarray(g, np.float64) for g in gradients], statistics


def distance(ours: list[np.ndarray], exact: list[np.ndarray]) -> float:
    errors = sum(float(((a - b) ** 2).sum()) for a, b in zip(ours, exact, strict=True))
    return (errors / sum(float((b**2).sum()) for b in exact)) ** 0.5


def test_a_step_is_as_near_to_float64_as_the_plain_nets():
    keras.utils.set_random_seed(3)
    plain = build_model(NET, 3, None)
    twin = fast_twin(plain)
    exact = keras.models.clone_model(
        plain, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "dtype": "float64"})
    )
    for ours, theirs in zip(exact.weights, plain.weights, strict=True):
        ours.assign(np.asarray(theirs, np.float64))
    photos = np.random.default_rng(0).integers(0, 256, (8, 37, 29, 3)).astype(np.float32)
    targets = np.eye(3)[np.arange(8) % 3]
    loss, gradients, statistics = step(exact, photos.astype(np.float64), targets)
    ours = step(twin, photos, targets.astype(np.float32))
    theirs = step(plain, photos, targets.astype(np.float32))
    assert abs(ours[0] / loss - 1) < 1e-4
    assert all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(ours[2], statistics, strict=True))
    assert distance(ours[1], gradients) <= max(1.5 * distance(theirs[1], gradients), 1e-4)


def test_the_gradient_of_photos_is_right_where_it_is_asked_for():
    keras.utils.set_random_seed(5)
    plain = build_model("conv 16 | gap", 3, None)
    photos = tf.constant(np.random.default_rng(0).integers(0, 256, (4, 9, 11, 3)).astype(np.float32))
    gradients = []
    for model in (plain, fast_twin(plain)):
        with tf.GradientTape() as tape:
            tape.watch(photos)
            loss = tf.reduce_sum(model(photos, training=True)[:, 0] ** 2)
        gradients.append(np.asarray(tape.gradient(loss, photos)))
    assert np.abs(gradients[0]).max() > 0
    assert np.abs(gradients[0] - gradients[1]).max() <= 1e-4 * np.abs(gradients[0]).max()


def test_training_goes_the_plain_nets_way():
    keras.utils.set_random_seed(4)
    plain = build_model(NET, 3, None)
    twin = fast_twin(plain)
    photos = np.random.default_rng(1).integers(0, 256, (12, 24, 24, 3)).astype(np.uint8)
    photos[np.arange(12) % 3 == 0] //= 3
    targets = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    losses = []
    for model in (plain, twin):
        model.compile(keras.optimizers.SGD(0.02), "categorical_crossentropy", jit_compile=False)
        losses.append([float(model.train_on_batch(photos, targets)) for _ in range(6)])
    assert np.allclose(losses[0][:2], losses[1][:2], rtol=2e-3), "later steps differ by what rounding grows to"
    assert np.allclose(losses[0], losses[1], rtol=5e-2)
    assert losses[1][-1] < losses[1][0] / 2


def test_frozen_layers_and_other_policies_are_left_alone():
    frozen = build_model(NET, 3, None)
    for layer in frozen.layers[:6]:
        layer.trainable = False
    names = {name for merge in find_merges(frozen) for pair in merge.pairs for name in pair}
    assert names and not names & {layer.name for layer in frozen.layers[:6]}
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        assert not find_merges(build_model(NET, 3, None))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
