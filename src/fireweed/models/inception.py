"""A net of branching modules: 1x1 beside 3x3, concatenated, so that training decides which of them matters."""

import keras

from fireweed.models.blocks import classify, conv, gap, inception, photo_input, pool, scaling


def inception_net(classes: int, side: int | None, dropout: float = 0.0) -> keras.Model:
    """Build a convolution, five inception modules with pooling between them, and a classifier."""
    photo = photo_input(side)
    x = conv(scaling()(photo), 32, name="conv1")
    x = inception(x, 16, 16, name="inception1")
    x = pool(x, name="pool1")
    x = inception(x, 24, 24, name="inception2")
    x = pool(x, name="pool2")
    x = inception(x, 32, 32, name="inception3")
    x = pool(x, name="pool3")
    x = inception(x, 48, 48, name="inception4")
    x = pool(x, name="pool4")
    x = inception(x, 64, 64, name="inception5")
    return keras.Model(photo, classify(gap(x), classes, dropout), name="inception")
