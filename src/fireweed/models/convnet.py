"""The codelab's two plain convnets: layers in a row, no branches, no norm.

The one of its notebook, with 293,233 parameters for 5 classes, is a line of text: ``norm none |
conv 16 | conv 30 | pool | conv 60 | pool | conv 90 | pool | conv 110 | pool | conv 130 | conv 40 1 | gap``.
"""

import keras
from keras import layers

from fireweed.models.blocks import classes_layer, photo_input, scaling


def convnet(classes: int, side: int, dropout: float = 0.0) -> keras.Model:
    """Build 3x3 convolutions whose filters grow fewer (24, 24, 12, 6) as max-pooling makes the picture smaller."""
    stack = [
        _conv(24, 3, "conv1"),
        _conv(24, 3, "conv2"),
        layers.MaxPooling2D(2, name="pool1"),
        _conv(12, 3, "conv3"),
        layers.MaxPooling2D(2, name="pool2"),
        _conv(6, 3, "conv4"),
    ]
    return _classifier("convnet", stack, classes, side, dropout)


def convnet_1x1(classes: int, side: int, dropout: float = 0.0) -> keras.Model:
    """Build pairs of a 3x3 convolution and a 1x1 that mixes its channels: four pairs of 32 filters, then 16 and 8."""
    stack: list[keras.Layer] = []
    for pair in range(1, 5):
        stack += [_conv(32, 3, f"conv{pair}_3x3"), _conv(32, 1, f"conv{pair}_1x1")]
        stack += [layers.MaxPooling2D(2, name=f"pool{pair}")]
    stack += [_conv(16, 3, "conv5_3x3"), _conv(8, 1, "conv5_1x1")]
    return _classifier("convnet-1x1", stack, classes, side, dropout)


def _conv(filters: int, kernel: int, name: str) -> keras.Layer:
    return layers.Conv2D(filters, kernel, padding="same", activation="relu", name=name)


def _classifier(name: str, stack: list[keras.Layer], classes: int, side: int, dropout: float) -> keras.Model:
    drop = [layers.Dropout(dropout, name="dropout")] if dropout else []
    head = [layers.Flatten(name="flatten"), *drop, classes_layer(classes)]
    return keras.Sequential([photo_input(side), scaling(), *stack, *head], name=name)
