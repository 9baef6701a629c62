"""A moving average of weights and norm statistics, used for validation and kept in the bundle.

Keras's own `use_ema` leaves the norm statistics out and overwrites the weights when `fit` ends.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np

from fireweed.training.holding import values_now


class Averaging(keras.callbacks.Callback):
    """Keep average <- average + (1 - decay) * (weights - average), every few steps; validate with the average.

    In the first updates the decay is at most (1 + updates) / (10 + updates), so that the random start is soon
    forgotten (as in TensorFlow's ExponentialMovingAverage with num_updates).

    decay: 0..1 of one update; 0 keeps no average: the weights are their own average.
    every: steps between two updates.
    """

    def __init__(self, decay: float, every: int) -> None:
        super().__init__()
        self.decay = decay
        self.every = every
        self.updates = 0
        self.steps = 0
        self._average: list[Any] = []
        self._weights: list[Any] = []

    @property
    def is_on(self) -> bool:
        return self.decay > 0

    def values(self) -> list[Any]:
        """Return the average of each of the model's weights, in the order of `model.weights`."""
        return self._average if self.is_on else values_now(self.model, self.model.weights)

    def trained_values(self) -> list[Any]:
        """Return the weights as the training has them, also while the average is in their place."""
        return self._weights or values_now(self.model, self.model.weights)

    def start(self, model: keras.Model) -> None:
        """Begin with the weights as they are."""
        self.set_model(model)
        if self.is_on:
            self._average = [keras.ops.copy(variable.value) for variable in model.weights]

    def restore(self, model: keras.Model, values: list[Any], updates: int, steps: int) -> None:
        """Go on from what a checkpoint holds; the weights of `model` are then the average too.

        Raises:
            ValueError: it holds the average of another net.
        """
        if [np.shape(value) for value in values] != [tuple(variable.shape) for variable in model.weights]:
            raise ValueError("the average is of another net")
        for variable, value in zip(model.weights, values, strict=True):
            variable.assign(value)  # which puts it where the model lies, on however many devices
        self.start(model)
        self.updates, self.steps = updates, steps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps += 1
        if self.is_on and self.steps % self.every == 0:
            share = 1.0 - min(self.decay, (1 + self.updates) / (10 + self.updates))
            current = values_now(self.model, self.model.weights)
            self._average = _mover()(self._average, current, np.float32(share))
            self.updates += 1

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Put the average in place of the weights for a validation."""
        if self.is_on:
            self._weights = [keras.ops.copy(variable.value) for variable in self.model.weights]
            self.put_in(self.model)

    def on_test_end(self, logs: dict | None = None) -> None:
        if self._weights:
            for variable, value in zip(self.model.weights, self._weights, strict=True):
                variable.assign(value)
            self._weights = []

    def put_in(self, model: keras.Model) -> None:
        """Assign the average to the weights of `model`, which has the same ones in the same order."""
        for variable, value in zip(model.weights, self.values(), strict=True):
            variable.assign(keras.ops.copy(value))  # JAX's steps give away the arrays that variables hold


def _moved(averages: list[Any], values: list[Any], share: Any) -> list[Any]:
    return [
        average + (value - average) * keras.ops.cast(share, average.dtype)
        if keras.backend.is_float_dtype(keras.backend.standardize_dtype(average.dtype))
        else keras.ops.copy(value)
        for average, value in zip(averages, values, strict=True)
    ]


@cache
def _mover() -> Callable[[list[Any], list[Any], Any], list[Any]]:
    """Return what moves averages: on JAX one compiled call that reuses their memory, not three calls a weight."""
    if keras.backend.backend() != "jax":
        return _moved
    import jax

    return jax.jit(_moved, donate_argnums=0)
