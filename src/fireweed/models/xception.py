"""A small net of separable convolutions with shortcuts, to train from scratch: Xception's idea at a learner's size."""

import keras
from keras import layers

from fireweed.models.blocks import (
    NORM_MOMENTUM,
    Tensor,
    classify,
    conv,
    gap,
    norm,
    photo_input,
    scaling,
    separable_conv,
)


def separable(classes: int, side: int | None, dropout: float = 0.0) -> keras.Model:
    """Build a convolution, three blocks that halve the picture, two that keep it, and a classifier.

    Each block adds what it found to what it was given (after Chollet, arXiv 1610.02357, figure 5).
    """
    photo = photo_input(side)
    x = conv(scaling()(photo), 32, stride=2, name="conv1")
    x = _halving_block(x, 64, name="block1")
    x = _halving_block(x, 128, name="block2")
    x = _halving_block(x, 256, name="block3")
    x = _keeping_block(x, 256, name="block4")
    x = _keeping_block(x, 256, name="block5")
    return keras.Model(photo, classify(gap(x), classes, dropout), name="separable")


def _halving_block(x: Tensor, filters: int, name: str) -> Tensor:
    shortcut = layers.Conv2D(filters, 1, strides=2, padding="same", name=f"{name}_shortcut")(x)
    shortcut = norm(shortcut, NORM_MOMENTUM, f"{name}_shortcut_norm")
    x = separable_conv(x, filters, name=f"{name}_sep1")
    x = separable_conv(x, filters, name=f"{name}_sep2")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return layers.Add(name=name)([x, shortcut])


def _keeping_block(x: Tensor, filters: int, name: str) -> Tensor:
    shortcut = x
    x = separable_conv(x, filters, name=f"{name}_sep1")
    x = separable_conv(x, filters, name=f"{name}_sep2")
    return layers.Add(name=name)([x, shortcut])
