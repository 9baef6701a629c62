"""The net with no convolution at all: what a beginner builds first, and what the others are measured against."""

import keras
from keras import layers

from fireweed.models.blocks import classes_layer, photo_input, scaling


def dense(classes: int, side: int, dropout: float = 0.0) -> keras.Model:
    """Build Flatten, Dense 500, Dense 50, softmax: every neuron sees every pixel."""
    return keras.Sequential(
        [
            photo_input(side),
            scaling(),
            layers.Flatten(name="flatten"),
            layers.Dense(500, activation="relu", name="dense1"),
            layers.Dense(50, activation="relu", name="dense2"),
            *([layers.Dropout(dropout, name="dropout")] if dropout else []),
            classes_layer(classes),
        ],
        name="dense",
    )
