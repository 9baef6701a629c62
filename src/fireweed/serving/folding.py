"""A plain model's answers with fewer operations, on TensorFlow: norms and scaling go into the layers beside them.

In inference a batch norm is an affine map of each channel: x * scale + offset. After a linear convolution it goes into
that one's weights. After a relu, as in our nets, it waits instead: through pooling, concatenation and drop-out, until a
1x1 convolution or a dense layer takes it up. A padded 3x3 convolution cannot, since its zeros at the border are not
what the map makes of zero; there, and before any layer not known here, the map is applied as one operation.

No second model is built: the maps are worked out while TensorFlow traces the net, and its weights become constants.
On a CPU the compiled kernels do the convolutions that they are faster at.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from fireweed.kernels import native
from fireweed.kernels.fitting import can_run, convolution_fits

Tensor = Any  # a tensor of TensorFlow, while it traces
Map = tuple[np.ndarray, np.ndarray]  # scale and offset, float64 of shape (channels,)

MOST_CONSTANTS = 16 << 20  # numbers in one layer's weights; all of a graph of TensorFlow must stay below 2 GB
_LINEAR = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)
_AVERAGES = (layers.AveragePooling2D, layers.GlobalAveragePooling2D)
_MAXIMA = (layers.MaxPooling2D, layers.GlobalMaxPooling2D)
_ONLY_IN_TRAINING = (layers.Dropout, layers.SpatialDropout2D)


@dataclass(frozen=True)
class _Signal:
    """What a layer gives: a tensor, and the map that has still to be applied to it."""

    tensor: Tensor
    waiting: Map | None = None

    def map(self) -> Map:
        """Return the map, 1 and 0 where none waits."""
        channels = self.tensor.shape[-1]
        return self.waiting or (np.ones(channels), np.zeros(channels))

    def then(self, scale: np.ndarray, offset: np.ndarray) -> "_Signal":
        """Return this signal with one more map behind it."""
        first_scale, first_offset = self.map()
        return _Signal(self.tensor, (first_scale * scale, first_offset * scale + offset))

    def applied(self) -> Tensor:
        """Return the tensor with the map applied."""
        if self.waiting is None:
            return self.tensor
        scale, offset = (values.astype(np.float32) for values in self.waiting)
        if can_run() and len(self.tensor.shape) == 4 and self.tensor.shape[-1] % native.LANES == 0:
            import tensorflow as tf

            from fireweed.kernels import operations

            return operations.scale(self.tensor, tf.constant(scale), tf.constant(offset))
        return self.tensor * scale + offset


def folded_answers(model: Any) -> Callable[[Any], Any] | None:
    """Return a compiled function that answers as `model` does in inference, with fewer operations.

    It takes photos, uint8 (photos, side, side, 3), as a tensor of TensorFlow, any number of them, and returns the
    model's outputs; probabilities agree within 1e-4, relative. The weights are those that the model has now.

    Returns None where nothing is gained or safe: XLA, through which JAX works, fuses norms by itself; a model must be a
    graph of layers, each called once, in float32, channels last, with a norm or a scaling among them.
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(model, keras.Model):
        return None
    graph = plain_graph(model)
    if graph is None:
        return None
    import tensorflow as tf

    photos = tf.TensorSpec((None, *graph.inputs[0].shape[1:]), tf.uint8)
    function = tf.function(
        lambda given: _answer(graph, tf.cast(given, tf.float32)), [photos], autograph=False, jit_compile=False
    )
    return function.get_concrete_function()


def _answer(graph: keras.Model, photos: Tensor) -> Tensor:
    norms = _norms_of_linear(graph)
    taken_up = {id(norm) for norm in norms.values()}
    signals = {id(graph.inputs[0]): _Signal(photos)}
    for layer in graph.operations:
        if isinstance(layer, layers.InputLayer):
            continue
        given = keras.tree.map_structure(lambda tensor: signals[id(tensor)], layer.input)
        signals[id(layer.output)] = given if id(layer) in taken_up else _passed(layer, given, norms)
    return signals[id(graph.outputs[0])].applied()


def plain_graph(model: keras.Model) -> keras.Model | None:
    """Return the graph of a model; None where it is such that nothing can be folded safely."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return None
    graph = keras.Model(model.inputs[0], model.outputs[0])  # a Sequential becomes a graph like the others
    nodes = [node for layer in graph.get_config()["layers"] for node in layer["inbound_nodes"]]
    are_plain = all(len(node["args"]) == 1 and not any(node["kwargs"].values()) for node in nodes)
    is_plain = are_plain and len(nodes) == len(graph.operations) - 1  # none is called twice
    is_plain = is_plain and all(_is_plain(layer) for layer in graph.operations)
    return graph if is_plain and any(own_map(layer) is not None for layer in graph.operations) else None


def _is_plain(layer: Any) -> bool:
    is_float32 = isinstance(layer, keras.Layer) and layer.compute_dtype == "float32"
    return is_float32 and getattr(layer, "data_format", "channels_last") == "channels_last"


def _norms_of_linear(graph: keras.Model) -> dict[int, keras.Layer]:
    """Return, by the id of a linear layer, the map's layer behind it that nothing else comes between or beside."""
    uses = Counter(id(tensor) for layer in graph.operations for tensor in keras.tree.flatten(layer.input))
    linear = {
        id(layer.output): id(layer)
        for layer in graph.operations
        if _takes_maps(layer) and layer.activation is keras.activations.linear and uses[id(layer.output)] == 1
    }
    maps = [layer for layer in graph.operations if own_map(layer) is not None]
    return {linear[id(layer.input)]: layer for layer in maps if id(layer.input) in linear}


