"""All decoded photos on the device that trains (JAX), so that the host sends rows of the table, and no pixels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fireweed.data.on_device import change, row_on_device
from fireweed.data.plan import Rows
from fireweed.data.squarefile import square_bytes
from fireweed.data.squares import SquareCache
from fireweed.devices.backends import computes_on_cpu
from fireweed.errors import DeviceError

SHARE_OF_DEVICE = 0.4  # of its free memory that photos may take; the net, its gradients and activations need the rest
CHUNK = 512  # photos decoded and sent at once

KINDS = ("auto", "on", "off")


class Resident:
    """The squares of one part on the device, and batches made of them there.

    squares: uint8 (photos, square, square, 3) on the device; on several, each has all of them.
    """

    def __init__(self, cache: SquareCache, mixes: bool, progress: Callable[[int], None] = lambda done: None) -> None:
        """Decode and send all photos of a cache.

        mixes:    whether the plan mixes photos with partners.
        progress: is told how many photos are there.
        """
        import jax

        whole, self._batched = _shardings()
        pieces = []
        for first in range(0, len(cache.photos), CHUNK):
            indices = np.arange(first, min(first + CHUNK, len(cache.photos)))
            pieces.append(jax.device_put(np.stack(cache.gather(indices)), whole))
            progress(int(indices[-1]) + 1)
        self.squares = jax.numpy.concatenate(pieces)
        self._side_px = cache.side_px
        self._change = partial(jax.jit(change, static_argnums=(2, 3)), is_mixed=mixes)

    def images(self, rows: Rows, side_px: int) -> Any:
        """Return the photos of one step as its row says, uint8 (batch, side, side, 3) on the device."""
        import jax

        row = jax.device_put(row_on_device(rows, self._side_px, side_px), self._batched)
        return self._change(self.squares, row, side_px)


def obstacle(cache: SquareCache, kind: str, hosts: int = 1) -> str:
    """Return why the photos of a cache are not put on the device; "" where they are.

    kind:  "auto": where it is an accelerator and they fit; "on": wherever they fit; "off".
    hosts: how many train together, each with its share of the photos.

    Raises:
        DeviceError: no such kind; or "on", and they cannot be.
    """
    import keras

    if kind not in KINDS:
        raise DeviceError(f"--resident must be {', '.join(KINDS)}, received {kind!r}")
    reason = ""
    if kind == "off":
        return "--resident off says so"
    if keras.backend.backend() != "jax":
        reason = "TensorFlow trains, and only JAX can"
    elif hosts > 1:
        reason = "each of several hosts has its own share of them"
    elif kind == "auto" and computes_on_cpu():
        return "a CPU's memory is its device's"
    elif cache.in_memory < len(cache.photos):
        reason = "not all decoded photos fit into the host's memory"
    elif not computes_on_cpu() and (needed := len(cache.photos) * square_bytes(cache.side_px)) > (
        free := _free_bytes()
    ):
        reason = f"they take {needed / 1e9:.2g} GB, and the device has {free / 1e9:.2g} GB to spare for them"
    if reason and kind == "on":
        raise DeviceError(f"--resident on: the photos cannot be put on the device, since {reason}; leave it out")
    return reason


def _free_bytes() -> float:
    """Return the memory of the device that photos may take; 0 where it does not say."""
    import jax

    devices = jax.local_devices()
    stats = [device.memory_stats() or {} for device in devices]
    free = [one.get("bytes_limit", 0) - one.get("bytes_in_use", 0) for one in stats]
    return SHARE_OF_DEVICE * max(0, min(free))


def _shardings() -> tuple[Any, Any]:
    """Return where whole arrays go, and where those whose first axis is the batch; None: the only device."""
    import keras

    distribution = keras.distribution.distribution()
    if distribution is None:
        return None, None
    from jax.sharding import NamedSharding, PartitionSpec

    mesh = distribution.device_mesh.backend_mesh
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(distribution.batch_dim_name))
