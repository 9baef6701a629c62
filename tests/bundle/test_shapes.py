"""The shapes worked out on paper are Keras's own."""

import itertools
import json

import keras
import pytest
from keras.src.applications.convnext import LayerScale

from fireweed.bundle.config import checked_net
from fireweed.bundle.shapes import outline

L = keras.layers


def outline_of(model):
    return outline(checked_net(json.loads(model.to_json())))


def as_in_files(model):
    """Return the shapes of the model's variables in order; files keep them by layer."""
    return sorted(tuple(weight.shape) for weight in model.weights)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("layer", [L.Conv2D, L.SeparableConv2D, L.DepthwiseConv2D, L.MaxPooling2D, L.AveragePooling2D])
def test_windows_leave_what_they_leave_in_keras(layer, padding):
    for size, stride, dilation, side in itertools.product((1, 2, 3, 5), (1, 2, 3), (1, 2), (7, 8, 9, 15)):
        if dilation > 1 and (stride > 1 or "Pooling" in layer.__name__):
            continue
        more = {"filters": 6} if layer in (L.Conv2D, L.SeparableConv2D) else {}
        more |= {} if "Pooling" in layer.__name__ else {"dilation_rate": dilation}
        if side - dilation * (size - 1) < 1:
            continue
        made = layer(*([size] if not more.get("filters") else [6, size]), strides=stride, padding=padding,
                     **{k: v for k, v in more.items() if k != "filters"})  # fmt: skip
        model = keras.Sequential([keras.Input((side, side + 3, 4)), made])
        implied = outline_of(model)
        assert (None, *implied.output_shape) == model.output_shape, (size, stride, dilation, side)
        assert sorted(v.shape for v in implied.variables.values()) == as_in_files(model)


def every_layer(photo):
    x = L.Rescaling([1 / 255, 1 / 254, 1 / 253], offset=-1.0)(photo)
    x = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    x = L.Normalization()(x)
    x = L.Conv2D(8, (3, 2), strides=2, padding="same", activation="gelu", use_bias=False)(x)
    x = L.BatchNormalization(scale=False)(x)
    x = L.ReLU(6.0)(x)
    y = L.Conv2D(8, 3, padding="same", groups=4)(x)
    y = L.LayerNormalization(epsilon=1e-6, center=False)(y)
    y = LayerScale(1e-6, 8)(y)
    y = L.Activation("silu")(y)
    x = x + y
    x = L.Add()([x, y])
    z = L.GlobalMaxPooling2D(keepdims=True)(x)
    z = L.Dense(8, activation="sigmoid")(z)
    x = L.Multiply()([z, x])
    x = L.ZeroPadding2D(((0, 1), (2, 3)))(x)
    x = keras.Sequential([L.DepthwiseConv2D(3, depth_multiplier=2), L.BatchNormalization()])(x)
    x = keras.Sequential([keras.Input(x.shape[1:]), L.SeparableConv2D(6, 3, depth_multiplier=2)])(x)
    x = L.Concatenate()([x, L.SpatialDropout2D(0.1)(x)])
    x = L.Dropout(0.5, noise_shape=(None, 1, 1, 1))(x)
    x = L.AveragePooling2D(2, padding="same")(x)
    x = L.Reshape((-1, 6, 2))(x)
    x = L.Flatten()(x)
    x = L.Reshape((2, 3, -1))(x)
    x = L.GlobalAveragePooling2D()(x)
    x = L.Dense(5, use_bias=False)(x)
    return L.Softmax()(x)


def test_every_layer_on_the_list_is_understood(tmp_path):
    photo = keras.Input((16, 20, 3))
    model = keras.Model(photo, every_layer(photo))
    implied = outline_of(model)
    assert implied.output_shape == (5,) and implied.input_shape == (16, 20, 3)
    assert sorted(v.shape for v in implied.variables.values()) == as_in_files(model)
    assert implied.parameters == model.count_params()


def test_a_model_inside_the_net_is_opened():
    inner_in = keras.Input((None, None, 3))
    inner = keras.Model(inner_in, L.BatchNormalization()(L.Conv2D(4, 3, strides=2)(inner_in)), name="backbone")
    photo = keras.Input((9, 9, 3))
    model = keras.Model(photo, L.Dense(2)(L.Flatten()(inner(photo, training=False))))
    implied = outline_of(model)
    assert implied.parameters == model.count_params()
    assert "layers/functional/layers/conv2d/vars/0" in implied.variables
