"""The codelab's nets in plain Keras, written afresh as a newcomer would, without Fireweed."""

import math

import keras
from keras import layers


def build(net: str, side_px: int, classes: int = 5) -> keras.Model:
    """Return the codelab's SqueezeNet or Xception; photos (batch, side, side, 3) in 0..1, as its input gives."""
    return {"squeezenet": squeezenet, "xception": xception}[net](side_px, classes)


def squeezenet(side_px: int, classes: int) -> keras.Model:
    """Return a convolution and five fire modules with max-pools between them; batch norm after each convolution."""

    def conv(x, filters, kernel):
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    def fire(x, squeeze, expand):
        x = conv(x, squeeze, 1)
        return layers.concatenate([conv(x, expand // 2, 1), conv(x, expand // 2, 3)])

    photo = keras.Input((side_px, side_px, 3))
    x = conv(photo, 32, 3)
    for i, (squeeze, expand) in enumerate([(24, 48), (48, 96), (64, 128), (48, 96), (24, 48)]):
        x = fire(layers.MaxPooling2D(2)(x) if i else x, squeeze, expand)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(photo, layers.Dense(classes, activation="softmax")(x))


def xception(side_px: int, classes: int) -> keras.Model:
    """Return keras.applications' Xception, all of it trainable, with random weights and a new classifier."""
    photo = keras.Input((side_px, side_px, 3))
    backbone = keras.applications.Xception(weights=None, include_top=False, input_shape=(side_px, side_px, 3))
    x = layers.GlobalAveragePooling2D()(backbone(layers.Rescaling(2.0, offset=-1.0)(photo)))
    return keras.Model(photo, layers.Dense(classes, activation="softmax")(x))


def multiply_adds(model: keras.Model) -> int:
    """Return the products of convolutions and dense layers for one photo."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer)
        elif isinstance(layer, layers.SeparableConv2D):
            kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
            total += math.prod(layer.output.shape[1:3]) * sum(math.prod(kernel.shape) for kernel in kernels)
        elif isinstance(layer, layers.Conv2D | layers.Dense):
            total += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return total
