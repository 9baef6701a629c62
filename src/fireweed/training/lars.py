"""LARS, an optimizer for large batches: each kernel moves in proportion to its own size."""

from collections.abc import Iterable
from typing import Any

import keras


@keras.saving.register_keras_serializable("fireweed")
class Lars(keras.optimizers.Optimizer):
    """SGD with momentum and a rate for each kernel: what the gradient's size says no longer counts, its direction does.

    With a large batch the rate has to be large as well, and what suits one layer blows up another. LARS takes

        share    = trust * |w| / (|g| + decay * |w|)
        velocity = momentum * velocity + rate * share * (g + decay * w)
        w        = w - velocity

    with Euclidean norms over the whole variable. Where one of the norms is 0, and for variables named in `plain_names`
    (biases and norms, whose sizes mean nothing), the share is 1, and those are not decayed either: plain SGD with
    momentum. You, Gitman and Ginsburg 2017, https://arxiv.org/abs/1708.03888, algorithm 1.

    decay: of the weights, added to the gradient as in the paper; Keras's own `weight_decay` would not be in the share.
    trust: how far a kernel moves at most in a step at rate 1, as a share of its norm.
    """

    def __init__(
        self,
        learning_rate: Any = 1.0,
        momentum: float = 0.9,
        decay: float = 0.0,
        trust: float = 0.001,
        plain_names: Iterable[str] = ("bias", "gamma", "beta"),
        name: str = "lars",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.momentum, self.decay, self.trust = momentum, decay, trust
        self.plain_names = tuple(plain_names)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._is_plain = [any(name in variable.name for name in self.plain_names) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        ops = keras.ops
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        direction = ops.cast(gradient, variable.dtype)
        velocity = self._velocities[index]
        if not self._is_plain[index]:
            size, slope = ops.norm(ops.reshape(variable, (-1,))), ops.norm(ops.reshape(direction, (-1,)))
            has_both = ops.logical_and(size > 0, slope > 0)
            share = self.trust * size / ops.where(has_both, slope + self.decay * size, ops.ones_like(size))
            direction = ops.where(has_both, share, ops.ones_like(share)) * (direction + self.decay * variable)
        moved = self.momentum * velocity + rate * direction
        self.assign(velocity, moved)
        self.assign_sub(variable, moved)

    def get_config(self) -> dict[str, Any]:
        mine = {"momentum": self.momentum, "decay": self.decay, "trust": self.trust, "plain_names": self.plain_names}
        return super().get_config() | mine
