"""The values of variables while an epoch runs: JAX's trainer holds them itself then."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np


def values_now(model: keras.Model, variables: Sequence[Any]) -> list[Any]:
    """Return the values of some of the variables of a model, its optimizer or its metrics, also within an epoch.

    They are taken from JAX's trainer where it holds them, since handing all variables back and forth takes longer than
    a small step; and a single host of several may do it.
    """
    state = getattr(model, "_jax_state", None)
    if not state or model._jax_state_synced:
        return [variable.value for variable in variables]
    owners: dict[str, Sequence[Any]] = {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": model.optimizer.variables if "optimizer_variables" in state else (),
        "metrics_variables": model.metrics_variables,
    }
    held = {
        id(variable): value
        for kind, values in state.items()
        for variable, value in zip(owners[kind], values, strict=True)
    }
    held.update({id(variable): variable.value for variable in variables if id(variable) not in held})
    return [held[id(variable)] for variable in variables]


def as_arrays(values: Iterable[Any]) -> list[np.ndarray]:
    """Return variables or tensors as arrays; of copies on several devices, which are alike, the first."""
    read = (value.read_value() if hasattr(value, "read_value") else value for value in values)  # TensorFlow's variables
    return [np.asarray(keras.ops.convert_to_tensor(value)) for value in read]
