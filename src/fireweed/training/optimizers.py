"""Optimizers from a recipe, with a learning rate that is a table: one number for every step."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from fireweed.settings import TrainingSettings
from fireweed.training.lars import Lars

NOT_DECAYED = ("bias", "gamma", "beta")  # a penalty on biases and norms hinders and helps nothing (He et al. 2019)


@keras.saving.register_keras_serializable("fireweed")
class TableSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of step i is rates[i]; after the last step it stays at the last one.

    A table in the step itself works alike on every backend; a callback that sets the rate would be overlooked on JAX,
    whose trainer holds the optimizer's variables while an epoch runs.
    """

    def __init__(self, rates: np.ndarray) -> None:
        self.rates = np.asarray(rates, np.float32)

    def __call__(self, step: Any) -> Any:
        last = len(self.rates) - 1
        position = keras.ops.minimum(keras.ops.cast(step, "int32"), last)
        return keras.ops.take(keras.ops.convert_to_tensor(self.rates), position)

    def get_config(self) -> dict[str, Any]:
        return {"rates": self.rates.tolist()}


class KernelMuon(keras.optimizers.Muon):
    """Muon for the kernels of convolutions, as Keras's own is for dense ones; AdamW for all else.

    A kernel's momentum is made orthogonal as a matrix of shape (height * width * channels, filters), so that a step
    changes the kernel alike in all directions (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), and
    scaled so that rates and decays which suit AdamW suit it too (Liu et al., arXiv 2502.16982). Keras's own leaves
    kernels of four dimensions to AdamW. The classifier's kernel stays with AdamW, and so do those of depthwise
    convolutions, which are no matrices: their channels do not meet.

    kernels: the variables that Muon changes, of shape (height, width, channels, filters).
    """

    def __init__(self, kernels: Iterable[Any], **options: Any) -> None:
        super().__init__(**options)
        self._kernels = frozenset(id(kernel) for kernel in kernels)  # neither shape nor name tells a depthwise one

    def _should_use_adamw(self, variable: Any) -> bool:
        return id(variable) not in self._kernels

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        flat = super().zeropower_via_newtonschulz5(keras.ops.reshape(x, (-1, x.shape[-1])), steps)
        return keras.ops.reshape(flat, x.shape)

    def lr_adjust(self, x: Any) -> Any:
        rows, columns = math.prod(x.shape[:-1]), x.shape[-1]
        return x * (self.rms_rate * math.sqrt(max(rows, columns)))


def build_optimizer(
    settings: TrainingSettings, rates: np.ndarray | float, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Return the recipe's optimizer, built for the model's trainable variables.

    rates: the learning rate of each step, or the first rate of an optimizer whose rate is set from outside.
    """
    rate = rates if isinstance(rates, float) else TableSchedule(rates)
    common: dict[str, Any] = {"learning_rate": rate, "global_clipnorm": settings.clip_norm or None}
    decay = settings.weight_decay or None
    if settings.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=settings.momentum, nesterov=True, weight_decay=decay, **common)
    elif settings.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=decay or 0.0, **common)
    elif settings.optimizer == "lamb":
        optimizer = keras.optimizers.Lamb(weight_decay=decay, **common)
    elif settings.optimizer == "lars":
        optimizer = Lars(momentum=settings.momentum, decay=settings.weight_decay, plain_names=NOT_DECAYED, **common)
        decay = None  # it is in the step
    elif settings.optimizer == "muon":
        optimizer = KernelMuon(_matrix_kernels(model), weight_decay=decay, adam_weight_decay=decay, **common)
    else:
        optimizer = keras.optimizers.Adam(weight_decay=decay, **common)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    if settings.backbone_rates != (1.0, 1.0):
        _scale_rates(optimizer, _shares_by_depth(model, *settings.backbone_rates))
    if keras.mixed_precision.dtype_policy().compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def _matrix_kernels(model: keras.Model) -> Iterator[Any]:
    """Yield the kernels of convolutions that are matrices from what each filter sees to the filters."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.filters > 1:
            yield layer.kernel
        elif isinstance(layer, keras.layers.SeparableConv2D) and layer.filters > 1:
            yield layer.pointwise_kernel


def _shares_by_depth(model: keras.Model, first: float, last: float) -> list[float]:
    """Return the share of the learning rate of each trainable variable of the model, in their order."""
    *backbone, _ = (layer for layer in model.layers if layer.trainable_variables)
    shares = {
        id(variable): float(share)
        for layer, share in zip(backbone, np.geomspace(first, last, len(backbone)), strict=True)
        for variable in layer.trainable_variables
    }
    return [shares.get(id(variable), 1.0) for variable in model.trainable_variables]


def _scale_rates(optimizer: keras.optimizers.Optimizer, shares: list[float]) -> None:
    """Let the optimizer change each variable that it was built for with its share of the learning rate.

    Scaled gradients would not do: but for SGD, optimizers take no notice of a gradient's size. Weight decay, which
    Keras applies before, goes by the whole rate.
    """
    plain = optimizer.update_step

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        # by index: TensorFlow hands over the variable inside Keras's
        plain(gradient, variable, learning_rate * shares[optimizer._get_variable_index(variable)])

    optimizer.update_step = update_step
