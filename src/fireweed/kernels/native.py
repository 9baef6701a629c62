"""The compiled kernels as functions of numpy arrays; the C files beside this one have what they compute and how.

Arrays are float32, channels last: (images, height, width, channels). An array may be a slice of the channels of a wider
one, so that parts of a concatenation are read and written in place. Calls leave Python's lock to others.
"""

import contextlib
import ctypes
import functools
import math
import os
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fireweed.devices.machine import allowed_cores
from fireweed.errors import DeviceError, nearest

FEW = 4  # inputs that need be no whole vector: grey, colours, and one more
LANES = 8  # channels that the kernels work on at once: the most that outputs may not be divided by
NAMES = ("avx512", "avx2", "neon")  # the best first
SWITCH = "FIREWEED_KERNELS"
VERSION = 3  # of the functions' arguments and meaning; machine.c has the same

_LOOKS = 2000  # for work before a thread sleeps: some 50 microseconds, longer than from one call to the next
_ALIGNMENT = 64  # TensorFlow takes an aligned array as it is, and copies any other


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels that suit this machine; None where there are none.

    The environment variable FIREWEED_KERNELS names one of them, or says `none`.

    Raises:
        DeviceError: it names another one, or one that is not installed or that this machine has no instructions for.
    """
    name = library_name()
    return None if name == "none" else _loaded(name)


@functools.cache
def library_name() -> str:
    """Return the instructions of the kernels that suit this machine, "avx512" and the like, or "none".

    Raises:
        DeviceError: as `library`.
    """
    asked = os.environ.get(SWITCH, "")
    if asked not in ("", "none", *NAMES):
        raise DeviceError(f"{SWITCH} is {asked!r}; {nearest(asked, ('none', *NAMES))}")
    if asked == "none":
        return "none"
    found = next((name for name in ([asked] if asked else NAMES) if _loaded(name) is not None), "none")
    if asked and found == "none":
        raise DeviceError(
            f"{SWITCH} is {asked!r}, but there are no such kernels here: the machine has no such instructions, or "
            "Fireweed was installed without a C compiler; unset it"
        )
    return found


@functools.cache
def _loaded(name: str) -> ctypes.CDLL | None:
    """Return the kernels of a name; None where they are not installed, of another version, or not for this machine."""
    path = Path(__file__).with_name(f"_{name}{sysconfig.get_config_var('EXT_SUFFIX')}")
    try:
        loaded = ctypes.CDLL(str(path)) if path.is_file() else None
        return loaded if loaded and loaded.version() == VERSION and loaded.usable() else None
    except (OSError, AttributeError):  # built for another machine, or too old to say its version
        return None


def empty(shape: tuple[int, ...], dtype: type[np.generic] = np.float32) -> np.ndarray:
    """Return a new array, not filled, that TensorFlow takes without a copy."""
    size = np.dtype(dtype).itemsize
    count = math.prod(shape)
    room = np.empty(count + _ALIGNMENT // size, dtype)
    start = -room.ctypes.data % _ALIGNMENT // size
    return room[start : start + count].reshape(shape)


def convolve(
    x: np.ndarray, kernel: np.ndarray, y: np.ndarray, bias: np.ndarray | None = None, relu: bool = False,
    adds: bool = False, scale: np.ndarray | None = None, shift: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Write the "same" convolution of `x` with stride 1 into `y`, with bias and relu; `adds`: add it to what is there.

    kernel: (1, 1, inputs, outputs) or (3, 3, inputs, outputs). Inputs and outputs are multiples of 8; with a 3x3
            kernel, without `adds`, up to 4 inputs will do as well, as long as x is no slice.
    scale, shift: both or none, (outputs,); without `adds`, what is behind the relu is multiplied and shifted by them.
    weights: `transformed(kernel)`, where the kernel is used many times.
    """
    height, width, inputs, outputs = kernel.shape
    images, rows, columns, _ = x.shape
    _check_whole(outputs, inputs if (height, width) == (1, 1) or adds else LANES)
    sizes, target = (images, rows, columns, inputs, outputs), (_pointer(y), _stride(y))
    finish = (_pointer(bias), relu, _pointer(scale), _pointer(shift))
    if (height, width) == (1, 1):
        pixels = images * rows * columns
        _call("convolve_1x1", x, _stride(x), kernel, *finish, adds, *target, pixels, inputs, outputs)
    elif inputs % LANES:
        _check_whole_pixels(x)
        _call("convolve_few", x, kernel, *finish, *target, *sizes)
    else:
        weights = transformed(kernel) if weights is None else weights
        _call("convolve_3x3", x, _stride(x), weights, *finish, adds, *target, *sizes)


