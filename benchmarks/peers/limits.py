"""The machine's own limits, measured in the same run: matrix products, copies of memory, decoding."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from peers.clock import run_command


def limits(photos: str, repeats: int) -> dict[str, Any]:
    """Measure the float32 matrix rate (2048 x 2048), the rate of copying 256 MB (read + write), and JPEG decoding."""
    a = np.random.default_rng(0).standard_normal((2048, 2048)).astype(np.float32)
    source = np.ones(64 << 20, np.float32)
    target = np.empty_like(source)
    return {
        "flops": 2 * 2048**3 / _median_seconds(lambda: a @ a, repeats),
        "copy_bytes_per_second": 2 * source.nbytes / _median_seconds(lambda: np.copyto(target, source), repeats),
        "decode_rate": _decode_rate(photos),
    }


def _median_seconds(action: Callable[[], Any], repeats: int) -> float:
    action()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _decode_rate(photos: str) -> float:
    """Return photos/s of nothing but decoding JPEGs from memory, by libjpeg-turbo in OpenCV, on all cores."""
    files = [np.fromfile(path, np.uint8) for path in sorted(Path(photos).glob("*/*.jpg"))[:1000]]
    cv2.setNumThreads(1)
    with ThreadPoolExecutor() as pool:
        started = time.perf_counter()
        list(pool.map(lambda data: cv2.imdecode(data, cv2.IMREAD_COLOR).shape, files))
        return len(files) / (time.perf_counter() - started)


if __name__ == "__main__":
    run_command({"limits": limits})
