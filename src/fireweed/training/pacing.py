"""Steps of JAX on a GPU or TPU that are queued while the one before computes, so that the device never waits for us.

Keras reads the metrics after each step for its callbacks, which waits for the step to end; only then is the next one
sent, and a device that needs 2 ms for a step stands still for a good part of that.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import keras

from fireweed.devices.backends import computes_on_cpu


def queues_steps() -> bool:
    """Return whether the device computes beside Python; on a CPU it is the same cores that would be fought over."""
    return keras.backend.backend() == "jax" and not computes_on_cpu()


class PromptCallbacks(keras.callbacks.CallbackList):
    """Keras's list of callbacks that gets a step's figures as they are: arrays that the device may still work on."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs=logs)


class Pace:
    """Knows when the device ended a step, and keeps at most one step queued behind the one it works on."""

    def __init__(self) -> None:
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="pace")
        self._before: Future[float] | None = None

    def sent(self, figures: Any) -> float:
        """Note a step that was just sent; wait for the one before it and return when that ended (0: there is none).

        figures: arrays that the step gives; times are those of time.monotonic().
        """
        before, self._before = self._before, self._watcher.submit(_end_of, figures)
        return 0.0 if before is None else before.result()

    def close(self) -> None:
        """Wait for the last step and end the thread that watches."""
        self._before = None
        self._watcher.shutdown(wait=True)


def _end_of(figures: Any) -> float:
    import jax

    jax.block_until_ready(figures)
    return time.monotonic()
