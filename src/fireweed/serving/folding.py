"""A plain model's answers with fewer operations, on TensorFlow: norms and scaling go into the layers beside them.

In inference a batch norm is an affine map of each channel: x * scale + offset. After a linear convolution it goes into
that one's weights. After a relu, as in our nets, it waits instead: through pooling, concatenation and drop-out, until a
1x1 convolution or a dense layer takes it up. A padded 3x3 convolution cannot, since its zeros at the border are not
what the map makes of zero; there, and before any layer not known here, the map is applied as one operation.

No second model is built: the maps are worked out while TensorFlow traces the net, and its weights become constants.
On a CPU the compiled kernels do the convolutions that they are faster at.
"""

from collections import Counter
from collections.abc import Callable, Collection
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
ONLY_IN_TRAINING = (layers.Dropout, layers.SpatialDropout2D)


@dataclass(frozen=True)
class Call:
    """A layer's call in a graph: the tensor that it is given, or a list of them, and the one that it returns.

    A layer's own `input` and `output` are those of its first call, which may have been in another graph.
    """

    layer: Any
    given: Any
    result: Any


@dataclass(frozen=True)
class Graph:
    """A net as its calls, in their order, from the tensor of its photos to that of its answers; no layer is in two."""

    photos: Any
    calls: list[Call]
    answers: Any

    def uses(self) -> Counter[int]:
        """Return, by the id of a tensor, how many calls are given it."""
        return Counter(id(tensor) for call in self.calls for tensor in keras.tree.flatten(call.given))


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
        import tensorflow as tf

        scale, offset = (tf.constant(values, self.tensor.dtype) for values in self.waiting)
        fits = self.tensor.dtype == tf.float32 and len(self.tensor.shape) == 4
        if can_run() and fits and self.tensor.shape[-1] % native.LANES == 0:
            from fireweed.kernels import operations

            return operations.scale(self.tensor, scale, offset)
        return self.tensor * scale + offset


def folded_answers(model: Any) -> Callable[[Any], Any] | None:
    """Return a compiled function that answers as `model` does in inference, with fewer operations.

    It takes photos, uint8 (photos, side, side, 3), as a tensor of TensorFlow, any number of them, and returns the
    model's outputs, float32; probabilities agree within 1e-4, relative, of nets in bfloat16 within what that rounds.
    The weights are those that the model has now.

    Returns None where nothing is gained or safe: XLA, through which JAX works, fuses norms by itself; a model must be a
    graph of layers, each called once, in float32 or bfloat16, channels last, with a norm or a scaling among them.
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(model, keras.Model):
        return None
    graph = plain_graph(model, ("float32", "bfloat16"))
    if graph is None:
        return None
    import tensorflow as tf

    photos = tf.TensorSpec((None, *graph.photos.shape[1:]), tf.uint8)
    function = tf.function(
        lambda given: _answer(graph, tf.cast(given, tf.float32)), [photos], autograph=False, jit_compile=False
    )
    return function.get_concrete_function()


def _answer(graph: Graph, photos: Tensor) -> Tensor:
    import tensorflow as tf

    norms = _norms_of_linear(graph)
    taken_up = {id(norm) for norm in norms.values()}
    signals = {id(graph.photos): _Signal(photos)}
    for call in graph.calls:
        given = keras.tree.map_structure(lambda tensor: signals[id(tensor)], call.given)
        signals[id(call.result)] = given if id(call) in taken_up else _passed(call, given, norms)
    return tf.cast(signals[id(graph.answers)].applied(), tf.float32)


def plain_graph(model: keras.Model, dtypes: Collection[str] = ("float32",)) -> Graph | None:
    """Return the graph of a model; None where it is such that nothing can be folded safely.

    dtypes: in which its layers may compute.
    """
    if any(len(getattr(model, ends, ())) != 1 for ends in ("inputs", "outputs")):  # a subclass may have none
        return None
    whole = keras.Model(model.inputs[0], model.outputs[0])  # a Sequential becomes a graph like the others
    nodes = [node for same_depth in whole._nodes_by_depth.values() for node in same_depth if not node.is_input]
    by_layer = {id(node.operation): node for node in nodes}
    is_plain = len(by_layer) == len(nodes)  # none is called twice
    if not is_plain or whole.inputs[0].dtype != "float32" or not all(_is_plain(node, dtypes) for node in nodes):
        return None
    in_order = [by_layer[id(layer)] for layer in whole.operations if id(layer) in by_layer]
    calls = [Call(node.operation, node.arguments.args[0], node.outputs[0]) for node in in_order]
    has_maps = any(own_map(call) is not None for call in calls)
    return Graph(whole.inputs[0], calls, whole.outputs[0]) if has_maps else None


def _is_plain(node: Any, dtypes: Collection[str]) -> bool:
    """Return whether a call makes one tensor of tensors alone, by a layer with the weights of its kind."""
    layer, arguments = node.operation, node.arguments
    if not isinstance(layer, keras.Layer) or layer.compute_dtype not in dtypes:
        return False
    if layer.quantization_mode is not None or getattr(layer, "lora_enabled", False):  # it has others
        return False
    is_simple = len(arguments.args) == len(node.outputs) == 1
    is_simple = is_simple and all(value is None or value is False for value in arguments.kwargs.values())
    of_tensors = len(keras.tree.flatten(arguments.args)) == len(node.input_tensors)
    return is_simple and of_tensors and getattr(layer, "data_format", "channels_last") == "channels_last"


def _norms_of_linear(graph: Graph) -> dict[int, Call]:
    """Return, by the id of a linear layer, the map's call behind it that nothing else comes between or beside."""
    uses = graph.uses()
    linear = {
        id(call.result): id(call.layer)
        for call in graph.calls
        if _takes_maps(call.layer) and call.layer.activation is keras.activations.linear and uses[id(call.result)] == 1
    }
    maps = [call for call in graph.calls if own_map(call) is not None]
    return {linear[id(call.given)]: call for call in maps if id(call.given) in linear}


