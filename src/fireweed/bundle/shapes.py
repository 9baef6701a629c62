"""What a checked net implies before anything is built: the shape of every tensor and of every variable.

A config of a few bytes can ask for a billion weights. Here they are counted on paper, by the rules of Keras's layers,
so that a net which is too large, or which does not fit the file of its weights, is refused before it takes memory.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fireweed.bundle.config import Layer, shortened
from fireweed.errors import BundleError

MAX_PARAMETERS = 500_000_000  # 2 GB of float32
MAX_TENSOR = 1 << 28  # numbers in one layer's output for one photo: 1 GB
MAX_WORK = 1 << 42  # multiply-adds of one layer for one photo, a minute on a CPU

Shape = tuple[int, ...]  # without the batch


@dataclass(frozen=True)
class Variable:
    """One variable of a net: its shape, and whether it counts (an integer) or weighs (float32)."""

    shape: Shape
    is_count: bool = False


@dataclass(frozen=True)
class Outline:
    """What a net implies: input and output shape without the batch, and its variables by their path in the weights."""

    input_shape: Shape
    output_shape: Shape
    variables: dict[str, Variable]

    @property
    def parameters(self) -> int:
        """Return how many numbers all variables hold."""
        return sum(math.prod(variable.shape) for variable in self.variables.values())


def outline(net: Layer) -> Outline:
    """Work out the shapes of all tensors and variables of a checked net.

    Raises:
        BundleError: names the layer whose inputs do not fit it, or that makes the net too large.
    """
    variables: dict[str, Variable] = {}
    first = net.layers[0]
    if net.kind == "Sequential" and first.kind != "InputLayer":
        raise BundleError(f"the net begins with {shortened(first.name)}, expected an InputLayer")
    stated = next(layer for layer in net.layers if layer.kind == "InputLayer").settings.get("batch_shape")
    if not isinstance(stated, list) or stated[0] is not None or None in stated[1:]:
        raise BundleError(f"the net's input shape is {shortened(stated)}, expected a fixed one with a free batch")
    input_shape = tuple(stated[1:])
    output_shape = _model(net, [input_shape], "", variables)
    return Outline(input_shape, output_shape, variables)


def _model(net: Layer, inputs: list[Shape], path: str, variables: dict[str, Variable]) -> Shape:
    """Go through the layers of a model that is given `inputs`; add its variables and return its output's shape."""
    (given,) = _counted(net, inputs, 1)
    _expect_same(net, net.settings.get("build_input_shape"), given)
    shapes: dict[str, Shape] = {}
    seen: dict[str, int] = {}
    previous = given
    for layer in net.layers:
        place = f"{path}layers/{_numbered(snake_case(layer.kind), seen)}"
        if layer.kind == "InputLayer":
            _expect_same(layer, layer.settings.get("batch_shape"), given)
            if layer.inputs or (net.kind == "Sequential" and layer is not net.layers[0]):
                raise BundleError(f"layer {shortened(layer.name)} is an input in the middle of the net")
            shapes[layer.name] = given
            continue
        sources = [previous] if net.kind == "Sequential" else _sources(layer, shapes)
        previous = shapes[layer.name] = _one(layer, sources, place, variables)
    return previous if net.kind == "Sequential" else shapes[net.output]


def _sources(layer: Layer, shapes: dict[str, Shape]) -> list[Shape]:
    missing = next((name for name in layer.inputs if name not in shapes), None)
    if missing is not None:
        raise BundleError(f"layer {shortened(layer.name)} is called on {shortened(missing)}, no layer before it")
    if not layer.inputs:
        raise BundleError(f"layer {shortened(layer.name)} is called on nothing")
    return [shapes[name] for name in layer.inputs]


def _one(layer: Layer, inputs: list[Shape], path: str, variables: dict[str, Variable]) -> Shape:
    """Return the output shape of one layer or model; add its variables."""
    _expect_built_on(layer, inputs)
    if layer.layers:
        return _model(layer, inputs, f"{path}/", variables)
    shape, own = _RULES[layer.kind](layer, inputs)
    if not all(size >= 1 for size in shape):
        raise BundleError(f"layer {shortened(layer.name)} leaves nothing of its input, {inputs[0]}")
    if math.prod(shape) > MAX_TENSOR:
        raise BundleError(f"layer {shortened(layer.name)} gives {math.prod(shape):,} numbers, at most {MAX_TENSOR:,}")
    for number, variable in enumerate(own):
        variables[f"{path}/vars/{number}"] = variable
    total = sum(math.prod(variable.shape) for variable in variables.values()) if own else 0
    if total > MAX_PARAMETERS:
        raise BundleError(f"{total:,} parameters up to layer {shortened(layer.name)}, at most {MAX_PARAMETERS:,}")
    work = math.prod(shape[:-1]) * sum(math.prod(variable.shape) for variable in own)
    if work > MAX_WORK:
        raise BundleError(f"layer {shortened(layer.name)} takes {work:,} multiply-adds a photo, at most {MAX_WORK:,}")
    return shape


