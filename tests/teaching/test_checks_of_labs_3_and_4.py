"""Checks of labs 3 and 4 take right answers of other kinds than the solutions, and say what is wrong with others."""

import numpy as np
import pytest

from fireweed.teaching import checks


def test_a_fire_module_may_be_written_in_other_ways():
    from keras import layers

    def other_way_round(x, squeeze, expand):
        y = layers.BatchNormalization()(layers.Conv2D(squeeze, (1, 1), activation="relu")(x))
        halves = [layers.ReLU()(layers.Conv2D(expand // 2, side, padding="same")(y)) for side in (3, 1)]
        return layers.Concatenate()(halves)

    assert checks.check_fire(other_way_round), checks.check_fire(other_way_round)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda x, squeeze, expand: 5, "it gives a int"),
        (lambda x, squeeze, expand: x, "(photos, 6, 6, 7)"),
        (lambda x, squeeze, expand: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_fire_module_is_told(answer, word):
    verdict = checks.check_fire(answer)
    assert not verdict
    assert word in verdict.words


def test_photos_may_be_augmented_with_numpy_alone():
    def augment(photo, random):
        brightest = photo.max(axis=-1, keepdims=True).astype(float)
        paler = np.clip(brightest - (brightest - photo) * random.uniform(0, 2), 0, 255).round().astype(np.uint8)
        return paler[:, ::-1] if random.integers(2) else paler

    assert checks.check_augment(augment), checks.check_augment(augment)


def test_numbers_may_come_in_arrays_and_in_other_orders_of_work():
    assert checks.check_both_weights(lambda s, c, f: np.array([s * s * c * f, c * (s * s + f)]))
    assert checks.check_both_products(lambda s, c, f, h, w: [h * w * s * s * c * f, h * w * c * (s * s + f)])
    assert checks.check_epochs_to_forget(lambda m, steps, share: int(np.ceil(np.log(share) / np.log(m) / steps)))
    assert checks.check_fire_weights(lambda c, s, e: c * s + 10 * s * e // 2 + s + e)


def test_freezing_in_one_line_is_right_too():
    assert checks.check_freeze(lambda model: [setattr(layer, "trainable", False) for layer in model.layers[:-1]])
