"""Which sides suit a time: few epochs call for smaller ones, much time for larger ones, and fine-tuning needs fewer."""

import hashlib
import time

import numpy as np
import pytest

from fireweed.api import budget, decoding_time
from fireweed.api.budget import (
    SCALES,
    budget_to_go_on,
    chosen_scale,
    counted_minutes,
    fit_to_minutes,
    joined,
    most_epochs,
    scaled,
    shared,
)
from fireweed.api.timing import remember_rates
from fireweed.data.catalog import Catalog, Photo
from fireweed.data.plan import default_batch
from fireweed.data.store import open_store
from fireweed.devices import DeviceChoice
from fireweed.devices.machine import Found
from fireweed.errors import RecipeError
from fireweed.models.registry import find_entry
from fireweed.recipe import checked, read_recipe
from fireweed.resolving import resolve
from fireweed.settings import Phase

SQUEEZENET, XCEPTION = read_recipe("squeezenet"), read_recipe("xception")
CPU = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32", found=(Found("cpu", "Plain CPU", 1, cores=2),))
GPU = DeviceChoice("gpu", 1, "NVIDIA H100", "jax", "mixed_bfloat16", found=CPU.found)


def catalog(photos, validated=20):
    parts = ["train"] * photos + ["validation"] * validated
    return Catalog(("a", "b"), tuple(Photo("", n % 2, f"{n:064x}", part) for n, part in enumerate(parts)))


