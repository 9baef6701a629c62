"""The pieces that the nets are made of: convolution with norm, fire module, inception module, separable convolution.

Each takes a Keras tensor of shape (batch, height, width, channels) and returns one, as the codelab's functional style
does. Relu comes before the norm and convolutions keep their bias, as there. Every layer is given its name, so that
variables are called the same in every process, whatever was built before.
"""

from typing import Any

import keras
from keras import layers

Tensor = Any  # keras.KerasTensor

NORM_MOMENTUM = 0.9
"""The codelab's: with a few thousand photos an epoch is too short for the usual 0.99 to follow."""


def photo_input(side: int | None) -> Tensor:
    """Return the input of every net: photos of shape (batch, side, side, 3), RGB 0..255, any side when None."""
    return keras.Input((side, side, 3), name="photo")


def scaling(low: float = 0.0, high: float = 1.0) -> keras.Layer:
    """Return the layer that maps 0..255 to low..high; in float32, since half precision cannot tell 250.2 from 250.9."""
    return layers.Rescaling((high - low) / 255.0, offset=low, dtype="float32", name="scaling")


def norm(x: Tensor, momentum: float | None, name: str) -> Tensor:
    """Apply batch norm, or nothing where `momentum` is None."""
    return x if momentum is None else layers.BatchNormalization(momentum=momentum, name=name)(x)


def conv(
    x: Tensor, filters: int, kernel: int = 3, stride: int = 1, *, name: str, momentum: float | None = NORM_MOMENTUM
) -> Tensor:
    """Apply a convolution, relu, norm."""
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", activation="relu", name=name)(x)
    return norm(x, momentum, f"{name}_norm")


def separable_conv(
    x: Tensor, filters: int, kernel: int = 3, stride: int = 1, *, name: str, momentum: float | None = NORM_MOMENTUM
) -> Tensor:
    """Apply one filter to each channel alone, then mix the channels by 1x1; relu, norm (Chollet, arXiv 1610.02357)."""
    x = layers.SeparableConv2D(filters, kernel, strides=stride, padding="same", activation="relu", name=name)(x)
    return norm(x, momentum, f"{name}_norm")


def fire(x: Tensor, squeeze: int, expand: int, *, name: str, momentum: float | None = NORM_MOMENTUM) -> Tensor:
    """Squeeze the channels by 1x1, then expand: half by 1x1 beside half by 3x3 (Iandola et al., arXiv 1602.07360)."""
    x = conv(x, squeeze, 1, name=f"{name}_squeeze", momentum=momentum)
    y1 = conv(x, expand // 2, 1, name=f"{name}_expand1x1", momentum=momentum)
    y3 = conv(x, expand // 2, 3, name=f"{name}_expand3x3", momentum=momentum)
    return layers.Concatenate(name=name)([y1, y3])


def inception(x: Tensor, by_1x1: int, by_3x3: int, *, name: str, momentum: float | None = NORM_MOMENTUM) -> Tensor:
    """Let 1x1 and 3x3 filters see the same input side by side (after Szegedy et al., arXiv 1409.4842)."""
    y1 = conv(x, by_1x1, 1, name=f"{name}_1x1", momentum=momentum)
    y3 = conv(x, by_3x3, 3, name=f"{name}_3x3", momentum=momentum)
    return layers.Concatenate(name=name)([y1, y3])


def pool(x: Tensor, kind: str = "max", *, name: str) -> Tensor:
    """Halve height and width: the largest ("max") or the mean ("avg") of each 2 x 2."""
    pooling = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return pooling(2, name=name)(x)


def gap(x: Tensor, *, name: str = "gap") -> Tensor:
    """Average each channel over the whole picture: (batch, height, width, channels) to (batch, channels)."""
    return layers.GlobalAveragePooling2D(name=name)(x)


def classes_layer(classes: int) -> keras.Layer:
    """Return the last layer of every net: a probability for each class, in float32 under every precision policy."""
    return layers.Dense(classes, activation="softmax", dtype="float32", name="classes")


def classify(x: Tensor, classes: int, dropout: float = 0.0) -> Tensor:
    """Turn features (batch, channels) into probabilities (batch, classes)."""
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    return classes_layer(classes)(x)
