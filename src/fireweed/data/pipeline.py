"""Plan and photos to batches: the one place where reading, caching and speed live.

Each photo is decoded once, when it is first needed, to a uint8 square in an indexed cache. A batch is one call that
gathers, crops, resizes and augments with OpenCV, outside Python's lock; tf.data runs some of them ahead of the step.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from fireweed.data.augment import apply_row
from fireweed.data.catalog import Photo
from fireweed.data.decode import Fit, decode_square
from fireweed.data.parallel import processors
from fireweed.data.plan import Plan, Rows, evaluation_rows
from fireweed.data.records import read_bytes
from fireweed.devices.backends import tensorflow
from fireweed.errors import DataError, FireweedError, PhotoError
from fireweed.files import cache_folder

MEMORY_SHARE = 0.4  # of the memory free at the start that the cached squares of one part may take
DISK_SHARE = 0.8  # of the free disk
AHEAD = 3  # batches made before they are asked for
CGROUP_LIMIT, CGROUP_USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


class SquareCache:
    """The photos of one part as uint8 squares, decoded when first asked for.

    The squares lie in memory when they fit the budget, else in a file that the operating system pages in and out,
    else, where the disk has no room for them either, nowhere: every batch decodes anew.

    Args:
        photos: the photos, in the order that indices count.
        side_px: side of a square.
        fit: how a photo is made square.
        memory_bytes: budget; None takes a share of what is free now.
        folder: where the file goes when memory does not suffice; None is the system's temporary folder.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        side_px: int,
        fit: Fit,
        memory_bytes: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.photos, self.side_px, self.fit = photos, side_px, fit
        self.workers = processors()
        self._is_there = np.zeros(len(photos), bool)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        self._file: Any = None
        self._squares = self._room(memory_bytes, folder)

    def gather(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return the squares of the photos at `indices`, each uint8 (side, side, 3), not to be written to.

        Raises:
            DataError: a photo that could be read when the run began cannot be read any more.
        """
        if self._squares is None:
            return list(self._pool.map(self._decode, indices))
        missing = np.unique(indices[~self._is_there[indices]])
        for index, square in zip(missing, self._pool.map(self._decode, missing), strict=True):
            self._squares[index] = square
        self._is_there[missing] = True
        return [self._squares[index] for index in indices]

    def close(self) -> None:
        """Let go of the squares; remove the file that held them."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._squares = None
        if self._file is not None:
            self._file.close()

    def _decode(self, index: int) -> np.ndarray:
        photo = self.photos[index]
        try:
            return decode_square(read_bytes(photo), self.side_px, self.fit)
        except (PhotoError, OSError, DataError) as error:
            raise DataError(
                f"{photo.name or photo.path} could be read when the run began and cannot any more: {error}"
            ) from error

    def _room(self, memory_bytes: int | None, folder: Path | None) -> np.ndarray | None:
        shape = (len(self.photos), self.side_px, self.side_px, 3)
        needed = int(np.prod(shape, dtype=np.int64))
        if needed <= (free_memory_bytes() * MEMORY_SHARE if memory_bytes is None else memory_bytes):
            return np.empty(shape, np.uint8)
        place = folder or cache_folder()
        if needed > DISK_SHARE * psutil.disk_usage(str(place)).free:
            return None
        self._file = tempfile.TemporaryFile(dir=place, prefix="squares-")  # noqa: SIM115 - open as long as the cache
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, needed)  # a full disk shows now, not as a crash later
            else:
                self._file.truncate(needed)
            return np.memmap(self._file, np.uint8, "r+", shape=shape)
        except OSError:
            return None