class Listener:
    """A reporter that keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function that plans minutes on a machine of a known speed; gives recipe, budget and what was said."""
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path))

    def plan(photos, minutes, rate, decoding=0.0, choice=GPU, recipe=SQUEEZENET, **options):
        monkeypatch.setattr(budget, "seconds_to_decode", lambda *_: decoding)
        monkeypatch.setattr(budget, "seconds_to_finish", lambda *_: 10.0)
        resolved = resolve(recipe, [photos - photos // 2, photos // 2], default_batch(photos), by_clock=True)
        sides = {phase.side for scale in SCALES for phase in scaled(resolved.recipe, scale)}
        remember_rates(resolved.recipe, {side: rate * (96 / side) ** 2 for side in sides}, choice)
        listener = Listener()
        found, given = fit_to_minutes(resolved, options.get("catalog", catalog(photos)), minutes, time.monotonic(),
                                      False, choice, listener)  # fmt: skip
        return found.recipe, given, listener.said[-1]

    return plan


@pytest.mark.parametrize("minutes", [20, 1440, 100_000])
def test_more_time_than_few_photos_have_a_use_for_ends_early_and_at_no_larger_sides(planned, minutes):
    recipe, given, said = planned(16, minutes, 500.0)
    assert recipe.total_epochs == 800 and [p.side for p in recipe.training.phases] == [96, 128]
    assert 240 < given.seconds < 900 and "more than these photos have a use for" in said
    again = budget_to_go_on(recipe, 800, catalog(16), minutes, time.monotonic(), GPU)
    assert again.seconds == pytest.approx(given.seconds, rel=0.05)


def test_a_time_that_photos_have_a_use_for_is_taken_whole(planned):
    recipe, given, said = planned(2600, 60, 500.0)
    assert given.seconds == 3600 and "use for" not in said and recipe.total_epochs > 62
    assert max(phase.side for phase in recipe.training.phases) > 128


def test_no_plan_has_more_epochs_than_can_be_written_down(planned):
    long = checked({"training": {"phases": [{"side": 64, "epochs": 60_000}, {"side": 96, "epochs": 40_000}]}})
    recipe, _, _ = planned(16, 10**7, 1e6, recipe=long)
    assert recipe.total_epochs == most_epochs(long) == 100_000


def test_photos_that_are_not_seen_need_no_decoding(planned):
    assert "part of an epoch" in planned(200_000, 4, 3000.0, decoding=0.0015)[2]
    quick = planned(200_000, 4, 3000.0, decoding=0.0003)[0].total_epochs
    assert quick > 5  # on a GPU decoding costs what it takes longer than the steps
    with pytest.raises(RecipeError, match=r"too short to train squeezenet on 200,000 photos here; give at least 0\.6"):
        planned(200_000, 0.2, 3000.0, decoding=0.0015)


def test_what_decoding_takes_on_a_cpu_goes_off_the_first_epoch(planned):
    def epochs(minutes, decoding):
        asked = checked({"training": {"phases": [{"side": 96, "epochs": 40}]}})
        return planned(1000, minutes, 100.0, decoding, CPU, asked, catalog=catalog(1000, 100))[0].total_epochs

    assert epochs(10, 0.0) - epochs(10, 0.1) == pytest.approx(110 / 10.6, abs=1)


def test_squares_that_an_earlier_run_kept_need_no_decoding(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path))
    data = [bytes([number]) * 9 for number in range(5)]
    photos = [Photo("", 0, hashlib.sha256(each).hexdigest()) for each in data]
    store = open_store()
    kept = store.find(32, "crop", [photo.key for photo in photos])
    for photo, each in zip(photos[:3], data[:3], strict=True):
        kept.put(photo.key, each, np.zeros((32, 32, 3), np.uint8))
    kept.close()
    store.close()
    record = Photo("", 0, photos[0].key, offset=0)
    part = decoding_time.PartDecoding([*photos, record], "crop", 0.5)
    assert part.seconds(32) == 1.5 and part.seconds(64) == 3.0
    monkeypatch.setenv("FIREWEED_CACHE_GB", "0")
    assert decoding_time.number_to_decode(photos, 32, "crop") == 5


def test_the_time_to_validate_is_that_of_the_phases_that_are_left(planned):
    phases = [{"side": 96, "epochs": 2}, {"side": 160, "epochs": 3}, {"side": 224, "epochs": 2}]
    asked = checked({"model": {"name": "squeezenet", "weights": "imagenet"}, "training": {"phases": phases}})
    recipe, given, _ = planned(2600, 6.8, 30.0, choice=CPU, recipe=asked, catalog=catalog(2600, 600))
    assert [phase.side for phase in recipe.training.phases][-1] < 224, "so few epochs leave the last phase out"
    rate = 30 * (96 / recipe.evaluation_side) ** 2
    assert given.between == pytest.approx(600 / 3 / rate + 0.3, rel=0.01)


@pytest.mark.parametrize(("minutes", "is_said"), [(10, True), (60, False)])
def test_a_time_in_which_a_frozen_net_is_better_is_told(planned, minutes, is_said):
    said = planned(2600, minutes, 50.0, choice=CPU, recipe=read_recipe("xception"))[2]
    assert ("--recipe frozen makes more of so short a time" in said) == is_said


def test_nothing_is_timed_at_a_side_that_no_training_step_has(planned, monkeypatch):
    monkeypatch.setattr(budget, "measured_speed", lambda *_: pytest.fail("a side was timed"))
    assert SQUEEZENET.evaluation_side == 144
    assert planned(2600, 30, 100.0, choice=CPU)[1].between == pytest.approx(
        20 / 3 / (100 * (96 / 144) ** 2) + 0.3, rel=0.3
    )


@pytest.mark.parametrize("evaluation_scale", [0.5, 0.75, 1.0, 1.25, 2.0])
def test_the_evaluation_side_is_one_that_the_net_can_have_at_any_scale(evaluation_scale):
    phases = [{"side": side, "epochs": epochs} for side, epochs in ((80, 8), (144, 4))]
    for name in ("xception", "squeezenet-1.0"):
        asked = checked({"model": {"name": name},
                         "training": {"phases": phases, "evaluation_scale": evaluation_scale}})  # fmt: skip
        for scale in SCALES:
            for epochs in (1, 2, 12):
                chosen = shared(asked, scaled(asked, scale), epochs)
                training = asked.training.model_copy(update={"phases": chosen})
                side = asked.model_copy(update={"training": training}).evaluation_side
                assert side >= find_entry(name).min_side_px, (name, scale, epochs, chosen)
                assert sum(phase.epochs for phase in chosen) == epochs


def scale(epochs, wanted=22, is_pretrained=False):
    """Return the scale for a time that allows so many epochs at the recipe's own sides."""
    return chosen_scale(SCALES, lambda scale: epochs / scale**2, wanted, is_pretrained)


def test_from_scratch_sides_give_way_to_epochs():
    assert [scale(epochs) for epochs in (0.5, 3, 5, 8, 22, 40)] == [0.5, 2 / 3, 1.0, 1.0, 1.0, 1.0]
    assert scale(80) == 4 / 3 and scale(100_000) == SCALES[-1]
    assert [p.side for p in scaled(SQUEEZENET, 2 / 3)] == [64, 96]


def test_pretrained_nets_keep_their_sides_with_few_epochs_and_grow_sooner():
    sides = [[p.side for p in scaled(XCEPTION, scale(epochs, 6, True))] for epochs in (1, 3, 6, 12)]
    assert sides == [[160, 224, 288], [160, 224, 288], [160, 224, 288], [224, 288, 320]]
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
