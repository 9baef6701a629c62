"""Norm statistics computed anew for the weights that are kept, from photos as evaluation sees them."""

from collections.abc import Iterable

import keras
import numpy as np


def has_moving_statistics(model: keras.Model) -> bool:
    """Return whether the model has batch norms that learn; those of a frozen part keep what they have."""
    return bool(_norms(model))


def recompute_norms(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Set each batch norm's moving mean and variance to the mean of what the batches give, all weights staying.

    Training moves the statistics along while weights change, and takes them from photos that are cropped at random; the
    weights that are kept are an average that was never trained with, and see whole photos (Izmailov et al. 2018,
    https://arxiv.org/abs/1803.05407, section 3.2; Touvron et al. 2019, https://arxiv.org/abs/1906.06423, section 4).

    model:   its drop-outs are off meanwhile.
    batches: photos as the model takes them, (batch, side, side, 3); equally many in each, so that all count alike.
    """
    norms = _norms(model)
    dropouts = [(layer, layer.rate) for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    momenta = [norm.momentum for norm in norms]
    try:
        for layer, _ in dropouts:
            layer.rate = 0.0
        for seen, batch in enumerate(batches):
            for norm in norms:
                norm.momentum = seen / (
                    seen + 1
                )  # so that moving <- moving * momentum + new * (1 - momentum) is a mean
            model(keras.ops.convert_to_tensor(batch), training=True)
    finally:
        for layer, rate in dropouts:
            layer.rate = rate
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
