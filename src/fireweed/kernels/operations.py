"""The kernels as TensorFlow operations with gradients: convolutions and batch norm in few passes over memory.

Each is a call of numpy functions inside TensorFlow's graph, which hands its arrays over without copying them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from fireweed.kernels import native

Tensor = Any


@dataclass(frozen=True)
class Branch:
    """A convolution and the norm behind it, as tensors: kernel (k, k, inputs, outputs), the others (outputs,)."""

    kernel: Tensor
    bias: Tensor
    gamma: Tensor
    beta: Tensor


def convolve_norm(x: Tensor, branches: Sequence[Branch], relu: bool, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Convolve `x` by each branch, apply relu, norm each channel by its moments in the batch, and concatenate.

    x: float32 (images, height, width, inputs). Returns y, float32 (images, height, width, outputs of all branches), and
    the mean and biased variance of each channel before the norm, through which no gradient flows.
    """
    count = len(branches)

    @tf.custom_gradient
    def operation(x: Tensor, *parameters: Tensor) -> Any:
        kernels, gammas = parameters[:count], parameters[2 * count : 3 * count]
        forward = partial(_forward, count, relu, epsilon)
        y, before, mean, variance = _call(forward, [x, *parameters], 4)
        channels = sum(kernel.shape[-1] for kernel in kernels)
        y.set_shape([*x.shape[:-1], channels])
        mean.set_shape([channels])
        variance.set_shape([channels])

        def gradient(dy: Tensor, *_: Tensor) -> list[Tensor]:
            inner = partial(_backward, count, relu, epsilon)
            d, *gradients = _call(inner, [dy, x, before, mean, variance, *gammas, *kernels], 1 + 4 * count)
            # apart, so that TensorFlow leaves it out where nothing asks for it, as for the photos themselves
            (dx,) = _call(_backward_input, [d, *kernels], 1)
            dx.set_shape(x.shape)
            for result, parameter in zip(gradients, parameters, strict=True):
                result.set_shape(parameter.shape)
            return [dx, *gradients]

        return (y, mean, variance), gradient

    return operation(x, *_flat(branches))


def convolve_norm_fixed(
    x: Tensor, branches: Sequence[Branch], means: Sequence[Tensor], variances: Sequence[Tensor], relu: bool,
    epsilon: float,
) -> Tensor:  # fmt: skip
    """Do the same with given means and variances, (outputs,) each, as in inference; it has no gradient."""
    count = len(branches)
    (y,) = _call(partial(_forward_fixed, count, relu, epsilon), [x, *_flat(branches), *means, *variances], 1)
    y.set_shape([*x.shape[:-1], sum(branch.kernel.shape[-1] for branch in branches)])
    return y


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, relu: bool) -> Tensor:
    """Convolve `x`, then add the bias and apply relu, as in inference; it has no gradient."""
    (y,) = _call(partial(_convolve, relu), [x, kernel, bias], 1)
    y.set_shape([*x.shape[:-1], kernel.shape[-1]])
    return y


def scale(x: Tensor, factors: Tensor, offsets: Tensor) -> Tensor:
    """Return x * factors + offsets, each channel its own, in one pass; it has no gradient."""
    (y,) = _call(_scale, [x, factors, offsets], 1)
    y.set_shape(x.shape)
    return y


def norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Norm each channel by its moments in the batch; return y, and means and biased variances, which have no gradient.

    x: float32 (images, height, width, channels), channels a multiple of 8; gamma, beta: float32 (channels,).
    """

    @tf.custom_gradient
    def operation(x: Tensor, gamma: Tensor, beta: Tensor) -> Any:
        y, mean, variance = _call(partial(_norm, epsilon), [x, gamma, beta], 3)
        y.set_shape(x.shape)
        mean.set_shape(gamma.shape)
        variance.set_shape(gamma.shape)

        def gradient(dy: Tensor, *_: Tensor) -> list[Tensor]:
            results = _call(partial(_norm_back, epsilon), [dy, x, mean, variance, gamma], 3)
            for result, of in zip(results, (x, gamma, beta), strict=True):
                result.set_shape(of.shape)
            return results

        return (y, mean, variance), gradient

    return operation(x, gamma, beta)


def _flat(branches: Sequence[Branch]) -> list[Tensor]:
    names = ("kernel", "bias", "gamma", "beta")
    return [tf.convert_to_tensor(getattr(branch, name)) for name in names for branch in branches]


def _call(function: Callable[..., Any], tensors: list[Tensor], results: int) -> list[Tensor]:
    # without state: what is not used may be left out, and nothing waits for the order of calls
    given = tf.numpy_function(function, tensors, [tf.float32] * results, stateful=False)
    return list(given) if isinstance(given, list | tuple) else [given]  # outside graphs, a single one comes bare


def _convolve(relu: bool, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
    return [_convolve_all(1, relu, x, [kernel, bias])]


def _scale(x: np.ndarray, factors: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    y = native.empty(x.shape)
    native.normalize(x, np.zeros_like(offsets), factors, offsets, y)
    return [y]


def _convolve_all(count: int, relu: bool, x: np.ndarray, parameters: Sequence[np.ndarray]) -> np.ndarray:
    kernels, biases = parameters[:count], parameters[count : 2 * count]
    y = native.empty((*x.shape[:-1], sum(kernel.shape[-1] for kernel in kernels)))
    for kernel, bias, part in zip(kernels, biases, _parts(y, kernels), strict=True):
        native.convolve(x, kernel, part, bias, relu)
    return y


def _forward(count: int, relu: bool, epsilon: float, x: np.ndarray, *parameters: np.ndarray) -> list[np.ndarray]:
    before = _convolve_all(count, relu, x, parameters)
    gamma, beta = (np.concatenate(parameters[i * count : (i + 1) * count]) for i in (2, 3))
    y, mean, variance = _norm(epsilon, before, gamma, beta)
    return [y, before, mean, variance]


def _norm(epsilon: float, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> list[np.ndarray]:
    mean, variance = native.moments(x)
    y = native.empty(x.shape)
    native.normalize(x, _single(mean), _single(gamma / np.sqrt(variance + epsilon)), beta, y)
    return [y, _single(mean), _single(variance)]


def _forward_fixed(count: int, relu: bool, epsilon: float, x: np.ndarray, *parameters: np.ndarray) -> list[np.ndarray]:
    y = _convolve_all(count, relu, x, parameters)
    gamma, beta, mean, variance = (np.concatenate(parameters[i * count : (i + 1) * count]) for i in (2, 3, 4, 5))
    native.normalize(y, mean, _single(gamma / np.sqrt(variance.astype(np.float64) + epsilon)), beta, y)
    return [y]


def _backward(
    count: int, relu: bool, epsilon: float, dy: np.ndarray, x: np.ndarray, before: np.ndarray, mean: np.ndarray,
    variance: np.ndarray, *parameters: np.ndarray,
) -> list[np.ndarray]:  # fmt: skip
    gammas, kernels = parameters[:count], parameters[count:]
    d, d_gamma, d_beta, d_bias = _through_norm(epsilon, relu, dy, before, mean, variance, np.concatenate(gammas))
    parts = _parts(d, kernels)
    d_kernels = [native.kernel_gradient(x, part, kernel.shape) for part, kernel in zip(parts, kernels, strict=True)]
    return [d, *d_kernels, *(part for values in (d_bias, d_gamma, d_beta) for part in _parts(values, kernels))]


def _norm_back(
    epsilon: float, dy: np.ndarray, x: np.ndarray, mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray
) -> list[np.ndarray]:
    return list(_through_norm(epsilon, False, dy, x, mean, variance, gamma)[:3])


def _through_norm(
    epsilon: float, relu: bool, dy: np.ndarray, x: np.ndarray, mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of what the norm (and the relu before it) got, of gamma, beta, and the first's sums.

    With n values a channel and s = 1 / sqrt(variance + epsilon), the gradient behind a norm is
    gamma s (dy - sum(dy) / n - (x - mean) s^2 sum(dy (x - mean)) / n) (Ioffe and Szegedy, arXiv 1502.03167).
    """
    d_beta, products = native.gradient_sums(x, dy, mean)
    inverse = 1.0 / np.sqrt(variance.astype(np.float64) + epsilon)
    a = gamma * inverse
    count = x.size // x.shape[-1]
    factors = (_single(a), _single(-a * inverse**2 * products / count), _single(-a * d_beta / count))
    d = native.empty(x.shape)
    sums = native.normalize_back(x, dy, mean, factors, d, relu)
    return d, _single(products * inverse), _single(d_beta), _single(sums)


def _backward_input(d: np.ndarray, *kernels: np.ndarray) -> list[np.ndarray]:
    inputs = kernels[0].shape[2]
    missing = -inputs % native.LANES
    dx = native.empty((*d.shape[:-1], inputs + missing))
    for number, (part, kernel) in enumerate(zip(_parts(d, kernels), kernels, strict=True)):
        whole = np.pad(kernel, ((0, 0), (0, 0), (0, missing), (0, 0))) if missing else kernel
        native.convolve_back(part, whole, dx, adds=number > 0)
    return [np.ascontiguousarray(dx[..., :inputs]) if missing else dx]


def _parts(whole: np.ndarray, kernels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the channels of each kernel's outputs, as slices of all of them."""
    return np.split(whole, np.cumsum([kernel.shape[-1] for kernel in kernels])[:-1], axis=-1)


def _single(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)