def _takes_maps(layer: keras.Layer) -> bool:
    is_known = type(layer) in _LINEAR and getattr(layer, "groups", 1) == 1
    return is_known and layer.count_params() <= MOST_CONSTANTS


def own_map(layer: keras.Layer) -> Map | None:
    """Return the map of a layer that is one, else None."""
    shape = layer.output.shape
    if type(layer) is layers.Rescaling:
        scale, offset = (np.asarray(value, np.float64) for value in (layer.scale, layer.offset))
        return np.broadcast_to(scale, shape[-1:]), np.broadcast_to(offset, shape[-1:])
    if type(layer) is layers.BatchNormalization and layer.axis in (-1, len(shape) - 1):
        *gamma_beta, mean, variance = weights_of(layer)
        scale = (gamma_beta.pop(0) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
        return scale, (gamma_beta.pop() if layer.center else 0.0) - mean * scale
    return None


def weights_of(layer: keras.Layer) -> list[np.ndarray]:
    """Return a layer's weights in float64, also while TensorFlow traces."""
    import tensorflow as tf

    with tf.init_scope():
        return [np.asarray(weight, np.float64) for weight in layer.get_weights()]


def _passed(layer: keras.Layer, given: Any, norms: dict[int, keras.Layer]) -> _Signal:
    """Return what a layer makes of what it is given: a signal, or a list of them."""
    if type(layer) is layers.Concatenate and layer.axis in (-1, len(layer.output.shape) - 1):
        return _concatenated(layer, given)
    if isinstance(given, _Signal):
        if isinstance(layer, _ONLY_IN_TRAINING):
            return given
        own = own_map(layer)
        if own is not None:
            return given.then(*own)
        if _takes_maps(layer):
            norm = norms.get(id(layer))
            return _through_linear(layer, given, None if norm is None else own_map(norm))
        if given.waiting is not None and type(layer) is layers.Flatten:
            times = layer.output.shape[-1] // given.tensor.shape[-1]
            return _Signal(layer(given.tensor), (np.tile(given.map()[0], times), np.tile(given.map()[1], times)))
        if isinstance(layer, _AVERAGES) or (isinstance(layer, _MAXIMA) and given.map()[0].min() >= 0):
            return _Signal(layer(given.tensor), given.waiting)
    return _Signal(layer(keras.tree.map_structure(_Signal.applied, given)))


def _concatenated(layer: keras.Layer, given: list[_Signal]) -> _Signal:
    tensor = layer([signal.tensor for signal in given])
    if all(signal.waiting is None for signal in given):
        return _Signal(tensor)
    scales, offsets = zip(*(signal.map() for signal in given), strict=True)
    return _Signal(tensor, (np.concatenate(scales), np.concatenate(offsets)))


def _through_linear(layer: keras.Layer, given: _Signal, norm: Map | None) -> _Signal:
    """Apply a convolution or dense layer with the waiting map, where exact, and with the norm behind it."""
    import tensorflow as tf

    weights = weights_of(layer)
    *kernels, bias = weights if layer.use_bias else [*weights, np.zeros(layer.output.shape[-1])]
    tensor = given.tensor
    if given.waiting is not None and _is_exact(layer, given.waiting[1]):
        kernels, bias = _with_inputs_mapped(layer, kernels, bias, *given.waiting)
    else:
        tensor = given.applied()
    if norm is not None:
        scale, offset = norm
        by_output = scale.reshape(kernels[-1].shape[-2:]) if type(layer) is layers.DepthwiseConv2D else scale
        kernels, bias = [*kernels[:-1], kernels[-1] * by_output], bias * scale + offset
    constants = [kernel.astype(np.float32) for kernel in kernels]
    if can_run() and convolution_fits(layer):
        from fireweed.kernels import operations

        relu = layer.activation is keras.activations.relu
        return _Signal(operations.convolve(tensor, tf.constant(constants[0]), tf.constant(bias, tf.float32), relu))
    if type(layer) is layers.Dense:
        tensor = tf.matmul(tensor, constants[0])
    else:
        convolve = {
            layers.Conv2D: keras.ops.conv,
            layers.DepthwiseConv2D: keras.ops.depthwise_conv,
            layers.SeparableConv2D: keras.ops.separable_conv,
        }[type(layer)]
        settings = {"strides": layer.strides, "padding": layer.padding, "dilation_rate": layer.dilation_rate}
        tensor = convolve(tensor, *constants, data_format="channels_last", **settings)
    return _Signal(layer.activation(tf.nn.bias_add(tensor, bias.astype(np.float32))))


def _is_exact(layer: keras.Layer, offset: np.ndarray) -> bool:
    """Return whether a linear layer can take up a map with this offset: not where it pads, unless the offset is 0."""
    if type(layer) is layers.Dense or layer.padding == "valid" or set(layer.kernel_size) == {1}:
        return True
    return not offset.any()


def _with_inputs_mapped(
    layer: keras.Layer, kernels: list[np.ndarray], bias: np.ndarray, scale: np.ndarray, offset: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return kernels and bias that give for x what the layer gives for x * scale + offset."""
    first, *rest = kernels
    added = first.reshape(-1, *first.shape[-2:]).sum(axis=0) * offset[:, None]  # what the offset alone would give
    if type(layer) is layers.SeparableConv2D:
        added = added.ravel() @ rest[0][0, 0]
    else:
        added = added.ravel() if type(layer) is layers.DepthwiseConv2D else added.sum(axis=0)
    return [first * scale[:, None], *rest], bias + added
