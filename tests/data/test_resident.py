"""Batches made on the device hold the photos, targets and weights of those that are streamed."""

import keras
import numpy as np
import pytest

from fireweed.data import resident
from fireweed.data.catalog import Photo
from fireweed.data.changes import AugmentSettings
from fireweed.data.pipeline import Batches
from fireweed.data.plan import Plan
from fireweed.data.resident import Resident, obstacle
from fireweed.data.squares import SquareCache
from fireweed.errors import DeviceError


@pytest.fixture
def cache(tmp_path):
    import cv2

    photos = []
    for number in range(20):
        y, x = np.mgrid[0:48, 0:48]
        image = np.stack([(y * 4 + number * 9) % 200, x * 5, np.full_like(x, number * 12)], axis=-1).astype(np.uint8)
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), image)
        photos.append(Photo(str(path), number % 2, key=f"{number:064x}"))
    cache = SquareCache(photos, 40, "crop")
    yield cache
    cache.close()


def test_resident_batches_are_the_streamed_ones_within_a_few_levels(cache):
    labels = np.arange(20) % 2
    augment = AugmentSettings(flip=True, saturation=(0.5, 1.5), crop=(0.4, 1.0), mixup=0.3)
    plan = Plan(3, [photo.key for photo in cache.photos], labels, 8, augment, [1.0, 2.0])
    streamed, on_device = Batches(cache, labels, 2, 8, 0.1), Batches(cache, labels, 2, 8, 0.1)
    on_device.resident = Resident(cache, plan.augment.mixes)
    for epoch in range(2):
        for step in range(plan.steps):
            rows = plan.rows(epoch, step, step + 1)
            images, targets, weights = streamed.make_batch(rows, 32)
            ours, our_targets, our_weights = on_device.make_batch(rows, 32)
            assert np.abs(images.astype(int) - np.asarray(ours).astype(int)).max() <= 6
            assert np.array_equal(targets, our_targets) and np.array_equal(weights, our_weights)


def test_where_photos_stay_with_the_host_it_says_why(cache, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(resident, "computes_on_cpu", lambda: True)
    assert "CPU" in obstacle(cache, "auto")
    assert obstacle(cache, "off") and not obstacle(cache, "on")
    assert "several hosts" in obstacle(cache, "auto", 2)
    monkeypatch.setattr(resident, "computes_on_cpu", lambda: False)
    monkeypatch.setattr(resident, "_free_bytes", lambda: 1e6)
    assert not obstacle(cache, "auto")
    monkeypatch.setattr(resident, "_free_bytes", lambda: 90_000)
    assert obstacle(cache, "auto") == "they take 9.6e-05 GB, and the device has 9e-05 GB to spare for them"
    with pytest.raises(DeviceError, match="cannot be put on the device, since they take"):
        obstacle(cache, "on")
    with pytest.raises(DeviceError, match="received 'maybe'"):
        obstacle(cache, "maybe")


def test_tensorflow_is_fed_by_the_host(cache, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert "only JAX" in obstacle(cache, "auto")
    with pytest.raises(DeviceError, match="only JAX can"):
        obstacle(cache, "on")