def free_memory_bytes() -> int:
    """Return the memory that this process may still take: the machine's, or its container's where that is less."""
    available = psutil.virtual_memory().available
    try:
        return min(available, int(CGROUP_LIMIT.read_text()) - int(CGROUP_USED.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return available


class Batches:
    """Training or evaluation batches of one part, as tf.data datasets that every backend of Keras takes.

    A batch is (images uint8 (batch, side, side, 3), targets float32 (batch, classes), weights float32 (batch,)).
    Targets are smoothed and mixed. Weights are those of the classes, mixed like the labels, and 0 for the places that
    fill up the last batch; all are scaled by steps x batch / photos, so that Keras's mean over batches of a loss is
    the mean over photos.
    """

    def __init__(
        self, cache: SquareCache, labels: np.ndarray, classes: int, batch: int, label_smoothing: float = 0.0
    ) -> None:
        self.cache = cache
        self.batch = batch
        self._labels = labels
        self._one_hot = np.eye(classes, dtype=np.float32) * (1 - label_smoothing) + label_smoothing / classes
        self.steps = -(-len(labels) // batch)
        self._weight = self.steps * batch / len(labels)
        self.failure: FireweedError | None = None

    def training(self, plan: Plan, side_px: int, first_step: int, last_step: int) -> Any:
        """Return the steps from `first_step` up to `last_step`, counted from the start of the training."""
        if plan.steps != self.steps:
            raise ValueError(f"the plan has {plan.steps} steps an epoch, the batches {self.steps}")

        def make(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            epoch, row = divmod(int(step), plan.steps)
            return self.make_batch(plan.rows(epoch, row, row + 1), side_px)

        return self._dataset(make, first_step, last_step, side_px)

    def evaluation(self) -> Any:
        """Return one pass over all photos in their order, unchanged, at the cache's side."""
        rows = evaluation_rows(len(self._labels), self.batch)

        def make(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return self.make_batch(_row(rows, int(step)), self.cache.side_px)

        return self._dataset(make, 0, self.steps, self.cache.side_px)

    def make_batch(self, rows: Rows, side_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Carry out one row of a plan (a `Rows` of one step)."""
        index, partner = rows.index[0], rows.partner[0]
        squares = self.cache.gather(index)
        mixed = rows.mix[0] < 1
        partners: list[np.ndarray | None] = [None] * len(index)
        for place, square in zip(np.flatnonzero(mixed), self.cache.gather(partner[mixed]), strict=True):
            partners[place] = square
        images = np.empty((len(index), side_px, side_px, 3), np.uint8)
        for i, square in enumerate(squares):
            images[i] = apply_row(square, rows, (0, i), side_px, partners[i])
        share = rows.mix[0][:, None]
        targets = share * self._one_hot[self._labels[index]] + (1 - share) * self._one_hot[self._labels[partner]]
        return images, targets.astype(np.float32), (rows.loss_weight[0] * self._weight).astype(np.float32)

    def _dataset(self, make: Callable[[int], tuple], first_step: int, last_step: int, side_px: int) -> Any:
        tf = tensorflow()

        # Each batch is one call in one thread; OpenCV's own threads would take the cores from the step.
        cv2.setNumThreads(1)
        classes = self._one_hot.shape[1]

        def guarded(step: int) -> tuple:
            try:
                return make(step)
            except FireweedError as error:
                self.failure = error  # tf.data would turn it into an error of its own
                raise

        def batch(step: Any) -> tuple:
            images, targets, weights = tf.numpy_function(
                guarded, [step], (tf.uint8, tf.float32, tf.float32), stateful=False
            )
            images.set_shape((self.batch, side_px, side_px, 3))
            targets.set_shape((self.batch, classes))
            weights.set_shape((self.batch,))
            return images, targets, weights

        options = tf.data.Options()
        options.autotune.enabled = False  # its thread holds an iterator's end up to half a second
        threads = max(2, processors() // 4)  # one batch takes far less than one step, and the cores are the step's
        options.threading.private_threadpool_size = threads
        steps = tf.data.Dataset.range(first_step, last_step)
        return steps.map(batch, num_parallel_calls=threads, deterministic=True).prefetch(AHEAD).with_options(options)


def _row(rows: Rows, step: int) -> Rows:
    return Rows(**{name: getattr(rows, name)[step : step + 1] for name in rows.__dataclass_fields__})
