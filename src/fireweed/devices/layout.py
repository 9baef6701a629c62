"""How a training lies on the devices of this process: on one, or data-parallel on several.

Each of several devices holds all weights and computes its share of every batch; gradients are averaged, so that the
weights stay alike. On JAX that is one compiled step over a mesh of devices, on TensorFlow a copy of the net on each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fireweed.devices.backends import WORDS, Backend
from fireweed.devices.choice import DeviceChoice


@dataclass(frozen=True)
class Layout:
    """The devices that share each batch.

    devices: their names as the backend's own, such as "gpu:0".
    notes:   sentences on what was decided.
    """

    backend: Backend
    devices: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def replicas(self) -> int:
        return len(self.devices)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Build, compile and train in this block; a net built in it belongs to these devices.

        One device needs no layout, and is faster without: Keras sends JAX its batches ahead of the step only then.
        """
        if self.replicas == 1:
            yield
        else:
            with self._distribution.scope():
                yield

    @cached_property
    def _distribution(self) -> Any:
        if self.backend == "jax":
            import keras

            return keras.distribution.DataParallel(devices=list(self.devices), auto_shard_dataset=False)
        import tensorflow as tf

        return tf.distribute.MirroredStrategy([name.upper() for name in self.devices])


def lay_out(choice: DeviceChoice, batch: int, norms: str = "global") -> Layout:
    """Return the layout for batches of so many photos: on all devices of the choice, or as many as share it evenly.

    norms: what the norms take their statistics from, as in `settings.py`.
    """
    replicas = next(count for count in range(min(choice.count, batch), 0, -1) if batch % count == 0)
    notes = []
    if choice.count > 1:
        of = f"{replicas} of {choice.count}" if replicas < choice.count else f"{choice.count}"
        notes.append(
            f"each batch of {batch} is shared by {of} {WORDS[choice.kind]} devices, {batch // replicas} photos each"
        )
    if replicas > 1 and norms == "replica" and choice.backend == "jax":
        notes.append("norms take their statistics from the whole batch: JAX has no others; training.norms is left out")
    return Layout(choice.backend, tuple(f"{choice.kind}:{number}" for number in range(replicas)), tuple(notes))


def replicas() -> int:
    """Return how many devices share the batches of a net that is built here."""
    import keras

    if keras.backend.backend() == "jax":
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else int(distribution.device_mesh.devices.size)
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)