def _expect_built_on(layer: Layer, inputs: list[Shape]) -> None:
    """Keras builds a layer with the shape its config states, before it is called: that must be the true one."""
    stated = layer.built_on
    if stated is None:
        return
    shapes = stated if isinstance(stated[0], list) else [stated]
    if len(shapes) != len(inputs):
        raise BundleError(f"layer {shortened(layer.name)} is built on {len(shapes)} inputs and given {len(inputs)}")
    for one, given in zip(shapes, inputs, strict=True):
        _expect_same(layer, one, given)


def _expect_same(layer: Layer, stated: Any, given: Shape) -> None:
    if stated is None:
        return
    if len(stated) != len(given) + 1 or any(
        size is not None and size != true for size, true in zip(stated[1:], given, strict=True)
    ):
        raise BundleError(f"layer {shortened(layer.name)} is stated to take {stated[1:]} and given {list(given)}")


def _counted(layer: Layer, inputs: list[Shape], count: int) -> list[Shape]:
    if len(inputs) != count:
        raise BundleError(f"layer {shortened(layer.name)} takes {count} input, given {len(inputs)}")
    return inputs


def _ranked(layer: Layer, inputs: list[Shape], rank: int) -> Shape:
    (shape,) = _counted(layer, inputs, 1)
    if len(shape) != rank:
        raise BundleError(f"layer {shortened(layer.name)} takes inputs of {rank} axes beside the batch, given {shape}")
    return shape


def _setting(layer: Layer, key: str) -> Any:
    if key not in layer.settings:
        raise BundleError(f"layer {shortened(layer.name)} has no {key}")
    return layer.settings[key]


def _windows(layer: Layer, sizes: Shape, window: list[int], dilation: list[int]) -> Shape:
    strides, padding = _setting(layer, "strides"), _setting(layer, "padding")
    if padding == "same":
        return tuple(math.ceil(size / stride) for size, stride in zip(sizes, strides, strict=True))
    return tuple(
        (size - step * (width - 1) - 1) // stride + 1
        for size, width, stride, step in zip(sizes, window, strides, dilation, strict=True)
    )


Implied = tuple[Shape, list[Variable]]


def _bias(layer: Layer, channels: int) -> list[Variable]:
    return [Variable((channels,))] if _setting(layer, "use_bias") else []


