"""What each layer of a net costs: weights, multiply-adds, and how much of the photo its outputs see."""

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from fireweed.errors import ModelError

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class LayerCost:
    """One layer of a net.

    output_shape:       without the batch: (height, width, channels) or (channels,).
    parameters:         its numbers, norm statistics included.
    multiply_adds:      for one photo: products of a convolution or dense layer; additions of biases, norms, pools: 0.
    receptive_field_px: side of the square of the photo that can reach one output, never more than the photo's side.
    inputs:             names of the layers it takes its input from.
    weight_shapes:      of its kernels, biases and so on: (4, 4, 3, 5) is a 4x4 convolution from 3 to 5 channels.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field_px: int
    inputs: tuple[str, ...]
    weight_shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cost:
    """A net as a whole: its numbers, those that training changes, multiply-adds for one photo."""

    parameters: int
    trainable_parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class _View:
    """How a layer's outputs look at the photo: side of what one sees, and pixels from one to the next."""

    field_px: int
    step_px: int


def layer_costs(model: keras.Model, side: int | None = None) -> list[LayerCost]:
    """Return what each layer costs, in the order of the net, input included.

    Args:
        model: a functional or sequential net of one input, photos (batch, side, side, 3).
        side: of the photos in pixels; needed where the model takes any side.

    Raises:
        ModelError: the model takes any side and none was given.
    """
    graph = keras.Model(model.inputs, model.outputs)  # a Sequential model becomes the same kind of graph
    built_for = graph.inputs[0].shape[1]
    side = side or built_for
    if side is None:
        raise ModelError(f"'{model.name}' takes photos of any side, so its cost needs one; say which side in pixels")
    if built_for not in (None, side):
        raise ModelError(f"'{model.name}' is built for photos of {built_for} px, not {side} px; build it for that side")
    shapes: dict[str, Shape] = {}
    views: dict[str, _View] = {}
    costs = []
    for layer in graph.operations:
        sources = _sources(layer)
        shape = layer.output.shape if built_for else _output_shape(layer, [shapes[name] for name in sources], side)
        view = _view(layer, [views[name] for name in sources], side)
        shapes[layer.name], views[layer.name] = shape, view
        costs.append(_cost(layer, shape, view, sources, side))
    return costs


def total_cost(model: keras.Model, side: int | None = None) -> Cost:
    """Return what a net costs as a whole; arguments and errors as for `layer_costs`."""
    return Cost(
        parameters=sum(math.prod(weight.shape) for weight in model.weights),
        trainable_parameters=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        multiply_adds=sum(cost.multiply_adds for cost in layer_costs(model, side)),
    )


def _cost(layer: Any, shape: Shape, view: _View, sources: tuple[str, ...], side: int) -> LayerCost:
    weights = getattr(layer, "weights", [])
    return LayerCost(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=tuple(int(size) for size in shape[1:] if size is not None),
        parameters=sum(math.prod(weight.shape) for weight in weights),
        multiply_adds=_multiply_adds(layer, shape),
        receptive_field_px=min(view.field_px, side),
        inputs=sources,
        weight_shapes=tuple(tuple(int(size) for size in weight.shape) for weight in weights),
    )


def _sources(layer: Any) -> tuple[str, ...]:
    """Return the names of the layers whose outputs this one takes."""
    if isinstance(layer, layers.InputLayer):
        return ()
    tensors = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
    return tuple(tensor._keras_history.operation.name for tensor in tensors)


def _output_shape(layer: Any, inputs: list[Shape], side: int) -> Shape:
    """Return the shape that a layer of a net for any side has at this side."""
    if isinstance(layer, layers.InputLayer):
        return (None, side, side, layer.output.shape[-1])
    tensors = [keras.KerasTensor(shape) for shape in inputs]
    return layer.compute_output_spec(tensors if isinstance(layer.input, list | tuple) else tensors[0]).shape


def _multiply_adds(layer: Any, shape: Shape) -> int:
    """Count the products for one photo: every number of a kernel is used once at each position of the output."""
    if isinstance(layer, layers.SeparableConv2D):
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
        kernels = [layer.kernel]
    else:
        return 0
    positions = math.prod(size for size in shape[1:-1] if size is not None)
    return positions * sum(math.prod(kernel.shape) for kernel in kernels)


def _view(layer: Any, inputs: list[_View], side: int) -> _View:
    """Return how far a layer's outputs see, from how far its inputs do (Araujo et al., Distill 2019, 'Computing
    receptive fields of convolutional neural networks'): windows add up, each in steps of its own input.
    """
    if not inputs:
        return _View(1, 1)
    widest = max(inputs, key=lambda view: view.field_px)
    if isinstance(layer, layers.Flatten | layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D):
        return _View(side, widest.step_px)
    window, stride = _window(layer)
    step = max(view.step_px for view in inputs)
    return _View(widest.field_px + (window - 1) * step, step * stride)


def _window(layer: Any) -> tuple[int, int]:
    """Return the side of a layer's window and its stride, 1 and 1 where it looks at one position."""
    if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
        return layer.pool_size[0], layer.strides[0]
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D):
        return (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0]
    return 1, 1
