"""The machine's own limits, measured: how fast it multiplies matrices, how fast it copies memory."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

MATRIX_SIDE = 1024
COPIED_BYTES = 128 << 20
REPEATS = 5


@cache
def matrix_rate() -> float:
    """Return multiply-adds per second of NumPy's float32 matrix product, the best of five, measured once a process."""
    a = np.ones((MATRIX_SIDE, MATRIX_SIDE), np.float32)
    out = np.empty_like(a)
    return MATRIX_SIDE**3 / _quickest(lambda: np.matmul(a, a, out=out))


def memory_rate() -> float:
    """Return bytes per second that one thread reads and writes when it copies 128 MB, the best of five."""
    source = np.ones(COPIED_BYTES // 4, np.float32)
    target = np.empty_like(source)
    target.fill(0)  # pages in place
    return 2 * COPIED_BYTES / _quickest(lambda: np.copyto(target, source))


def device_limits(precision: str) -> tuple[float, float]:
    """Return both rates of the accelerator that Keras computes on: multiply-adds/s in `precision`, bytes/s."""
    import keras

    dtype = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}.get(precision, "float32")
    side = 8 * MATRIX_SIDE
    a = keras.ops.ones((side, side), dtype)
    multiply = _compiled(keras.ops.matmul)
    copied = keras.ops.ones((COPIED_BYTES,), "float32")  # four times as many bytes: a device copies faster
    add = _compiled(keras.ops.add)
    matrix = side**3 / _quickest(lambda: _wait(multiply(a, a)))
    return matrix, 2 * 4 * COPIED_BYTES / _quickest(lambda: _wait(add(copied, 1.0)))


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def _wait(array: Any) -> None:
    """Wait until the device has computed an array; its last number is all that is fetched."""
    float(array[-1] if array.ndim == 1 else array[-1, -1])


def _quickest(action: Callable[[], Any]) -> float:
    action()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
