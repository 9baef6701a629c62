"""A plain model's answers by the compiled kernels alone: a list of steps over arrays, without TensorFlow's graph.

What it saves beside the kernels in a graph: tracing, the calls from TensorFlow to Python and back, and memory traffic.
A few photos at a time go through the whole net, so that what one layer writes is still in the cache when the next one
reads it; the parts of a concatenation are written where it has them; norms are applied as convolutions write; and the
same memory serves layer after layer, batch after batch.
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
from fireweed.serving.folding import ONLY_IN_TRAINING, Call, Graph, own_map, plain_graph, weights_of
from fireweed.serving.locks import ForkedLock

LARGEST = 4 << 20  # numbers in one layer's output, of all photos that go through the net together: 16 MB
MOST = 32  # photos that go through together, however small they are

_POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D)
_ACTIVATIONS = (keras.activations.linear, keras.activations.relu, keras.activations.softmax)  # behind a dense layer
_LARGEST_DENSE = 1 << 20  # weights; they are read anew for every few photos


class _UnfitError(Exception):
    """A layer is of a kind that is not known here."""


@dataclass(eq=False)
class _Value:
    """What a layer gives for one photo. It may lie among the channels of another, from `start` on."""

    shape: tuple[int, ...]
    whole: "_Value | None" = None
    start: int = 0

    def root(self) -> "_Value":
        """Return the value whose memory this one lies in."""
        return self if self.whole is None else self.whole.root()

    def within(self, array: np.ndarray) -> np.ndarray:
        """Return this value's part of the root's array."""
        if self.whole is None:
            return array
        return self.whole.within(array)[..., self.start : self.start + self.shape[-1]]


@dataclass
class _Step:
    """A function that reads an array and writes another."""

    function: Callable[[np.ndarray, np.ndarray], None]
    given: _Value
    result: _Value


class _Convolution:
    """A convolution with relu or nothing behind it, and a norm behind that if there is one."""

    def __init__(self, layer: layers.Conv2D) -> None:
        kernel, *bias = (values.astype(np.float32) for values in weights_of(layer))
        self._kernel, self._weights = kernel, native.transformed(kernel)
        self._bias = bias[0] if bias else None
        self._relu = layer.activation is keras.activations.relu
        self.norm: tuple[np.ndarray, ...] = ()

    def __call__(self, x: np.ndarray, y: np.ndarray) -> None:
        scale, shift = self.norm or (None, None)
        native.convolve(x, self._kernel, y, self._bias, self._relu, False, scale, shift, self._weights)


def direct_answers(model: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function that answers as `model` does in inference; None where the kernels cannot do all of its layers.

    It takes photos, uint8 (photos, side, side, 3), any number of them, and returns the model's outputs, float32;
    probabilities agree within 1e-4, relative. The weights are those that the model has now.
    """
    if keras.backend.backend() != "tensorflow" or not isinstance(model, keras.Model) or not can_run():
        return None
    graph = plain_graph(model)
    try:
        return None if graph is None else _Builder(graph).program()
    except _UnfitError:
        return None


