"""The kernel for colours gives what OpenCV's functions give, to a level for each change, whatever the layout."""

import itertools

import cv2
import numpy as np
import pytest

from fireweed.data import augment
from fireweed.data.changes import AugmentSettings
from fireweed.data.plan import Plan
from fireweed.kernels import native
from fireweed.kernels.colours import recolour

pytestmark = pytest.mark.skipif(native.library() is None, reason="no compiled kernels: no C compiler, or another chip")

RANDOM = np.random.default_rng(0)
SIZES = [(1, 1), (3, 7), (5, 16), (33, 33), (40, 100), (192, 192)]


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def by_opencv(photo: np.ndarray, flip: bool, saturation: float, brightness: float, contrast: float) -> np.ndarray:
    image = augment.saturate(augment.flip(photo, flip), saturation)
    return augment.stretch_contrast(augment.brighten(image, brightness), contrast)


def by_kernel(photos: list[np.ndarray], *changes: float, out: np.ndarray | None = None) -> np.ndarray:
    out = np.full((len(photos), *photos[0].shape), 77, np.uint8) if out is None else out
    recolour(photos, *(np.full(len(photos), change) for change in changes), out)
    return out


def assert_within_a_level(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_each_change_is_opencvs_at_any_size(size, flip):
    photo = noise(*size, 3)
    neutral = (1.0, 0.0, 1.0)
    saturations = [(factor, 0.0, 1.0) for factor in (0.0, 0.3, 0.999, 1.001, 1.7, 9.0)]
    brightnesses = [(1.0, shift, 1.0) for shift in (-1.0, -0.21, 0.1, 1.0)]
    contrasts = [(1.0, 0.0, factor) for factor in (0.0, 0.5, 1.6)]
    for change in (neutral, *saturations, *brightnesses, *contrasts):
        assert_within_a_level(by_kernel([photo], flip, *change)[0], by_opencv(photo, flip, *change))
    np.testing.assert_array_equal(by_kernel([photo], flip, *neutral)[0], photo[:, ::-1] if flip else photo)


def test_every_pair_of_channels_is_saturated_within_a_level():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.array(list(itertools.product(levels, levels, levels[::7])), np.uint8)[None]
    for factor in (0.0, 0.123, 0.5, 1.0, 1.25, 2.0, 50.0):
        assert_within_a_level(by_kernel([colours], False, factor, 0.0, 1.0)[0], augment.saturate(colours, factor))


def test_each_photo_gets_its_own_changes_and_no_source_is_written_to():
    photos = [noise(24, 24, 3) for _ in range(4)]
    before = [photo.copy() for photo in photos]
    changes = (np.array([True, False, True, False]), *np.array([[0.2, 1, 1.9, 1], [0, 0.2, 0, -0.3], [1, 1.3, 0.8, 1]]))
    out = np.empty((4, 24, 24, 3), np.uint8)
    recolour(photos, *changes, out)
    for i, photo in enumerate(photos):
        expected = by_opencv(photo, bool(changes[0][i]), *(float(values[i]) for values in changes[1:]))
        assert np.abs(out[i].astype(int) - expected).max() <= 2  # three changes, one after the other
        np.testing.assert_array_equal(photo, before[i])


def test_crops_and_photos_in_place_give_the_same():
    whole = noise(40, 50, 3)
    cut = whole[5:29, 11:35]
    expected = by_kernel([cut.copy()], True, 1.5, 0.1, 1.2)
    np.testing.assert_array_equal(by_kernel([cut], True, 1.5, 0.1, 1.2), expected)
    out = cut.copy()[None]
    np.testing.assert_array_equal(by_kernel([out[0]], True, 1.5, 0.1, 1.2, out=out), expected)


def test_what_the_kernel_cannot_take_is_refused():
    photo = noise(8, 8, 3)
    for wrong in (photo.astype(np.float32), photo[:, ::-1], photo[:4], noise(8, 8, 4)[..., :3]):
        with pytest.raises(ValueError, match="takes uint8 RGB photos"):
            by_kernel([wrong], False, 1.0, 0.0, 1.0, out=np.empty((1, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="writes 1 uint8"):
        by_kernel([photo], False, 1.0, 0.0, 1.0, out=np.empty((1, 8, 16, 3), np.uint8)[:, :, ::2])
    settings = [np.array([False]), np.ones(1), np.zeros(1), np.ones(1)]
    for place, right in enumerate(settings):
        for wrong in (right[:0], np.repeat(right, 2), right[None]):
            with pytest.raises(ValueError, match="one number for each"):
                recolour([photo], *settings[:place], wrong, *settings[place + 1 :], photo.copy()[None])


def test_a_step_is_the_same_with_and_without_the_kernel(monkeypatch):
    photos = [cv2.resize(noise(6, 6, 3), (56, 56)) for _ in range(8)]
    settings = AugmentSettings(True, (0, 2), 0.2, 0.2, (0.3, 1), cutout=0.3, mixup=1.0, cutmix=1.0)
    rows = Plan(0, [f"{i:064x}" for i in range(8)], [0] * 8, 8, settings).rows(0)
    order = [photos[i] for i in rows.index[0]]
    partners = [photos[i] for i in rows.partner[0]]
    with_kernel = augment.apply_step(order, rows, 0, 48, partners)
    monkeypatch.setattr(augment, "library", lambda: None)
    without = augment.apply_step(order, rows, 0, 48, partners)
    assert np.abs(with_kernel.astype(int) - without).max() <= 3  # a level a change, and one of mixing
    assert np.abs(with_kernel.astype(int) - without).mean() < 0.01
