"""Plan and squares to batches, made ahead of the step.

A batch is one call that gathers squares from the cache, crops, resizes and augments them with OpenCV, outside Python's
lock; tf.data runs some of these calls ahead of the step, on JAX a few threads of our own.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from fireweed.data.augment import apply_step
from fireweed.data.parallel import processors
from fireweed.data.plan import Plan, Rows, evaluation_rows
from fireweed.data.resident import Resident
from fireweed.data.squares import SquareCache
from fireweed.devices.backends import computes_on_cpu, tensorflow
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.errors import FireweedError

AHEAD = 3  # batches made before they are asked for, while the step computes on the same cores


class Batches:
    """Training or evaluation batches of one part, as a tf.data.Dataset on TensorFlow, else as a keras.utils.PyDataset.

    A batch is (images uint8 (batch, side, side, 3), targets float32 (batch, classes), weights float32 (batch,)).
    Targets are smoothed and mixed. Weights are those of the classes, mixed like the labels, and 0 for the places that
    fill up the last batch; all are scaled by steps x batch / photos, so that Keras's mean over batches of a loss is
    the mean over photos.

    Of several hosts each makes its own positions of every batch, batch / hosts of them, and nothing else; they count as
    they do in the whole batch.

    resident: the photos on the device that trains, where they are; images are then made there.
    """

    def __init__(
        self, cache: SquareCache, labels: np.ndarray, classes: int, batch: int, label_smoothing: float = 0.0,
        hosts: Hosts = ALONE,
    ) -> None:  # fmt: skip
        self.cache = cache
        self.batch = batch // hosts.count
        self._whole_batch = batch
        self._hosts = hosts
        self._labels = labels
        self._one_hot = np.eye(classes, dtype=np.float32) * (1 - label_smoothing) + label_smoothing / classes
        self.steps = -(-len(labels) // batch)
        self._weight = self.steps * batch / len(labels)
        self.failure: FireweedError | None = None
        self.resident: Resident | None = None
        self._made_at: dict[int, float] = {}
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """End the threads that make batches; those under way are waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def made_at(self, step: int) -> float:
        """Return when the batch of a training step was ready, by time.monotonic(); asked once a step, 0 if unknown."""
        return self._made_at.pop(step, 0.0)

    def training(self, plan: Plan, side_px: int, first_step: int, last_step: int) -> Any:
        """Return the steps from `first_step` up to `last_step`, counted from the start of the training."""
        if (plan.steps, plan.hosts, plan.host) != (self.steps, self._hosts.count, self._hosts.index):
            raise ValueError(f"the plan has {plan.steps} steps an epoch, the batches {self.steps}, or another host's")

        def make(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            epoch, row = divmod(int(step), plan.steps)
            made = self.make_batch(plan.rows(epoch, row, row + 1), side_px)
            self._made_at[int(step)] = time.monotonic()
            return made

        return self.dataset(make, first_step, last_step, np.uint8, (side_px, side_px, 3))

    def evaluation(self, first_step: int = 0, last_step: int | None = None) -> Any:
        """Return one pass over all photos in their order, unchanged, at the cache's side, or some steps of it."""
        rows = evaluation_rows(len(self._labels), self._whole_batch, self._hosts.count, self._hosts.index)
        last_step = self.steps if last_step is None else last_step

        def make(step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return self.make_batch(_row(rows, int(step)), self.cache.side_px)

        return self.dataset(make, first_step, last_step, np.uint8, (self.cache.side_px, self.cache.side_px, 3))

    def make_batch(self, rows: Rows, side_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Carry out one row of a plan (a `Rows` of one step)."""
        images = self._images(rows, side_px) if self.resident is None else self.resident.images(rows, side_px)
        return images, *self.targets_and_weights(rows.index[0], rows.partner[0], rows.mix[0], rows.loss_weight[0])

    def _images(self, rows: Rows, side_px: int) -> np.ndarray:
        index, partner = rows.index[0], rows.partner[0]
        squares = self.cache.gather(index)
        mixed = rows.mix[0] < 1
        partners: list[np.ndarray | None] = [None] * len(index)
        for place, square in zip(np.flatnonzero(mixed), self.cache.gather(partner[mixed]), strict=True):
            partners[place] = square
        return apply_step(squares, rows, 0, side_px, partners)

    def targets_and_weights(
        self, index: np.ndarray, partner: np.ndarray, mix: np.ndarray, loss_weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a batch's targets and weights; the arrays of shape (batch,) are those of a plan's `Rows`."""
        share = mix[:, None]
        targets = share * self._one_hot[self._labels[index]] + (1 - share) * self._one_hot[self._labels[partner]]
        return targets.astype(np.float32), (loss_weight * self._weight).astype(np.float32)

    def dataset(
        self, make: Callable[[int], tuple], first_step: int, last_step: int, dtype: Any, shape: tuple[int, ...]
    ) -> Any:
        """Return what `make` gives for each step, made ahead: inputs of a dtype and shape, targets, weights."""
        import keras

        # Each batch is one call in one thread; OpenCV's own threads would take the cores from the step.
        cv2.setNumThreads(1)

        def guarded(step: int) -> tuple:
            try:
                return make(step)
            except FireweedError as error:
                self.failure = error  # tf.data would turn it into an error of its own
                raise

        if keras.backend.backend() == "tensorflow":
            return self._by_tensorflow(guarded, first_step, last_step, dtype, shape)
        return self._by_threads(guarded, first_step, last_step)

    def _by_threads(self, make: Callable[[int], tuple], first_step: int, last_step: int) -> Any:
        from fireweed.data.ahead import Ahead

        threads, ahead = _threads_and_ahead()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batches")
        return Ahead(make, first_step, last_step, self._pool, ahead)

    def _by_tensorflow(
        self, make: Callable[[int], tuple], first_step: int, last_step: int, dtype: Any, shape: tuple[int, ...]
    ) -> Any:
        tf = tensorflow()
        classes = self._one_hot.shape[1]

        def batch(step: Any) -> tuple:
            inputs, targets, weights = tf.numpy_function(
                make, [step], (tf.as_dtype(dtype), tf.float32, tf.float32), stateful=False
            )
            inputs.set_shape((self.batch, *shape))
            targets.set_shape((self.batch, classes))
            weights.set_shape((self.batch,))
            return inputs, targets, weights

        options = tf.data.Options()
        options.autotune.enabled = False  # its thread holds an iterator's end up to half a second
        threads, ahead = _threads_and_ahead()
        options.threading.private_threadpool_size = threads
        steps = tf.data.Dataset.range(first_step, last_step)
        return steps.map(batch, num_parallel_calls=threads, deterministic=True).prefetch(ahead).with_options(options)


def _threads_and_ahead() -> tuple[int, int]:
    """Return the threads that make batches, and how many batches they make ahead.

    On a CPU one batch takes far less than one step, and the cores are the step's; a GPU or TPU leaves them free, and
    its step may take less than a batch does in one thread.
    """
    if computes_on_cpu():
        return max(2, processors() // 4), AHEAD
    threads = max(2, processors() - 1)
    return threads, max(AHEAD, threads)


def _row(rows: Rows, step: int) -> Rows:
    return Rows(**{name: getattr(rows, name)[step : step + 1] for name in rows.__dataclass_fields__})