def transformed(kernel: np.ndarray) -> np.ndarray | None:
    """Return what `convolve` makes of a kernel before it begins; None where it uses the kernel as it is."""
    return _transformed(kernel, False) if kernel.shape[0] == 3 and kernel.shape[2] % LANES == 0 else None


def convolve_back(d: np.ndarray, kernel: np.ndarray, dx: np.ndarray, adds: bool = False) -> None:
    """Write the gradient of the input of `convolve` into `dx`, given that of its output; `adds`: add it.

    Inputs and outputs are multiples of 8.
    """
    height, width, inputs, outputs = kernel.shape
    images, rows, columns, _ = d.shape
    _check_whole(inputs, outputs)
    settings = (None, 0, None, None, adds, _pointer(dx), _stride(dx))
    if (height, width) == (1, 1):
        turned = np.ascontiguousarray(kernel[0, 0].T)
        _call("convolve_1x1", d, _stride(d), turned, *settings, images * rows * columns, outputs, inputs)
    else:
        weights = _transformed(kernel, True)
        _call("convolve_3x3", d, _stride(d), weights, *settings, images, rows, columns, outputs, inputs)


def kernel_gradient(x: np.ndarray, d: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the gradient of the kernel of `convolve`, of the kernel's shape, given that of its output."""
    gradient = np.empty(shape, np.float32)
    images, rows, columns, _ = x.shape
    _check_whole(shape[3], shape[2] if shape[:2] == (1, 1) else LANES)
    places = (_pointer(x), _stride(x), _pointer(d), _stride(d), _pointer(gradient))
    if shape[:2] == (1, 1):
        _call("kernel_gradient_1x1", *places, images * rows * columns, *shape[2:])
    elif shape[2] % LANES:
        _check_whole_pixels(x)
        _call("kernel_gradient_few", x, d, _stride(d), gradient, images, rows, columns, *shape[2:])
    else:
        _call("kernel_gradient_3x3", *places, images, rows, columns, *shape[2:])
    return gradient


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keep the kernels' threads awake from one call to the next, where nobody else computes in between."""
    look = function("look_so_often")
    look(ctypes.c_long(_LOOKS))
    try:
        yield
    finally:
        look(ctypes.c_long(0))


def floats_of(photos: np.ndarray, y: np.ndarray, scale: float = 1.0, shift: float = 0.0) -> None:
    """Write photos, uint8, as photos * scale + shift into `y`, float32 of the same shape; both are whole arrays."""
    if photos.shape != y.shape or photos.dtype != np.uint8 or not (photos.flags.c_contiguous and y.flags.c_contiguous):
        raise ValueError(f"the kernels take whole arrays of bytes, not {photos.dtype} {photos.shape} for {y.shape}")
    _call("floats_of", ctypes.c_void_p(photos.ctypes.data), y, ctypes.c_float(scale), ctypes.c_float(shift), y.size)


def pool(
    x: np.ndarray, y: np.ndarray, size: tuple[int, int], strides: tuple[int, int], padding: tuple[int, int] = (0, 0),
    averages: bool = False,
) -> None:  # fmt: skip
    """Write the largest value, or the average, of each window of `x` into `y`; channels are a multiple of 8.

    size, strides, padding: (high, wide). A window begins so many pixels before the picture's edges as `padding` says;
    what lies outside the picture does not count. Every window holds at least one pixel.
    """
    images, rows, columns, channels = x.shape
    _check_whole(channels)
    _call("pool", x, _stride(x), y, _stride(y), images, rows, columns, *y.shape[1:3], channels, *size, *strides,
          *padding, averages)  # fmt: skip


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and biased variance of each channel, float64."""
    # A first guess of the mean keeps the difference of squares from losing digits.
    _check_whole(x.shape[-1])
    guess = np.ascontiguousarray(x[0, 0].mean(axis=0, dtype=np.float32))
    pixels = x.size // x.shape[-1]
    first, second = np.empty((2, x.shape[-1]))
    _call("norm_sums", x, _stride(x), guess, first, second, pixels, x.shape[-1])
    mean = first / pixels
    return mean + guess, np.maximum(second / pixels - mean**2, 0.0)


def normalize(x: np.ndarray, mean: np.ndarray, scale: np.ndarray, shift: np.ndarray, y: np.ndarray) -> None:
    """Write (x - mean) scale + shift, all float32 of shape (channels,), into `y`."""
    _call("norm_apply", x, _stride(x), mean, scale, shift, y, _stride(y), x.size // x.shape[-1], x.shape[-1])


def gradient_sums(x: np.ndarray, d: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of each channel of d and of d (x - mean), float64."""
    first, second = np.empty((2, x.shape[-1]))
    pixels = x.size // x.shape[-1]
    _call("norm_gradient_sums", x, _stride(x), d, _stride(d), mean, first, second, pixels, x.shape[-1])
    return first, second


def normalize_back(
    x: np.ndarray, d: np.ndarray, mean: np.ndarray, factors: tuple[np.ndarray, np.ndarray, np.ndarray], dx: np.ndarray,
    relu: bool,
) -> np.ndarray:  # fmt: skip
    """Write a d + b (x - mean) + e, factors being (a, b, e), into `dx`, 0 where relu gave 0; return the sums."""
    sums = np.empty(x.shape[-1])
    a, b, e = factors
    pixels = x.size // x.shape[-1]
    _call("norm_gradient", x, _stride(x), d, _stride(d), mean, a, b, e, relu, dx, _stride(dx), sums, pixels,
          x.shape[-1])  # fmt: skip
    return sums


def _check_whole(*channels: int) -> None:
    if any(count % LANES or count < 1 for count in channels):
        raise ValueError(f"the kernels take channels in whole {LANES}s, not {channels}")


def _check_whole_pixels(x: np.ndarray) -> None:
    if _stride(x).value != x.shape[-1]:
        raise ValueError("the kernels take a slice of channels only in whole vectors")


def _transformed(kernel: np.ndarray, backward: bool) -> np.ndarray:
    inputs, outputs = kernel.shape[2:]
    weights = np.empty((36, outputs, inputs) if backward else (36, inputs, outputs), np.float32)
    transform = function("transform_kernel")
    transform(
        _pointer(kernel), _pointer(weights), ctypes.c_long(inputs), ctypes.c_long(outputs), ctypes.c_long(backward)
    )
    return weights


def _call(name: str, *arguments: object) -> None:
    sent = [
        _pointer(value) if isinstance(value, np.ndarray) else ctypes.c_long(value) if isinstance(value, int) else value
        for value in arguments
    ]
    if function(name)(*sent, ctypes.c_long(allowed_cores())):
        raise MemoryError(f"{name} found no memory")


def function(name: str) -> Callable[..., int]:
    """Return a function of the library.

    Raises:
        DeviceError: there are no compiled kernels here.
    """
    loaded = library()
    if loaded is None:
        raise DeviceError("there are no compiled kernels here; install Fireweed where there is a C compiler")
    return getattr(loaded, name)


def _pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    if array is not None and array.dtype not in (np.float32, np.float64):
        raise ValueError(f"the kernels take float32 numbers, not {array.dtype}")
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _stride(array: np.ndarray) -> ctypes.c_long:
    """Return the floats from one pixel to the next, having checked that pixels lie in a row."""
    step = array.strides[-2]
    expected = (array.shape[1] * array.shape[2] * step, array.shape[2] * step, step, 4)
    if array.dtype != np.float32 or any(
        n > 1 and s != e for n, s, e in zip(array.shape, array.strides, expected, strict=True)
    ):
        raise ValueError(f"the kernels take float32 pixels in a row, not {array.dtype} with strides {array.strides}")
    return ctypes.c_long(step // 4)
