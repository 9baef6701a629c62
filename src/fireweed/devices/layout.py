"""How a training lies on devices: on one, or data-parallel on several of this process, or of several hosts.

Each of several devices holds all weights and computes its share of every batch; gradients are averaged, so that the
weights stay alike. On JAX that is one compiled step over a mesh of devices, on TensorFlow a copy of the net on each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from fireweed.devices.backends import WORDS, Backend
from fireweed.devices.choice import DeviceChoice
from fireweed.devices.hosts import ALONE, Hosts
from fireweed.devices.tpu_strategy import TpuAddress, connect
from fireweed.errors import DeviceError


@dataclass(frozen=True)
class Layout:
    """The devices that share each batch.

    devices: their names as the backend's own, such as "gpu:0"; those of all hosts, host by host.
    notes:   sentences on what was decided.
    tpu:     where the TPU is that TensorFlow 2.19 drives; its net belongs to a strategy even on one core.
    """

    backend: Backend
    devices: tuple[str, ...]
    notes: tuple[str, ...] = ()
    tpu: TpuAddress | None = None

    @property
    def replicas(self) -> int:
        return len(self.devices)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Build, compile and train in this block; a net built in it belongs to these devices.

        One device needs no layout, and is faster without: Keras sends JAX its batches ahead of the step only then.
        """
        if self.replicas == 1 and self.tpu is None:
            yield
        else:
            with self._distribution.scope():
                yield

    @cached_property
    def _distribution(self) -> Any:
        if self.backend == "jax":
            import keras

            return keras.distribution.DataParallel(devices=list(self.devices), auto_shard_dataset=False)
        if self.tpu is not None:
            return connect(self.tpu)
        return _mirrored(tuple(name.upper() for name in self.devices))


@cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """Return TensorFlow's strategy for these devices, the same one in every training of this process.

    A second one would number its collective operations from the start again, and the runtime takes them for those of
    the first ("Shape mismatch in the collective instance"). Parts of a CPU need none.
    """
    import tensorflow as tf

    on_cpu = all(name.startswith("CPU") for name in devices)
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice() if on_cpu else None)


def lay_out(choice: DeviceChoice, batch: int, norms: str = "global", hosts: Hosts = ALONE) -> Layout:
    """Return the layout for batches of so many photos: on all devices of the choice, or as many as share it evenly.

    norms: what the norms take their statistics from, as in `settings.py`.
    hosts: each of them takes an equal share of every batch to as many devices.

    Raises:
        DeviceError: the hosts, or the cores of a TPU that TensorFlow drives, cannot share the batch equally.
    """
    if batch % hosts.count:
        numbers = ", ".join(str(count) for count in range(2, min(batch, 64) + 1) if batch % count == 0)
        raise DeviceError(
            f"a batch of {batch} cannot be shared by {hosts.count} hosts; start {numbers or 'no more than 1'} of them, "
            f"or begin a run with a multiple of {hosts.count} (--set training.batch={_near(batch, hosts.count)})"
        )
    share = batch // hosts.count
    replicas = next(count for count in range(min(choice.count, share), 0, -1) if share % count == 0)
    if choice.tpu is not None and replicas < choice.count:
        raise DeviceError(
            f"a batch of {batch} cannot be shared by all {choice.count} cores of the TPU, as TensorFlow has to; begin "
            f"a run with a multiple of {choice.count} (--set training.batch={_near(batch, choice.count)})"
        )
    notes = []
    if hosts.count > 1 or choice.count > 1:
        of = f"{replicas} of {choice.count}" if replicas < choice.count else f"{choice.count}"
        devices = f"{WORDS[choice.kind]} {'device' if of == '1' else 'devices'}"
        by = f"{of} {devices}" if hosts.count == 1 else f"{hosts.count} hosts with {of} {devices} each"
        each = f"{share // replicas} photos {'each' if hosts.count == 1 else 'a device'}"
        notes.append(f"each batch of {batch} is shared by {by}, {each}")
    if replicas * hosts.count > 1 and norms == "replica" and choice.backend == "jax":
        notes.append("norms take their statistics from the whole batch: JAX has no others; training.norms is left out")
    numbers_of = hosts.device_numbers(replicas)
    return Layout(choice.backend, tuple(f"{choice.kind}:{number}" for number in numbers_of), tuple(notes), choice.tpu)


@contextmanager
def apart() -> Iterator[None]:
    """Build and compute in this block on this host's first device, whatever the layout around it (on JAX)."""
    import keras

    around = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(around)


def replicas() -> int:
    """Return how many devices share the batches of a net that is built here."""
    import keras

    if keras.backend.backend() == "jax":
        distribution = keras.distribution.distribution()
        return 1 if distribution is None else int(distribution.device_mesh.devices.size)
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def _near(batch: int, sharers: int) -> int:
    """Return the multiple of a number of hosts or cores that is nearest to a batch, at least one photo each."""
    return max(sharers, round(batch / sharers) * sharers)
