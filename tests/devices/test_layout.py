"""Which devices share a batch."""

import pytest

from fireweed.devices.choice import DeviceChoice
from fireweed.devices.layout import lay_out


@pytest.mark.parametrize(
    ("count", "batch", "replicas"), [(1, 32, 1), (8, 32, 8), (8, 12, 6), (8, 4, 4), (3, 32, 2), (8, 7, 7)]
)
def test_as_many_devices_share_a_batch_as_do_so_evenly(count, batch, replicas):
    layout = lay_out(DeviceChoice("gpu", count, "chip", "jax", "float32"), batch)
    assert layout.replicas == replicas
    assert layout.devices == tuple(f"gpu:{number}" for number in range(replicas))
    assert bool(layout.notes) == (count > 1)


def test_norms_that_a_backend_has_not_are_said_to_be_left_out():
    jax, tensorflow = (DeviceChoice("gpu", 4, "chip", backend, "float32") for backend in ("jax", "tensorflow"))
    assert "left out" in lay_out(jax, 32, "replica").notes[-1]
    assert len(lay_out(tensorflow, 32, "replica").notes) == len(lay_out(jax, 32, "global").notes) == 1
