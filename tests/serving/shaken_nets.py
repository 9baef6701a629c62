"""Nets whose weights are as training might leave them, and photos for them."""

import keras
import numpy as np
from keras import layers


def shake(model: keras.Model) -> keras.Model:
    """Give norms statistics and factors as training might, some factors below zero, and every bias a value."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = dict(zip((weight.name for weight in layer.weights), layer.get_weights(), strict=True))
        for name, value in values.items():
            if name in ("bias", "beta", "moving_mean"):
                values[name] = rng.normal(0, 0.3, value.shape)
            elif name == "moving_variance":
                values[name] = rng.uniform(0.5, 1.5, value.shape)
            elif name == "gamma":
                values[name] = rng.uniform(0.5, 1.5, value.shape) * np.where(rng.random(value.shape) < 0.1, -1, 1)
        layer.set_weights(list(values.values()))
    return model


def photos(side: int, count: int = 3) -> np.ndarray:
    """Return noise, the first photo dark and the second bright, so that answers differ."""
    noise = np.random.default_rng(side).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    noise[0] //= 8
    noise[1:2] |= 224
    return noise


def norm() -> keras.Layer:
    return layers.BatchNormalization(momentum=0.9)
