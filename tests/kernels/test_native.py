"""The compiled kernels compute what numpy computes in float64, whatever the shape, slices included."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fireweed.kernels import native

pytestmark = pytest.mark.skipif(native.library() is None, reason="no compiled kernels: no C compiler, or another chip")

SHAPES = [(2, 13, 9, 24, 24), (1, 8, 8, 8, 16), (1, 5, 7, 64, 40), (3, 1, 1, 16, 8), (1, 4, 33, 48, 72)]


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def slice_of(array: np.ndarray) -> np.ndarray:
    """Return the same values as a slice of the channels of a wider array."""
    wide = np.full((*array.shape[:-1], array.shape[-1] + 16), np.nan, np.float32)
    wide[..., 8:-8] = array
    return wide[..., 8:-8]


def convolved(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    reach = kernel.shape[0] // 2
    rows, columns = x.shape[1:3]
    x = np.pad(x.astype(np.float64), ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    size = range(kernel.shape[0])
    return sum(x[:, i : i + rows, j : j + columns] @ kernel[i, j].astype(np.float64) for i in size for j in size)


def assert_close(ours: np.ndarray, exact: np.ndarray) -> None:
    assert ours.shape == exact.shape
    assert np.abs(ours - exact).max() <= 5e-6 * np.abs(exact).max()


@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_convolution_and_its_gradients(shape, side):
    images, rows, columns, inputs, outputs = shape
    x, d = slice_of(random(images, rows, columns, inputs)), slice_of(random(images, rows, columns, outputs))
    kernel, bias = random(side, side, inputs, outputs), random(outputs)
    y, dx = slice_of(np.zeros_like(d)), np.zeros_like(x)
    native.convolve(x, kernel, y, bias, relu=True)
    assert_close(y, np.maximum(convolved(x, kernel) + bias, 0))
    native.convolve_back(d, kernel, dx)
    exact = convolved(d, kernel[::-1, ::-1].transpose(0, 1, 3, 2))
    assert_close(dx, exact)
    native.convolve_back(d, kernel, dx, adds=True)
    assert_close(dx, 2 * exact)
    reach = side // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    exact = np.array([[np.einsum("nhwc,nhwd->cd", padded[:, i : i + rows, j : j + columns], d) for j in range(side)]
                      for i in range(side)])  # fmt: skip
    assert_close(native.kernel_gradient(x, d, kernel.shape), exact)


def test_convolution_of_photos_with_three_channels():
    x, kernel, d = random(2, 7, 5, 3), random(3, 3, 3, 32), random(2, 7, 5, 32)
    y = np.empty_like(d)
    native.convolve(x, kernel, y, relu=True)
    assert_close(y, np.maximum(convolved(x, kernel), 0))
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    exact = np.array([[np.einsum("nhwc,nhwd->cd", padded[:, i : i + 7, j : j + 5], d) for j in range(3)]
                      for i in range(3)])  # fmt: skip
    assert_close(native.kernel_gradient(x, d, kernel.shape), exact)


@pytest.mark.parametrize("channels", [8, 24, 200])
def test_norm_of_values_far_from_zero(channels):
    x = 1000 + random(3, 11, 7, channels)
    mean, variance = native.moments(x)
    exact = x.astype(np.float64).reshape(-1, channels)
    assert np.abs(mean - exact.mean(axis=0)).max() < 1e-4
    assert np.abs(variance / exact.var(axis=0) - 1).max() < 1e-4
    d, y = random(3, 11, 7, channels), np.empty_like(x)
    first, second = native.gradient_sums(x, d, mean.astype(np.float32))
    assert np.allclose(first, d.astype(np.float64).sum((0, 1, 2)), atol=1e-4)
    assert np.allclose(second, (d * (x - mean)).astype(np.float64).sum((0, 1, 2)), atol=1e-2)
    native.normalize(x, *(v.astype(np.float32) for v in (mean, 1 / np.sqrt(variance), np.zeros(channels))), y)
    assert np.allclose(y.mean((0, 1, 2)), 0, atol=1e-3) and np.allclose(y.std((0, 1, 2)), 1, atol=1e-3)


def test_the_same_work_gives_the_same_bits():
    x, d = random(2, 31, 17, 24), random(2, 31, 17, 48)
    first, second = (native.kernel_gradient(x, d, (3, 3, 24, 48)) for _ in range(2))
    assert np.array_equal(first, second)


def test_pixels_that_do_not_lie_in_a_row_are_refused():
    with pytest.raises(ValueError, match="in a row"):
        native.convolve(random(1, 8, 8, 8)[:, ::2], random(1, 1, 8, 8), random(1, 4, 8, 8))


def test_channels_that_are_no_whole_vectors_are_refused():
    with pytest.raises(ValueError, match="whole 8s"):
        native.convolve_back(random(1, 4, 4, 8), random(3, 3, 3, 8), random(1, 4, 4, 3))
    with pytest.raises(ValueError, match="whole 8s"):
        native.convolve(random(1, 4, 4, 8), random(3, 3, 8, 12), random(1, 4, 4, 12))
    with pytest.raises(ValueError, match="whole 8s"):
        native.moments(random(1, 4, 4, 5))


def test_each_kind_of_instructions_gives_the_same():
    code = (
        "import numpy as np; from fireweed.kernels import native; x = np.ones((1, 9, 9, 24), np.float32);"
        "y = np.empty((1, 9, 9, 24), np.float32); k = np.full((3, 3, 24, 24), 0.5, np.float32);"
        "print(native.library() and (native.convolve(x, k, y) or y[0, 4, 4, 0]))"
    )
    values = []
    for name in ("none", *native.NAMES):
        environment = {**os.environ, native.SWITCH: name}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        if name == "none":
            assert done.stdout.strip() == "None"
        elif done.returncode:
            assert "there are no such kernels here" in done.stderr
        else:
            values.append(float(done.stdout))
    assert values and np.allclose(values, 108)


@pytest.mark.parametrize("cores", [1, 3, 100])
def test_any_number_of_threads_does(cores, monkeypatch):
    monkeypatch.setattr(native, "allowed_cores", lambda: cores)
    x, kernel, d = random(2, 9, 11, 8), random(3, 3, 8, 16), random(2, 9, 11, 16)
    y, dx = np.empty_like(d), np.empty_like(x)
    native.convolve(x, kernel, y)
    assert_close(y, convolved(x, kernel))
    native.convolve_back(d, kernel, dx)
    assert_close(dx, convolved(d, kernel[::-1, ::-1].transpose(0, 1, 3, 2)))
    for side in (1, 3):
        assert native.kernel_gradient(x, d, (side, side, 8, 16)).shape == (side, side, 8, 16)
    mean, variance = native.moments(x)
    assert np.allclose(mean, x.mean((0, 1, 2)), atol=1e-6) and np.allclose(variance, x.var((0, 1, 2)), atol=1e-5)
    ones, zeros = np.ones(8, np.float32), np.zeros(8, np.float32)
    native.normalize(x, zeros, ones, zeros, dx)
    assert np.array_equal(dx, x)
    assert np.allclose(native.normalize_back(x, x, zeros, (ones, zeros, zeros), dx, False), x.sum((0, 1, 2)), atol=1e-4)


def test_what_is_not_a_number_stays_so():
    x = random(1, 8, 8, 8)
    x[0, 3, 3, 3] = np.nan
    y = np.empty_like(x)
    native.convolve(x, random(1, 1, 8, 8), y, relu=True)
    assert np.isnan(y[0, 3, 3]).all() and np.isfinite(y[0, 0, 0]).all()


@pytest.mark.parametrize("averages", [False, True])
@pytest.mark.parametrize("side", [2, 3])  # the usual one has a loop of its own
def test_what_is_not_a_number_stays_so_through_pooling(side, averages):
    for row, column in np.ndindex(side, side):
        x, y = random(1, 6, 6, 8), np.empty((1, 6 // side, 6 // side, 8), np.float32)
        x[0, row, column, 3] = np.nan
        native.pool(x, y, (side, side), (side, side), averages=averages)
        assert np.isnan(y[0, 0, 0, 3]) and np.isnan(y).sum() == 1


def test_large_arrays_are_written_past_the_caches_alike():
    x = random(2, 600, 600, 24)[:, :, :, :16]
    y = native.empty((2, 600, 600, 24))[:, :, :, 8:]
    ones = np.ones(16, np.float32)
    native.normalize(x, ones, 2 * ones, ones, y)
    assert np.array_equal(y, (x - 1) * 2 + 1)


def test_convolutions_apply_a_norm_as_they_write():
    scale, shift = random(16) - 1, random(16)
    for inputs, side in ((8, 1), (8, 3), (3, 3), (4, 3), (1, 3)):
        x, kernel, bias = random(2, 6, 29, inputs), random(side, side, inputs, 16), random(16)
        y = slice_of(np.zeros((2, 6, 29, 16), np.float32))
        native.convolve(x, kernel, y, bias, True, scale=scale, shift=shift, weights=native.transformed(kernel))
        assert_close(y, np.maximum(convolved(x, kernel) + bias, 0) * scale + shift)


@pytest.mark.parametrize(("size", "strides", "padding"), [((2, 2), (2, 2), (0, 0)), ((3, 2), (2, 1), (1, 0))])
@pytest.mark.parametrize("averages", [False, True])
def test_pooling(size, strides, padding, averages):
    x = slice_of(random(2, 7, 8, 16))
    rows, columns = ((x.shape[i + 1] + 2 * padding[i] - size[i]) // strides[i] + 1 for i in (0, 1))
    y = np.empty((2, rows, columns, 16), np.float32)
    native.pool(x, y, size, strides, padding, averages)
    for i, j in np.ndindex(rows, columns):
        top, left = i * strides[0] - padding[0], j * strides[1] - padding[1]
        window = x[:, max(top, 0) : top + size[0], max(left, 0) : left + size[1]].astype(np.float64)
        assert_close(y[:, i, j], window.mean(axis=(1, 2)) if averages else window.max(axis=(1, 2)))


def test_bytes_become_floats():
    photos = np.arange(2 * 9 * 5 * 3, dtype=np.uint32).astype(np.uint8).reshape(2, 9, 5, 3)
    y = np.empty(photos.shape, np.float32)
    native.floats_of(photos, y, 1 / 127.5, -1.0)
    assert_close(y, photos / 127.5 - 1)
    with pytest.raises(ValueError, match="whole arrays of bytes"):
        native.floats_of(photos[:, ::2], y[:, ::2])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which Linux alone has")
def test_a_library_that_is_loaded_alone_runs_nothing_in_a_forked_process():
    """It may be one for another machine: here its code is made such that running any of it kills."""
    code = (
        "import ctypes, os, sys\n"
        "library = ctypes.CDLL(sys.argv[1])\n"
        "for line in open('/proc/self/maps'):\n"
        "    place, rights, *_, path = line.split()\n"
        "    if path == sys.argv[1] and 'x' in rights:\n"
        "        start, end = (int(number, 16) for number in place.split('-'))\n"
        "        read = ctypes.c_int(1)\n"
        "        assert not ctypes.CDLL(None).mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), read)\n"
        "        child = os.fork()\n"
        "        os._exit(0 if child == 0 else os.waitpid(child, 0)[1] != 0)\n"
        "sys.exit('found no code')\n"
    )
    path = os.path.realpath(native.library()._name)
    subprocess.run([sys.executable, "-c", code, path], check=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(native, "allowed_cores", lambda: 3)
    x, y = random(2, 9, 9, 8), np.empty((2, 9, 9, 8), np.float32)
    native.pool(x, y, (1, 1), (1, 1))
    child = os.fork()
    if child == 0:  # a child that waits for threads it does not have would hang
        signal.alarm(20)
        native.pool(x + 1, y, (1, 1), (1, 1))
        os._exit(0 if np.array_equal(y, x + 1) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_callers_at_once_get_each_their_own(monkeypatch):
    monkeypatch.setattr(native, "allowed_cores", lambda: 3)  # on one core too, so that they meet at the threads

    def work(number: int) -> bool:
        x, y = np.full((4, 9, 9, 8), number, np.float32), np.empty((4, 9, 9, 8), np.float32)
        for _ in range(100):
            native.pool(x, y, (1, 1), (1, 1))
        return bool((y == number).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