def _convolution(layer: Layer, inputs: list[Shape]) -> Implied:
    height, width, channels = _ranked(layer, inputs, 3)
    window = _setting(layer, "kernel_size")
    sizes = _windows(layer, (height, width), window, _setting(layer, "dilation_rate"))
    if layer.kind == "Conv2D":
        filters, groups = _setting(layer, "filters"), _setting(layer, "groups")
        if channels % groups or filters % groups:
            raise BundleError(f"layer {shortened(layer.name)}: {groups} groups do not divide {channels} and {filters}")
        kernels = [Variable((*window, channels // groups, filters))]
    else:
        widened = channels * _setting(layer, "depth_multiplier")
        kernels = [Variable((*window, channels, widened // channels))]
        filters = widened
        if layer.kind == "SeparableConv2D":
            filters = _setting(layer, "filters")
            kernels.append(Variable((1, 1, widened, filters)))
    return (*sizes, filters), kernels + _bias(layer, filters)


def _dense(layer: Layer, inputs: list[Shape]) -> Implied:
    (shape,) = _counted(layer, inputs, 1)
    units = _setting(layer, "units")
    return (*shape[:-1], units), [Variable((shape[-1], units)), *_bias(layer, units)]


def _norm(layer: Layer, inputs: list[Shape]) -> Implied:
    (shape,) = _counted(layer, inputs, 1)
    _expect_last_axis(layer, shape)
    own = [Variable(shape[-1:])] * (_setting(layer, "scale") + _setting(layer, "center"))
    return shape, own + [Variable(shape[-1:])] * (2 if layer.kind == "BatchNormalization" else 0)


def _normalization(layer: Layer, inputs: list[Shape]) -> Implied:
    (shape,) = _counted(layer, inputs, 1)
    _expect_last_axis(layer, shape)
    mean, variance = _setting(layer, "mean"), _setting(layer, "variance")
    if (mean is None) != (variance is None):
        raise BundleError(f"layer {shortened(layer.name)} has only one of mean and variance")
    if mean is not None:
        _expect_channels(layer, mean, shape)
        _expect_channels(layer, variance, shape)
        return shape, []
    return shape, [Variable(shape[-1:]), Variable(shape[-1:]), Variable((), is_count=True)]


def _rescaling(layer: Layer, inputs: list[Shape]) -> Implied:
    (shape,) = _counted(layer, inputs, 1)
    _expect_channels(layer, _setting(layer, "scale"), shape)
    _expect_channels(layer, _setting(layer, "offset"), shape)
    return shape, []


def _expect_last_axis(layer: Layer, shape: Shape) -> None:
    axis = _setting(layer, "axis")
    axis = axis[0] if isinstance(axis, list) else axis
    if axis not in (-1, len(shape)):
        raise BundleError(f"layer {shortened(layer.name)} works on axis {axis}, expected the last")


def _expect_channels(layer: Layer, numbers: Any, shape: Shape) -> None:
    while isinstance(numbers, list) and isinstance(numbers[0], list):
        numbers = numbers[0]
    if isinstance(numbers, list) and len(numbers) != shape[-1]:
        raise BundleError(f"layer {shortened(layer.name)} has {len(numbers)} numbers for {shape[-1]} channels")


def _layer_scale(layer: Layer, inputs: list[Shape]) -> Implied:
    (shape,) = _counted(layer, inputs, 1)
    channels = _setting(layer, "projection_dim")
    if channels != shape[-1]:
        raise BundleError(f"layer {shortened(layer.name)} scales {channels} channels and is given {shape[-1]}")
    return shape, [Variable(shape[-1:])]


def _unchanged(layer: Layer, inputs: list[Shape]) -> Implied:
    return _counted(layer, inputs, 1)[0], []


def _pooling(layer: Layer, inputs: list[Shape]) -> Implied:
    height, width, channels = _ranked(layer, inputs, 3)
    return (*_windows(layer, (height, width), _setting(layer, "pool_size"), [1, 1]), channels), []


def _global_pooling(layer: Layer, inputs: list[Shape]) -> Implied:
    channels = _ranked(layer, inputs, 3)[-1]
    return ((1, 1, channels) if _setting(layer, "keepdims") else (channels,)), []


def _zero_padding(layer: Layer, inputs: list[Shape]) -> Implied:
    height, width, channels = _ranked(layer, inputs, 3)
    (top, bottom), (left, right) = _setting(layer, "padding")
    return (height + top + bottom, width + left + right, channels), []


def _flatten(layer: Layer, inputs: list[Shape]) -> Implied:
    return (math.prod(_counted(layer, inputs, 1)[0]),), []


def _reshape(layer: Layer, inputs: list[Shape]) -> Implied:
    (shape,) = _counted(layer, inputs, 1)
    target = _setting(layer, "target_shape")
    known = math.prod(size for size in target if size != -1)
    if target.count(-1) > 1 or math.prod(shape) % known or (-1 not in target and math.prod(shape) != known):
        raise BundleError(f"layer {shortened(layer.name)} cannot reshape {shape} to {target}")
    return tuple(math.prod(shape) // known if size == -1 else size for size in target), []


def _merged(layer: Layer, inputs: list[Shape]) -> Implied:
    if len(inputs) < 2 or len({len(shape) for shape in inputs}) > 1:
        raise BundleError(f"layer {shortened(layer.name)} cannot merge {inputs}")
    if layer.kind == "Concatenate":
        _expect_last_axis(layer, inputs[0])
        if len({shape[:-1] for shape in inputs}) > 1:
            raise BundleError(f"layer {shortened(layer.name)} cannot put {inputs} side by side")
        return (*inputs[0][:-1], sum(shape[-1] for shape in inputs)), []
    sizes = [set(column) - {1} for column in zip(*inputs, strict=True)]
    if any(len(column) > 1 for column in sizes):
        raise BundleError(f"layer {shortened(layer.name)} cannot merge {inputs}")
    return tuple(next(iter(column), 1) for column in sizes), []


_RULES: dict[str, Callable[[Layer, list[Shape]], Implied]] = {
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "SeparableConv2D"), _convolution),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _norm),
    **dict.fromkeys(("Activation", "ReLU", "Softmax", "Dropout", "SpatialDropout2D"), _unchanged),
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D"), _pooling),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalMaxPooling2D"), _global_pooling),
    **dict.fromkeys(("Add", "Multiply", "Concatenate"), _merged),
    "Dense": _dense,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "LayerScale": _layer_scale,
    "ZeroPadding2D": _zero_padding,
    "Flatten": _flatten,
    "Reshape": _reshape,
}


def _numbered(name: str, seen: dict[str, int]) -> str:
    """Return Keras's name for one more object of a container: conv2d, conv2d_1, conv2d_2."""
    seen[name] = seen.get(name, -1) + 1
    return f"{name}_{seen[name]}" if seen[name] else name


def snake_case(name: str) -> str:
    """Return Keras's word for a class in the paths of weight files: SeparableConv2D is separable_conv2d."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