def _takes_maps(layer: keras.Layer) -> bool:
    is_known = type(layer) in _LINEAR and getattr(layer, "groups", 1) == 1
    return is_known and layer.count_params() <= MOST_CONSTANTS


def own_map(call: Call) -> Map | None:
    """Return the map of a layer that is one, else None."""
    layer, shape = call.layer, call.result.shape
    if type(layer) is layers.Rescaling:
        scale, offset = (np.asarray(value, np.float64) for value in (layer.scale, layer.offset))
        if max(scale.ndim, offset.ndim) > 1:  # not the same for all pixels
            return None
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


def _passed(call: Call, given: Any, norms: dict[int, Call]) -> _Signal:
    """Return what a layer makes of what it is given: a signal, or a list of them."""
    layer = call.layer
    if type(layer) is layers.Concatenate and layer.axis in (-1, len(call.result.shape) - 1):
        return _concatenated(layer, given)
    if isinstance(given, _Signal):
        if type(layer) in ONLY_IN_TRAINING:
            return given
        own = own_map(call)
        if own is not None:
            return given.then(*own)
        if _takes_maps(layer):
            norm = norms.get(id(layer))
            return _through_linear(layer, given, None if norm is None else own_map(norm))
        if given.waiting is not None and type(layer) is layers.Flatten:
            times = call.result.shape[-1] // given.tensor.shape[-1]
            return _Signal(layer(given.tensor), (np.tile(given.map()[0], times), np.tile(given.map()[1], times)))
        if type(layer) in _AVERAGES or (type(layer) in _MAXIMA and given.map()[0].min() >= 0):
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
    dtype = layer.compute_dtype
    tensor, constants = tf.cast(tensor, dtype), [tf.constant(kernel, dtype) for kernel in kernels]
    if can_run() and convolution_fits(layer):
        from fireweed.kernels import operations

        relu = layer.activation is keras.activations.relu
        return _Signal(operations.convolve(tensor, constants[0], tf.constant(bias, dtype), relu))
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
    return _Signal(layer.activation(tf.nn.bias_add(tensor, tf.constant(bias, dtype))))


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
