"""Which layers of a plain net the kernels can do together, and the twin's layers that do.

The twin keeps the plain net's layers, names and variables one for one. Where a convolution, its relu and its norm (or
several side by side and their concatenation) become one operation, the last of these layers does it all, with the
variables of the others, which pass on what they get.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from fireweed.kernels.fitting import convolution_fits


@dataclass(frozen=True)
class Merge:
    """Names of layers: pairs of convolution and norm that see the same input, and the concatenation behind, if any."""

    pairs: tuple[tuple[str, str], ...]
    concatenation: str | None = None


def find_merges(model: keras.Model) -> list[Merge]:
    """Return the groups of layers of a functional model that the kernels do in one; none where there are no kernels."""
    behind: dict[str, str] = {}
    seen = {tensor._keras_history.operation.name for tensor in model.outputs}  # what users of the model see
    for layer in model.layers:
        before = _sources(layer)
        is_norm = type(layer) is keras.layers.BatchNormalization and len(before) == 1 and _norm_fits(layer)
        is_norm = is_norm and before[0].name not in seen and len(_sources(before[0])) == 1
        if is_norm and _convolution_fits(before[0]) and _is_only_for(before[0], layer):
            behind[layer.name] = before[0].name
    merges, taken = [], set()
    for layer in model.layers:
        norms = _sources(layer)
        if type(layer) is keras.layers.Concatenate and len(norms) > 1 and _together(model, layer, norms, behind, seen):
            merges.append(Merge(tuple((behind[norm.name], norm.name) for norm in norms), layer.name))
            taken |= {norm.name for norm in norms}
    return merges + [Merge(((convolution, norm),)) for norm, convolution in behind.items() if norm not in taken]


class HeldConvolution(keras.layers.Conv2D):
    """A convolution whose variables another layer uses: it passes on what it gets."""

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class HeldNormalization(keras.layers.BatchNormalization):
    """A norm whose variables another layer uses: it passes on what it gets, which has other channels."""

    channels: int

    def build(self, input_shape: Any) -> None:
        super().build((*input_shape[:-1], self.channels))
        self.input_spec = None

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class MergedNormalization(HeldNormalization):
    """A norm that does the convolution and the relu before it as well."""

    merged: Callable[..., Any]

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        return self.merged(inputs, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.channels)


class MergedConcatenation(keras.layers.Concatenate):
    """A concatenation that does the convolutions, relus and norms before it as well."""

    channels: int
    merged: Callable[..., Any]

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.merged(inputs[0], training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], self.channels)


class Merger:
    """Makes the twin's layers of a model's merges, as `keras.models.clone_model` asks for them one by one."""

    def __init__(self, model: keras.Model) -> None:
        self._made: dict[str, keras.layers.Layer] = {}
        self._ends: dict[str, Merge] = {}
        self._held: dict[str, keras.layers.Layer] = {}
        for merge in find_merges(model):
            end = merge.concatenation or merge.pairs[0][1]
            self._ends[end] = merge
            for pair in merge.pairs:
                for name in pair:
                    self._held[name] = model.get_layer(pair[0])

    def layer(self, plain: keras.layers.Layer) -> keras.layers.Layer | None:
        """Return the layer in place of `plain`, or None where it is not part of a merge."""
        merge = self._ends.get(plain.name)
        if merge is not None:
            kind = MergedConcatenation if merge.concatenation else MergedNormalization
        elif plain.name in self._held:
            kind = HeldConvolution if isinstance(plain, keras.layers.Conv2D) else HeldNormalization
        else:
            return None
        layer = kind.from_config(plain.get_config())
        self._made[plain.name] = layer
        if isinstance(layer, HeldNormalization):
            layer.channels = self._held[plain.name].filters
        if merge is not None:
            # a function, since Keras would count layers in an attribute as parts of this one
            layer.merged = self._merged([(self._made[c], self._made[n]) for c, n in merge.pairs])
            layer.channels = sum(self._made[c].filters for c, _ in merge.pairs)
        return layer

    @staticmethod
    def _merged(pairs: Sequence[tuple[Any, Any]]) -> Callable[..., Any]:
        return lambda inputs, training: merged(inputs, pairs, bool(training))


def merged(inputs: Any, pairs: Sequence[tuple[Any, Any]], training: bool) -> Any:
    """Do convolutions, relus and norms of `pairs` in one, concatenated; let moving statistics follow as Keras does."""
    import tensorflow as tf

    from fireweed.kernels import operations

    branches = [_branch(convolution, norm) for convolution, norm in pairs]
    relu, epsilon = pairs[0][0].activation is keras.activations.relu, pairs[0][1].epsilon
    if not training:
        means, variances = ([tf.convert_to_tensor(getattr(norm, name)) for _, norm in pairs]
                            for name in ("moving_mean", "moving_variance"))  # fmt: skip
        return operations.convolve_norm_fixed(inputs, branches, means, variances, relu, epsilon)
    outputs, mean, variance = operations.convolve_norm(inputs, branches, relu, epsilon)
    sizes = [convolution.filters for convolution, _ in pairs]
    moments = zip(tf.split(mean, sizes), tf.split(variance, sizes), strict=True)
    for (_, norm), (new_mean, new_variance) in zip(pairs, moments, strict=True):
        move(norm, new_mean, new_variance)
    return outputs


def move(norm: Any, mean: Any, variance: Any) -> None:
    """Let a norm's moving statistics follow the batch's mean and biased variance, as Keras's own norm does."""
    for moving, new in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        moving.assign(moving * norm.momentum + new * (1.0 - norm.momentum))


