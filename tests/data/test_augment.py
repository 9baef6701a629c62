import colorsys
import hashlib
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from fireweed.data import augment
from fireweed.data.changes import AugmentSettings
from fireweed.data.plan import Plan, evaluation_rows


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Pictures with smooth colours, and one each of noise, black, white, grey."""
    random = np.random.default_rng(0)
    smooth = [cv2.resize(random.integers(0, 256, (6, 6, 3), dtype=np.uint8), (64, 64)) for _ in range(4)]
    plain = [np.full((64, 64, 3), value, np.uint8) for value in (0, 128, 255)]
    return [*smooth, random.integers(0, 256, (64, 64, 3), dtype=np.uint8), *plain]


def box(*edges: float) -> np.ndarray:
    return np.array(edges, np.float32)


WHOLE = box(0, 0, 1, 1)
NOWHERE = box(0, 0, 0, 0)


def test_neutral_parameters_return_the_same_bits(photos: list[np.ndarray]) -> None:
    for photo in photos:
        for result in (
            augment.crop_resize(photo, WHOLE, 64),
            augment.flip(photo, False),
            augment.saturate(photo, 1.0),
            augment.brighten(photo, 0.0),
            augment.stretch_contrast(photo, 1.0),
            augment.cutout(photo, NOWHERE),
            augment.mixup(photo, photos[0], 1.0),
            augment.cutmix(photo, photos[0], NOWHERE),
            augment.apply_step([photo], evaluation_rows(1, 1), 0, 64, [None])[0],
        ):
            np.testing.assert_array_equal(result, photo)


def test_no_change_writes_to_its_photo(photos: list[np.ndarray]) -> None:
    for photo, partner in itertools.pairwise(photos):
        before = photo.copy(), partner.copy()
        settings = AugmentSettings(True, (0, 2), 0.3, 0.3, (0.3, 1), cutout=0.3, mixup=1.0, cutmix=1.0)
        rows = Plan(0, [hashlib.sha256(b"a").hexdigest()] * 40, [0] * 40, 8, settings).rows(0)
        for step in range(5):
            augment.apply_step([photo] * 8, rows, step, 64, [partner] * 8)
        np.testing.assert_array_equal(photo, before[0])
        np.testing.assert_array_equal(partner, before[1])


@pytest.mark.parametrize("factor", [0.0, 0.4, 0.9, 1.1, 1.5, 2.0, 5.0])
def test_saturation_equals_the_way_through_hue(photos: list[np.ndarray], factor: float) -> None:
    for photo in photos:
        sample, result = photo[::9, ::9].reshape(-1, 3), augment.saturate(photo, factor)[::9, ::9].reshape(-1, 3)
        for pixel, changed in zip(sample / 255, result, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
            expected = np.array(colorsys.hsv_to_rgb(hue, min(saturation * factor, 1.0), value)) * 255
            np.testing.assert_allclose(changed, expected, atol=1.01)


def test_colour_changes_equal_tensorflows(photos: list[np.ndarray]) -> None:
    """TensorFlow rounds down when it goes back to 8 bits, so a level may lie between."""
    tf = pytest.importorskip("tensorflow")
    for photo in photos:
        for ours, theirs in [
            *((augment.saturate(photo, f), tf.image.adjust_saturation(photo, f)) for f in (0.0, 0.5, 1.3, 2.0)),
            *((augment.brighten(photo, d), tf.image.adjust_brightness(photo, d)) for d in (-0.3, 0.2)),
            *((augment.stretch_contrast(photo, f), tf.image.adjust_contrast(photo, f)) for f in (0.6, 1.4)),
        ]:
            difference = np.abs(ours.astype(int) - theirs.numpy())
            assert difference.max() <= 1


def test_crops_take_their_box_and_keep_what_stands_where() -> None:
    photo = np.zeros((80, 80, 3), np.uint8)
    photo[20:40, 40:80] = 200
    cut = augment.crop_resize(photo, box(0.25, 0.5, 0.5, 1.0), 32)
    assert cut.shape == (32, 32, 3)
    assert np.all(cut == 200)
    np.testing.assert_array_equal(augment.crop_resize(photo, box(0.25, 0.25, 0.75, 0.75), 40), photo[20:60, 20:60])
    sliver = augment.crop_resize(photo, box(1.0, 1.0, 1.0, 1.0), 16)
    assert sliver.shape == (16, 16, 3)


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = augment.crop_resize(stripes, WHOLE, 48)
    assert np.all(np.abs(shrunk.astype(int) - 128) <= 1)


def test_flip_swaps_left_and_right(photos: list[np.ndarray]) -> None:
    np.testing.assert_array_equal(augment.flip(photos[0], True), photos[0][:, ::-1])


def test_cutout_hides_its_box_alone(photos: list[np.ndarray]) -> None:
    hidden = augment.cutout(photos[0], box(0.25, 0.5, 0.75, 1.0))
    assert np.all(hidden[16:48, 32:] == augment.GREY)
    changed = np.any(hidden != photos[0], axis=-1)
    assert not changed[:16].any()
    assert not changed[:, :32].any()


def test_mixing_follows_the_share(photos: list[np.ndarray]) -> None:
    one, other = photos[0], photos[1]
    expected = 0.25 * one.astype(float) + 0.75 * other
    np.testing.assert_allclose(augment.mixup(one, other, 0.25), expected, atol=0.51)
    pasted = augment.cutmix(one, other, box(0.5, 0.0, 1.0, 0.5))
    np.testing.assert_array_equal(pasted[32:, :32], other[32:, :32])
    np.testing.assert_array_equal(pasted[:32], one[:32])
    np.testing.assert_array_equal(pasted[:, 32:], one[:, 32:])


def test_a_place_that_mixes_needs_its_partner(photos: list[np.ndarray]) -> None:
    rows = Plan(0, [hashlib.sha256(b"a").hexdigest()] * 4, [0] * 4, 2, AugmentSettings(mixup=1.0)).rows(0)
    with pytest.raises(ValueError, match="partner"):
        augment.apply_step(photos[:2], rows, 0, 64, [None, photos[1]])


def carry_out(photos: list[np.ndarray], settings: AugmentSettings, epochs: int) -> np.ndarray:
    """Return what each photo looks like in each epoch: (epochs, photos, 64, 64, 3)."""
    keys = [hashlib.sha256(bytes([i])).hexdigest() for i in range(len(photos))]
    plan = Plan(1, keys, [0] * len(photos), 2, settings)
    seen = np.zeros((epochs, len(photos), 64, 64, 3), np.uint8)
    for epoch in range(epochs):
        rows = plan.rows(epoch)
        for step, (own, other) in enumerate(zip(rows.index, rows.partner, strict=True)):
            changed = augment.apply_step([photos[i] for i in own], rows, step, 64, [photos[i] for i in other])
            seen[epoch, own] = changed
    return seen


def test_four_epochs_show_four_versions_of_every_photo_and_repeat_bit_for_bit() -> None:
    random = np.random.default_rng(0)
    coloured = [cv2.resize(random.integers(0, 256, (5, 5, 3), dtype=np.uint8), (64, 64)) for _ in range(8)]
    settings = AugmentSettings(saturation=(0, 2))
    first = carry_out(coloured, settings, 4)
    for photo in range(8):
        assert len({first[epoch, photo].tobytes() for epoch in range(4)}) == 4
    np.testing.assert_array_equal(first, carry_out(coloured, settings, 4))
    unchanged = carry_out(coloured, AugmentSettings.none(), 4)
    np.testing.assert_array_equal(unchanged, np.broadcast_to(np.array(coloured), unchanged.shape))


def test_flip_and_saturation_keep_up_with_training() -> None:
    """A third of the rate that two idle cores reach, so that a busy machine does not fail."""
    random = np.random.default_rng(0)
    squares = [cv2.resize(random.integers(0, 256, (9, 9, 3), dtype=np.uint8), (192, 192)) for _ in range(64)]
    keys = [hashlib.sha256(bytes([i])).hexdigest() for i in range(64)]
    rows = Plan(0, keys, [0] * 64, 32, AugmentSettings(flip=True, saturation=(0, 2))).rows(0)
    steps = [0, 1] * 2

    def change(step: int) -> np.ndarray:
        return augment.apply_step([squares[i] for i in rows.index[step]], rows, step, 192, [None] * 32)

    rates = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            start = time.perf_counter()
            list(pool.map(change, steps))
            rates.append(32 * len(steps) / (time.perf_counter() - start))
    assert max(rates) > 1_500
