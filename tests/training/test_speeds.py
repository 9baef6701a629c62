"""What is remembered of a training's speed is that of its steps alone, from enough of them."""

import pytest

from fireweed.training.speeds import SideSpeeds


def speeds(*epochs):
    """Return the rates of epochs (side, steps, seconds) whose steps have 10 photos."""
    found = SideSpeeds()
    for side, steps, seconds in epochs:
        found.add(side, steps, 10.0 * steps, seconds)
    return found.images_per_second()


def test_steps_of_a_side_are_taken_together_and_a_short_last_epoch_decides_nothing():
    assert speeds((64, 20, 9.0), (64, 20, 2.0), (64, 20, 2.0), (64, 2, 2.0)) == {64: pytest.approx(70.0)}


def test_the_epoch_in_which_photos_are_decoded_counts_only_where_no_other_tells_enough():
    assert speeds((64, 20, 9.0), (64, 12, 1.0), (96, 30, 6.0)) == {64: 120.0, 96: 50.0}
    assert speeds((64, 20, 8.0), (64, 3, 1.0)) == {64: 25.0}


def test_too_few_steps_say_nothing():
    assert speeds((64, 9, 1.0)) == {} == speeds((64, 5, 1.0), (96, 9, 1.0))
    assert speeds((64, 3, 1.0), *[(64, 3, 1.0)] * 4) == {64: 30.0}
    assert speeds() == {}
