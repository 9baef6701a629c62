"""Which sides suit a time: few epochs call for smaller ones, much time for larger ones, and fine-tuning needs fewer."""

import pytest

from fireweed.api.budget import SCALES, chosen_scale, counted_minutes, joined, scaled
from fireweed.recipe import checked, read_recipe
from fireweed.settings import Phase

SQUEEZENET, XCEPTION = read_recipe("squeezenet"), read_recipe("xception")


def scale(epochs, wanted=22, is_pretrained=False):
    """Return the scale for a time that allows so many epochs at the recipe's own sides."""
    return chosen_scale(SCALES, lambda scale: epochs / scale**2, wanted, is_pretrained)


def test_from_scratch_sides_give_way_to_epochs():
    assert [scale(epochs) for epochs in (0.5, 3, 5, 8, 22, 40)] == [0.5, 2 / 3, 1.0, 1.0, 1.0, 1.0]
    assert scale(80) == 4 / 3 and scale(100_000) == SCALES[-1]
    assert [p.side for p in scaled(SQUEEZENET, 2 / 3)] == [64, 96]


def test_pretrained_nets_keep_their_sides_with_few_epochs_and_grow_sooner():
    sides = [[p.side for p in scaled(XCEPTION, scale(epochs, 6, True))] for epochs in (1, 3, 6, 12)]
    assert sides == [[160, 224], [160, 224], [160, 224], [224, 288]]
    assert scale(0.5, 6, True) < 1


def test_sides_stay_within_what_the_net_can_have():
    for recipe in (SQUEEZENET, XCEPTION, checked({"training": {"phases": [{"side": 16, "epochs": 3}]}})):
        for factor in SCALES:
            sides = [phase.side for phase in scaled(recipe, factor)]
            assert sides == sorted(sides) and min(sides) >= 16 and max(sides) <= 320
    assert scaled(XCEPTION, 0.5)[0].side >= 71


def test_neighbours_of_one_side_become_one_phase():
    phases = [Phase(side=64, epochs=2), Phase(side=64, epochs=1), Phase(side=96, epochs=1)]
    assert joined(phases) == (Phase(side=64, epochs=3), Phase(side=96, epochs=1))


@pytest.mark.parametrize(("minutes", "text"), [(1, "1 minute"), (1.0, "1 minute"), (2.5, "2.5 minutes")])
def test_minutes_are_counted(minutes, text):
    assert counted_minutes(minutes) == text
