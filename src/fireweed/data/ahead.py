"""Batches made ahead of the step by threads of Python, for JAX, which then needs no TensorFlow to be fed."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import keras


class Ahead(keras.utils.PyDataset):
    """The batches of the steps from `first` up to `last`; while one is used, the next ones are being made.

    Keras goes through it in order, as often as it likes. Keras's own threads are not used: they stop at the end of
    each epoch and forget what they made, and an error in one of them ends no training.

    make:  a step's batch.
    pool:  what makes them; whoever owns it shuts it down.
    count: batches made before they are asked for.
    """

    def __init__(self, make: Callable[[int], tuple], first: int, last: int, pool: Executor, count: int) -> None:
        super().__init__(workers=1)  # 1: Keras calls from the thread that trains
        self._make = make
        self._first = first
        self._steps = last - first
        self._pool = pool
        self._count = count
        self._coming: dict[int, Future[tuple]] = {}

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> Any:
        """Return (images, targets, weights) of the step `first` + index.

        Raises:
            FireweedError: as the making of the batch did.
        """
        if not 0 <= index < self._steps:
            raise IndexError(index)
        wanted = range(index, min(index + self._count + 1, self._steps))
        for left in self._coming.keys() - set(wanted):
            self._coming.pop(left).cancel()
        for i in wanted:
            if i not in self._coming:
                self._coming[i] = self._pool.submit(self._make, self._first + i)
        return self._coming.pop(index).result()