def scale_and_shift(norm: Any) -> tuple[Any, Any]:
    """Return gamma and beta of a norm, ones and zeros where it has none."""
    import tensorflow as tf

    shape = norm.moving_mean.shape
    return (
        tf.convert_to_tensor(norm.gamma) if norm.scale else tf.ones(shape),
        tf.convert_to_tensor(norm.beta) if norm.center else tf.zeros(shape),
    )


def _branch(convolution: Any, norm: Any) -> Any:
    import tensorflow as tf

    from fireweed.kernels.operations import Branch

    bias = tf.convert_to_tensor(convolution.bias) if convolution.use_bias else tf.zeros([convolution.filters])
    return Branch(tf.convert_to_tensor(convolution.kernel), bias, *scale_and_shift(norm))


def _sources(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers whose outputs a layer gets, if it is called once."""
    if len(layer._inbound_nodes) != 1:
        return []
    return [tensor._keras_history.operation for tensor in layer._inbound_nodes[0].input_tensors]


def _is_only_for(layer: keras.layers.Layer, follower: keras.layers.Layer) -> bool:
    return [node.operation for node in layer._outbound_nodes] == [follower]


def _norm_fits(norm: keras.layers.BatchNormalization) -> bool:
    plain = not (norm.renorm or norm.synchronized or any(_additions(norm)))
    return plain and norm.trainable and norm.axis in (-1, 3) and norm.compute_dtype == "float32"


def _convolution_fits(layer: keras.layers.Layer) -> bool:
    return convolution_fits(layer) and layer.trainable and not any(_additions(layer))


def _additions(layer: keras.layers.Layer) -> Iterator[Any]:
    """Give what a layer may have that the kernels do not do: penalties and limits on its weights or outputs."""
    for name in ("kernel", "bias", "beta", "gamma", "activity"):
        yield getattr(layer, f"{name}_regularizer", None)
        yield getattr(layer, f"{name}_constraint", None)


def _together(
    model: keras.Model, layer: keras.layers.Layer, norms: Sequence[keras.layers.Layer], behind: dict[str, str],
    seen: set[str],
) -> bool:  # fmt: skip
    if any(norm.name in seen for norm in norms):
        return False
    if not all(norm.name in behind and _is_only_for(norm, layer) for norm in norms) or layer.axis not in (-1, 3):
        return False
    convolutions = [model.get_layer(behind[norm.name]) for norm in norms]
    same_input = {id(convolution._inbound_nodes[0].input_tensors[0]) for convolution in convolutions}
    alike = {(convolution.activation, norm.epsilon) for convolution, norm in zip(convolutions, norms, strict=True)}
    return len(same_input) == len(alike) == 1 and len(set(norms)) == len(norms)
