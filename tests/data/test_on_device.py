"""What the device makes of photos is what OpenCV makes of them, within a few levels of 255."""

import jax
import numpy as np
import pytest

from fireweed.data.augment import apply_step
from fireweed.data.changes import AugmentSettings
from fireweed.data.on_device import change, row_on_device
from fireweed.data.plan import Plan

PHOTOS, SQUARE = 24, 40


def squares():
    """Smooth photos with an edge, as photos have: noise would tell of nothing but rounding."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:SQUARE, 0:SQUARE] / SQUARE
    waves = [np.sin(6 * (a * y + b * x) + c) for a, b, c in random.normal(size=(PHOTOS * 3, 3))]
    photos = np.stack(waves).reshape(PHOTOS, 3, SQUARE, SQUARE).transpose(0, 2, 3, 1) * 90 + 128
    photos[:, 10:20, 5:30] += 40
    return np.ascontiguousarray(np.clip(photos, 0, 255).astype(np.uint8))


def both(side, **settings):
    photos = squares()
    keys = [f"{i:064x}" for i in range(PHOTOS)]
    plan = Plan(1, keys, [0] * PHOTOS, 8, AugmentSettings(**{**vars(AugmentSettings.none()), **settings}))
    for epoch in range(3):
        for step in range(plan.steps):
            rows = plan.rows(epoch, step, step + 1)
            partners = [photos[i] for i in rows.partner[0]]
            host = apply_step([photos[i] for i in rows.index[0]], rows, 0, side, partners)
            row = row_on_device(rows, SQUARE, side)
            yield host, np.asarray(jax.jit(change, static_argnums=(2, 3))(photos, row, side, True))


@pytest.mark.parametrize("side", [24, 40, 56])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"flip": True},
        {"crop": (0.3, 1.0)},
        {"saturation": (0.0, 2.0)},
        {"brightness": 0.3},
        {"contrast": 0.5},
        {"cutout": 0.5},
        {"mixup": 0.4},
        {"cutmix": 1.0},
    ],
    ids=str,
)
def test_each_change_gives_the_same_pixels_on_both(settings, side):
    changed = 0
    for host, device in both(side, **settings):
        apart = np.abs(host.astype(int) - device.astype(int))
        assert device.dtype == np.uint8
        assert apart.max() <= 3, f"{apart.max()} levels apart"
        assert apart.mean() < 0.3
        changed += int(host.std() > 0)
    assert changed


def test_all_changes_together_stay_within_a_few_levels():
    everything = {
        "flip": True, "crop": (0.3, 1.0), "saturation": (0.5, 1.5), "brightness": 0.2, "contrast": 0.3, "cutout": 0.4,
        "mixup": 0.4,
    }  # fmt: skip
    for host, device in both(32, **everything):
        apart = np.abs(host.astype(int) - device.astype(int))
        assert apart.max() <= 8 and apart.mean() < 0.5