class _Builder:
    """Turns the calls of a net into steps, in their order."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._photo = _Value(_shape(graph.photos))
        self._scaling = (1.0, 0.0)  # applied to photos as they are read
        self._steps: list[_Step] = []
        self._sources: dict[_Value, _Step] = {}  # the step that gives a value
        self._uses = graph.uses()
        self._uses[id(graph.answers)] += 1
        self._values: dict[int, _Value] = {}  # by the id of the tensor; a value may be several tensors'
        self._readers: Counter[_Value] = Counter()

    def program(self) -> "_Program":
        """Return the steps as a program.

        Raises:
            _UnfitError: a layer is not known here.
        """
        self._bind(self._graph.photos, self._photo)
        for call in self._graph.calls:
            given = keras.tree.map_structure(lambda tensor: self._values[id(tensor)], call.given)
            if isinstance(given, list):
                self._bind(call.result, self._concatenated(call, given))
            elif self._passes_on(call, given):
                self._readers[given] -= 1  # those of the result read it instead
                self._bind(call.result, given)
            else:
                self._bind(call.result, self._done(call, given))
        if not self._steps:
            raise _UnfitError
        return _Program(self._steps, self._photo, self._scaling, self._values[id(self._graph.answers)])

    def _bind(self, tensor: Any, value: _Value) -> None:
        self._values[id(tensor)] = value
        self._readers[value] += self._uses[id(tensor)]

    def _concatenated(self, call: Call, given: list[_Value]) -> _Value:
        """Let the parts lie side by side in one; each can lie in one place only."""
        shape = _shape(call.result)
        is_by_channels = type(call.layer) is layers.Concatenate and call.layer.axis in (-1, len(shape))
        has_place = any(part.whole is not None or part is self._photo for part in given)
        is_whole = len(shape) != 3 or all(part.shape[-1] % native.LANES == 0 for part in given)  # as kernels take parts
        if not is_by_channels or has_place or not is_whole or len(set(given)) < len(given):
            raise _UnfitError
        whole, start = _Value(shape), 0
        for part in given:
            part.whole, part.start = whole, start
            start += part.shape[-1]
        return whole

    def _passes_on(self, call: Call, given: _Value) -> bool:
        """Return whether a layer needs no step: it does nothing in inference, or what is before it does its work."""
        if type(call.layer) in ONLY_IN_TRAINING or self._scales_photos(call.layer, given):
            return True
        own = own_map(call)
        return own is not None and self._is_taken_up(given, own)

    def _done(self, call: Call, given: _Value) -> _Value:
        """Let a step do a layer."""
        result = _Value(_shape(call.result))
        step = _Step(_function(call, given), given, result)
        self._steps.append(step)
        self._sources[result] = step
        return result

    def _scales_photos(self, layer: keras.Layer, given: _Value) -> bool:
        """Return whether the photos can be scaled as they are read, which is so where nothing sees them unscaled."""
        is_first = given is self._photo and not self._steps and self._scaling == (1.0, 0.0)
        if not is_first or type(layer) is not layers.Rescaling or self._readers[given] > 1:
            return False
        if np.ndim(layer.scale) or np.ndim(layer.offset):
            return False
        self._scaling = (float(layer.scale), float(layer.offset))
        return True

    def _is_taken_up(self, given: _Value, own: tuple[np.ndarray, np.ndarray]) -> bool:
        """Return whether the convolution before a norm applies it; so where nothing else sees the convolution."""
        before = self._sources.get(given)
        function = None if before is None else before.function
        if not isinstance(function, _Convolution) or function.norm or self._readers[given] > 1:
            return False
        function.norm = _in_single(own)
        return True


def _shape(tensor: Any) -> tuple[int, ...]:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise _UnfitError
    return shape


def _in_single(values: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(value, np.float32) for value in values)


def _function(call: Call, given: _Value) -> Callable[..., None]:
    """Return the function that does a layer."""
    layer, own = call.layer, own_map(call)
    if own is not None:
        scale, shift = _in_single(own)
        return _map(scale, shift, len(given.shape) == 3)
    if convolution_fits(layer):
        return _Convolution(layer)
    if type(layer) in _POOLINGS and given.shape[-1] % native.LANES == 0:
        return _pooling(layer, given.shape, _shape(call.result))
    if type(layer) is layers.GlobalAveragePooling2D and not layer.keepdims:
        return _mean
    if type(layer) is layers.Flatten:
        return lambda x, y: np.copyto(y, x.reshape(y.shape))
    if type(layer) is layers.Dense and len(given.shape) == 1 and layer.count_params() <= _LARGEST_DENSE:
        return _dense(layer)
    raise _UnfitError


def _map(scale: np.ndarray, shift: np.ndarray, is_picture: bool) -> Callable[..., None]:
    zeros = np.zeros_like(scale)

    def apply(x: np.ndarray, y: np.ndarray) -> None:
        if is_picture and len(scale) % native.LANES == 0:
            native.normalize(x, zeros, scale, shift, y)
        else:
            np.multiply(x, scale, out=y)
            y += shift

    return apply


def _pooling(layer: keras.Layer, shape: tuple[int, ...], outputs: tuple[int, ...]) -> Callable[..., None]:
    missing = [
        max((outputs[i] - 1) * layer.strides[i] + layer.pool_size[i] - shape[i], 0) if layer.padding == "same" else 0
        for i in (0, 1)
    ]
    size, strides, padding = tuple(layer.pool_size), tuple(layer.strides), (missing[0] // 2, missing[1] // 2)
    averages = type(layer) is layers.AveragePooling2D
    return lambda x, y: native.pool(x, y, size, strides, padding, averages)


def _mean(x: np.ndarray, y: np.ndarray) -> None:
    y[:] = x.reshape(len(x), -1, x.shape[-1]).mean(axis=1, dtype=np.float64)


def _dense(layer: layers.Dense) -> Callable[..., None]:
    kernel, *bias = _in_single(tuple(weights_of(layer)))
    activation = layer.activation
    if activation not in _ACTIVATIONS:
        raise _UnfitError

    def apply(x: np.ndarray, y: np.ndarray) -> None:
        np.matmul(x, kernel, out=y)
        if bias:
            y += bias[0]
        if activation is keras.activations.relu:
            np.maximum(y, 0, out=y)
        elif activation is keras.activations.softmax:
            np.exp(y - y.max(axis=1, keepdims=True), out=y)
            y /= y.sum(axis=1, keepdims=True)

    return apply


class _Program:
    """The steps with the memory that they read and write; threads take turns."""

    def __init__(self, steps: list[_Step], photo: _Value, scaling: tuple[float, float], answer: _Value) -> None:
        self._together = max(1, min(MOST, LARGEST // max(_size(step.result.root()) for step in steps)))
        arrays = _memory(steps, photo, answer, self._together)
        self._steps = [
            (
                step.function,
                step.given.within(arrays[step.given.root()]),
                step.result.within(arrays[step.result.root()]),
            )
            for step in steps
        ]
        self._photo, self._answer = arrays[photo], answer.within(arrays[answer.root()])
        self._scaling, self._lock = scaling, ForkedLock()

    def __call__(self, photos: np.ndarray) -> np.ndarray:
        photos = np.ascontiguousarray(photos)
        answers = np.empty((len(photos), *self._answer.shape[1:]), np.float32)
        with self._lock, native.awake():
            for start in range(0, len(photos), self._together):
                count = min(self._together, len(photos) - start)
                native.floats_of(photos[start : start + count], self._photo[:count], *self._scaling)
                for function, given, result in self._steps:
                    function(given[:count], result[:count])
                answers[start : start + count] = self._answer[:count]
        return answers


def _size(value: _Value) -> int:
    return int(np.prod(value.shape))


def _memory(steps: list[_Step], photo: _Value, answer: _Value, photos: int) -> dict[_Value, np.ndarray]:
    """Return an array of so many photos for each value that lies in no other; those never needed at once share one."""
    last_read = {step.given.root(): number for number, step in enumerate(steps)} | {answer.root(): len(steps)}
    arrays: dict[_Value, np.ndarray] = {}
    free: list[np.ndarray] = []  # flat, the memory of what has been read for the last time
    used: dict[_Value, np.ndarray] = {}

    def take(value: _Value) -> None:
        count = photos * _size(value)
        fitting = [i for i, room in enumerate(free) if room.size >= count]
        room = free.pop(min(fitting, key=lambda i: free[i].size)) if fitting else native.empty((count,))
        used[value], arrays[value] = room, room[:count].reshape(photos, *value.shape)

    take(photo)
    for number, step in enumerate(steps):
        if step.result.root() not in arrays:
            take(step.result.root())
        free += [used.pop(value) for value in list(used) if last_read.get(value, -1) <= number]
    return arrays
