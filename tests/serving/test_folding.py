"""A folded net answers as the plain one: every net there is, whatever its norms hold, and every way a map can go."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers
from shaken_nets import norm, photos, shake

from fireweed.bundle import Bundle
from fireweed.kernels import native
from fireweed.models.registry import ENTRIES, build_model
from fireweed.serving import answering, folding
from fireweed.serving.folding import folded_answers
from fireweed.serving.predict import predict_arrays

LINES = [
    "conv 8 | sep 8 | pool avg | conv 8 1 | gap | drop 0.3 | dense 7",
    "conv 9 2 /2 | sep 8 5 /2 | inception 4 4 | pool | flatten | dense 32",
]
FOLDED = [name for name in ENTRIES if name != "convnext-tiny"]  # it has layer norms only

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="folding is for TensorFlow")


def assert_equal_answers(model: keras.Model) -> None:
    """Compare not the probabilities alone, which may all be nearly the same, but how they differ among photos."""
    given = photos(model.input_shape[1])
    function = folded_answers(model)
    assert function is not None
    plain = np.asarray(model(given.astype(np.float32), training=False), np.float64)
    answers = np.asarray(function(given))
    assert np.abs(answers / plain - 1).max() <= 1e-4
    spread = np.ptp(plain, axis=0).max()
    assert spread > 0 and np.abs(answers - plain).max() <= max(1e-2 * spread, 1e-6)


@pytest.mark.parametrize("net", [*FOLDED, *LINES])
def test_every_net_answers_as_the_plain_one(net):
    keras.utils.set_random_seed(1)
    side = max(32, ENTRIES[net].min_side_px if net in ENTRIES else 0)
    assert_equal_answers(shake(build_model(net, 5, side, dropout=0.2)))


def graph(*stack: keras.Layer) -> keras.Model:
    keras.utils.set_random_seed(2)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax", kernel_initializer="random_normal")]
    return shake(keras.Sequential([keras.Input((13, 13, 3)), layers.Rescaling(2 / 255, offset=-1), *stack, *head]))


def conv(filters: int, kernel: int, **options) -> keras.Layer:
    return layers.Conv2D(filters, kernel, **options)


class Doubled(layers.Dropout):
    """What is drop-out by its kind, and something else by what it does."""

    def call(self, inputs, training=False):
        return 2 * inputs


class Squared(layers.AveragePooling2D):
    """Pooling that no map can wait through."""

    def call(self, inputs):
        return keras.ops.square(super().call(inputs))


@pytest.mark.parametrize(
    "stack",
    [
        (conv(6, 3, padding="same"), norm(), layers.ReLU()),
        (conv(6, 3, use_bias=False), norm(), norm(), layers.ReLU(), norm(), conv(5, 3, dilation_rate=2)),
        (conv(6, 3, activation="relu"), norm(), conv(6, 3, strides=2, activation="relu"), norm()),
        (conv(6, 3, activation="relu"), norm(), conv(6, 1, padding="same", strides=2), layers.ReLU()),
        (conv(6, 3, activation="relu"), norm(), layers.DepthwiseConv2D(3, depth_multiplier=2), norm(), layers.ReLU()),
        (conv(6, 3, activation="relu"), norm(), layers.SeparableConv2D(5, 3, depth_multiplier=2), norm()),
        (conv(6, 3, activation="relu"), norm(), layers.DepthwiseConv2D(3, padding="same"), norm(), layers.ReLU()),
        (conv(6, 3, activation="relu"), norm(), conv(6, 3, groups=2), norm(), layers.ReLU()),
        (conv(6, 3, activation="relu"), norm(), layers.MaxPooling2D(3, 2, "same"), norm(), conv(4, 1)),
        (conv(6, 3, activation="relu"), norm(), layers.AveragePooling2D(3, 2, "same"), layers.Dense(4)),
        (conv(6, 3, activation="relu"), norm(), layers.ZeroPadding2D(1), layers.SpatialDropout2D(0.5), conv(4, 1)),
        (norm(), layers.UpSampling2D(2), layers.LayerNormalization(), norm()),
        (conv(6, 3), layers.Rescaling(0.5, np.arange(11)[:, None, None] / 10), norm(), layers.ReLU()),
        (conv(6, 3, activation="relu"), norm(), Doubled(0.5), norm(), Squared(2), conv(4, 1)),
    ],
)
def test_maps_go_only_where_they_may(stack):
    assert_equal_answers(graph(*stack))


def test_a_convolution_that_two_layers_use_keeps_its_weights():
    keras.utils.set_random_seed(3)
    photo = keras.Input((9, 9, 3))
    x = layers.Conv2D(4, 3)(photo)
    both = layers.Concatenate()([layers.Add()([norm()(x), x]), norm()(layers.ReLU()(x)), layers.ReLU()(x)])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, activation="relu")(both))
    assert_equal_answers(shake(keras.Model(photo, layers.Softmax()(layers.Rescaling(0.01)(x)))))


def test_norms_leave_the_graph_where_they_fold(monkeypatch):
    """MobileNet's norms all follow a linear layer; the codelab's net keeps five, each before a padded 3x3."""

    monkeypatch.setattr(native, "library", lambda: None)

    def maps_and_variables(name: str) -> tuple[int, int]:
        model = build_model(name, 5, 32)
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.moving_mean.assign(np.ones(layer.moving_mean.shape))
        kinds = [node.type for node in folded_answers(model).graph.get_operations()]
        shortcuts = sum(isinstance(layer, layers.Add) for layer in model.layers)
        return kinds.count("AddV2") - shortcuts, kinds.count("ReadVariableOp")

    assert maps_and_variables("mobilenetv2") == (1, 0)  # its scaling to -1..1 stands before a padded 3x3
    assert maps_and_variables("squeezenet") == (5, 0)


@pytest.mark.skipif(native.library() is None, reason="no compiled kernels: no C compiler, or another chip")
def test_the_kernels_do_the_convolutions_they_fit():
    kinds = [node.type for node in folded_answers(build_model("squeezenet", 5, 32)).graph.get_operations()]
    assert kinds.count("PyFuncStateless") == 16 and "Conv2D" not in kinds  # new norms have no offset, and all fold


@pytest.mark.parametrize("name", ["separable", "squeezenet", "mobilenetv2"])
def test_a_net_in_bfloat16_answers_as_it_does_in_keras_within_what_that_rounds(name):
    keras.utils.set_random_seed(1)
    exact = shake(build_model(name, 5, 48))
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        half = build_model(name, 5, 48)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    half.set_weights(exact.get_weights())
    photos = np.random.default_rng(2).integers(0, 256, (8, 48, 48, 3), np.uint8)
    wanted = np.asarray(exact(photos, training=False))
    folded, plain = (np.asarray(answer, np.float32) for answer in (folded_answers(half)(photos), half(photos)))
    assert folded.dtype == np.float32
    assert np.abs(folded - wanted).max() < 2 * max(np.abs(plain - wanted).max(), 0.004)


def test_what_cannot_be_folded_is_left_to_keras():
    half = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, dtype="mixed_float16"), norm()])
    first = layers.Conv2D(2, 8, data_format="channels_first")
    shared = layers.Conv2D(3, 3, padding="same")
    photo = keras.Input((8, 8, 3))
    twice = keras.Model(photo, norm()(shared(shared(photo))))
    turned = keras.Sequential([keras.Input((3, 8, 8)), layers.Rescaling(0.1), first])
    unbuilt = keras.Sequential([norm()])
    for model in (half, turned, twice, unbuilt, build_model("convnext-tiny", 2, 32)):
        assert folded_answers(model) is None


def test_layers_with_other_weights_than_their_kind_are_left_to_keras():
    quantized, adapted = graph(conv(6, 3), norm()), graph(conv(6, 3), norm())
    quantized.layers[-1].quantize("int8")
    adapted.layers[-1].enable_lora(2)
    assert folded_answers(quantized) is None and folded_answers(adapted) is None


def test_layers_that_take_or_give_more_than_a_tensor_each_are_left_to_keras():
    class Halves(layers.Layer):
        def call(self, inputs):
            return keras.ops.split(inputs, 2, axis=-1)

    photo = keras.Input((8, 8, 3))
    first, second = Halves()(norm()(conv(4, 3)(photo)))
    assert folded_answers(keras.Model(photo, layers.Add()([first, second]))) is None
    raised = layers.Add()([norm()(photo), keras.ops.ones((1, 8, 8, 3))])
    assert folded_answers(keras.Model(photo, raised)) is None


def test_layers_called_in_other_graphs_before_are_seen_in_this_one():
    keras.utils.set_random_seed(4)
    stack = (conv(6, 3, activation="relu"), norm(), layers.MaxPooling2D(), layers.Dropout(0.2), layers.Flatten())
    for side in (6, 13):
        photo = x = keras.Input((side, side, 3))
        for layer in (layers.Rescaling(0.01), *stack):
            x = layer(x)
    assert_equal_answers(shake(keras.Model(photo, layers.Dense(4, activation="softmax")(x))))


def test_a_layer_too_large_for_a_constant_keeps_its_variable(monkeypatch):
    monkeypatch.setattr(folding, "MOST_CONSTANTS", 100)
    assert_equal_answers(shake(build_model(LINES[1], 3, 20)))


def test_answers_come_from_the_folded_net_and_it_goes_with_its_model(monkeypatch):
    monkeypatch.setattr(answering, "_direct", lambda model: None)
    model = shake(build_model("squeezenet", 3, 32))
    bundle = Bundle(model, ("a", "b", "c"), 32, "crop", {})
    expected = model.predict(photos(32, 7).astype(np.float32), verbose=0)
    monkeypatch.setattr(type(model), "predict_on_batch", None)
    for batch_size in (1, 4, 32):
        assert np.abs(predict_arrays(bundle, photos(32, 7), batch_size) / expected - 1).max() <= 1e-4
    gone = weakref.ref(model)
    del model, bundle
    gc.collect()
    assert gone() is None
