"""A net done by the kernels alone answers as the plain one, or is left to TensorFlow."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers
from shaken_nets import norm, photos, shake

from fireweed.bundle import Bundle
from fireweed.kernels import native
from fireweed.models.registry import build_model
from fireweed.serving import direct
from fireweed.serving.direct import direct_answers
from fireweed.serving.predict import predict_arrays

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or native.library() is None,
    reason="the kernels serve TensorFlow, and need a C compiler and a chip they are for",
)


def assert_equal_answers(model: keras.Model) -> None:
    """Compare not the probabilities alone, which may all be nearly the same, but how they differ among photos."""
    given = photos(model.input_shape[1], 5)
    function = direct_answers(model)
    assert function is not None
    plain = np.asarray(model(given.astype(np.float32), training=False), np.float64)
    for _ in range(2):  # memory that served once serves again
        answers = function(given)
        assert np.abs(answers / plain - 1).max() <= 1e-5
    spread = np.ptp(plain, axis=0).max()
    assert spread > 0 and np.abs(answers - plain).max() <= max(1e-2 * spread, 1e-6)


@pytest.mark.parametrize(
    "net", ["squeezenet", "inception", "convnet-1x1", "conv 16 | pool avg | conv 8 1 | flatten | dense 24 | drop 0.2"]
)
def test_nets_answer_as_the_plain_one(net):
    keras.utils.set_random_seed(1)
    assert_equal_answers(shake(build_model(net, 5, 32, dropout=0.2)))


def graph(*stack: keras.Layer) -> keras.Model:
    keras.utils.set_random_seed(2)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax", kernel_initializer="random_normal")]
    return shake(keras.Sequential([keras.Input((13, 13, 3)), *stack, *head]))


def conv(filters: int, kernel: int, **options) -> keras.Layer:
    return layers.Conv2D(filters, kernel, padding="same", **options)


@pytest.mark.parametrize(
    "stack",
    [
        (layers.Rescaling(2 / 255, offset=-1), conv(8, 3, activation="relu"), norm(), norm(), conv(16, 3), norm()),
        (layers.Rescaling([0.01, 0.02, 0.03], [-1, 0, 1]), conv(8, 3, use_bias=False), layers.SpatialDropout2D(0.5)),
        (layers.Rescaling(0.01), layers.Rescaling(0.5, 1), conv(8, 3), layers.MaxPooling2D(3, 2, "same"), norm()),
        (layers.Rescaling(0.01), norm(), conv(8, 3), layers.AveragePooling2D((3, 2), (2, 3), "same"), conv(8, 1)),
        (layers.Rescaling(0.01), conv(8, 3, activation="relu"), layers.MaxPooling2D((3, 2), (1, 2)), conv(24, 1)),
    ],
)  # fmt: skip
def test_every_kind_of_layer_does_as_keras(stack):
    assert_equal_answers(graph(*stack))


def test_what_two_layers_read_stays_until_both_have():
    photo = keras.Input((9, 9, 3))
    first = conv(8, 3, activation="relu")(layers.Rescaling(0.01)(photo))
    second = conv(8, 1)(norm()(first))
    both = layers.Concatenate()([first, norm()(second), conv(8, 3)(conv(8, 1)(second))])
    x = layers.Concatenate()([conv(8, 3)(both), conv(16, 1)(both)])
    answer = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    assert_equal_answers(shake(keras.Model(photo, answer)))


def net(photo: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
    x = layers.GlobalAveragePooling2D()(x)
    return shake(keras.Model(photo, layers.Dense(3, activation="softmax", kernel_initializer="random_normal")(x)))


def drop(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dropout(0.2)(x)


@pytest.mark.parametrize(
    "read",
    [
        lambda x: [norm()(drop(x)), conv(8, 1)(x)],
        lambda x: [norm()(drop(x)), norm()(drop(x))],
        lambda x: [norm()(drop(drop(x))), layers.MaxPooling2D(1)(drop(x))],
    ],
)
def test_a_norm_behind_dropout_leaves_alone_what_others_read(read):
    keras.utils.set_random_seed(3)
    photo = keras.Input((9, 9, 3))
    x = conv(8, 3)(layers.Rescaling(0.01)(photo))
    assert_equal_answers(net(photo, layers.Concatenate()(read(x))))


def test_a_scaling_behind_dropout_leaves_alone_the_photos_that_others_read():
    keras.utils.set_random_seed(3)
    photo = keras.Input((9, 9, 3))
    scaled, otherwise = layers.Rescaling(0.01)(drop(photo)), layers.Rescaling(0.02, -1)(photo)
    assert_equal_answers(net(photo, layers.Concatenate()([conv(8, 3)(scaled), conv(8, 3)(otherwise)])))


def test_photos_go_through_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(direct, "MOST", 2)  # of five: the last goes alone
    assert_equal_answers(shake(build_model("squeezenet", 5, 32)))


def test_layers_called_in_other_graphs_before_are_seen_in_this_one():
    keras.utils.set_random_seed(4)
    stack = (layers.Rescaling(0.01), conv(8, 3), norm(), layers.MaxPooling2D(), norm(), drop, layers.Flatten())
    for side in (6, 13):
        photo = x = keras.Input((side, side, 3))
        for layer in stack:
            x = layer(x)
    assert_equal_answers(shake(keras.Model(photo, layers.Dense(4, activation="softmax")(x))))
    grown = keras.Sequential([keras.Input((13, 13, 3))])
    for layer in (layers.Rescaling(0.01), conv(8, 3), norm(), layers.Flatten(), layers.Dense(4, activation="softmax")):
        grown.add(layer)  # calls all layers anew each time
    assert_equal_answers(shake(grown))


def test_what_the_kernels_cannot_do_is_left_to_tensorflow():
    for stack in (
        (conv(6, 3),),
        (conv(8, 3, strides=2),),
        (conv(8, 3), layers.ReLU()),
        (conv(8, 3, activation="gelu"),),
    ):
        assert direct_answers(graph(layers.Rescaling(0.01), *stack)) is None
    assert direct_answers(build_model("dense", 5, 64)) is None  # its weights are larger than what it reads
    photo = keras.Input((9, 9, 3))
    x = conv(8, 3)(layers.Rescaling(0.01)(photo))
    twice = layers.Concatenate()([x, x])
    assert direct_answers(keras.Model(photo, layers.GlobalAveragePooling2D()(twice))) is None


def test_parts_that_are_no_whole_vectors_are_left_to_tensorflow():
    photo = keras.Input((9, 9, 3))
    x = norm()(layers.Rescaling(0.01)(photo))
    assert direct_answers(net(photo, layers.Concatenate()([x, conv(8, 3)(x)]))) is None
    vectors = [layers.GlobalAveragePooling2D()(part) for part in (x, conv(8, 3)(x))]
    answer = layers.Dense(3, activation="softmax")(layers.Concatenate()(vectors))
    assert_equal_answers(shake(keras.Model(photo, answer)))


def test_layers_that_only_look_like_known_ones_are_left_to_tensorflow():
    class Doubled(layers.Dropout):
        def call(self, inputs, training=False):
            return 2 * inputs

    def relu(x):
        return keras.ops.minimum(x, 1)

    stack = (layers.Rescaling(0.01), conv(8, 3))
    assert direct_answers(graph(*stack, Doubled(0.5))) is None
    head = [layers.Flatten(), layers.Dense(4, activation=relu), layers.Dense(4, activation="softmax")]
    assert direct_answers(keras.Sequential([keras.Input((9, 9, 3)), layers.Rescaling(0.01), *head])) is None
    quantized, adapted = graph(*stack), graph(*stack)
    quantized.layers[-1].quantize("int8")
    adapted.layers[-1].enable_lora(2)
    assert direct_answers(quantized) is None and direct_answers(adapted) is None


def test_answers_of_a_bundle_come_without_tensorflow(monkeypatch):
    model = shake(build_model("squeezenet", 3, 32))
    bundle = Bundle(model, ("a", "b", "c"), 32, "crop", {})
    given = photos(32, 7)
    expected = model.predict(given.astype(np.float32), verbose=0)
    monkeypatch.setattr(type(model), "__call__", None)
    for batch_size in (1, 4, 32):
        assert np.abs(predict_arrays(bundle, given, batch_size) / expected - 1).max() <= 1e-5
    with ThreadPoolExecutor(4) as pool:  # as a server may ask
        for answers in pool.map(lambda _: predict_arrays(bundle, given), range(8)):
            assert np.abs(answers / expected - 1).max() <= 1e-5


def test_a_program_goes_with_its_model():
    model = build_model("squeezenet", 3, 32)
    predict_arrays(Bundle(model, ("a", "b", "c"), 32, "crop", {}), photos(32))
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_memory_serves_layer_after_layer(monkeypatch):
    taken = []
    monkeypatch.setattr(native, "empty", lambda shape: taken.append(np.empty(shape, np.float32)) or taken[-1])
    monkeypatch.setattr(direct, "LARGEST", 2 * 96 * 96 * 48)
    assert direct_answers(build_model("squeezenet", 5, 96)) is not None
    largest = 2 * 96 * 96 * 48
    assert largest <= sum(array.size for array in taken) < 3 * largest
