"""A frozen net takes the time of its views and of the head's epochs; --minutes spends it on views first."""

import re
from types import SimpleNamespace

import pytest

from fireweed.api import feature_time, timing
from fireweed.api.budget import CHECKPOINT_SECONDS
from fireweed.api.feature_time import STEP_SECONDS, expected_head_seconds, fit_views_to_minutes
from fireweed.api.timing import expected_seconds, remember_rates, speed_name
from fireweed.data.catalog import Catalog, Photo
from fireweed.devices import DeviceChoice
from fireweed.devices.machine import Found
from fireweed.errors import RecipeError
from fireweed.recipe import checked
from fireweed.remembered import remember
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved

CPU = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32", found=(Found("cpu", "Plain CPU", 1, cores=2),))
GPU = DeviceChoice("gpu", 1, "NVIDIA H100", "jax", "mixed_bfloat16", found=CPU.found)
FINISHING = 20.0
SILENT = Reporter(is_silent=True)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path))
    monkeypatch.setattr(feature_time, "seconds_to_finish", lambda *_: FINISHING)
    monkeypatch.setattr(feature_time, "time", SimpleNamespace(monotonic=lambda: 0.0))  # building nets takes none of it


def recipe(epochs=40, freeze=True, name="mobilenetv2", **training):
    return checked({"model": {"name": name, "freeze": freeze}, "training": {
        "phases": [{"side": 128, "epochs": epochs}], "batch": 10, "precision": "float32", "compile": "none",
        **training}})  # fmt: skip


def catalog(photos=1000, validated=200):
    parts = ["train"] * photos + ["validation"] * validated
    return Catalog(photos=tuple(Photo("", 0, part=part) for part in parts), classes=("a", "b"))


def fitted(minutes, timer, keeps_sides=False, asked=None, most_views=0):
    resolved = Resolved(asked or recipe(), None, ())
    given = (catalog(), minutes, 0.0, keeps_sides, CPU, SILENT, most_views, timer)
    result = fit_views_to_minutes(resolved, *given)
    return result.recipe


def test_finished_runs_say_how_long_the_next_one_takes():
    remember(speed_name(recipe(), 128, CPU), {"forward": 50.0})
    remember_rates(recipe(), {128: 4000.0}, CPU)
    seconds, basis = expected_head_seconds(recipe(views=3), 5, 1000, 200, CPU)
    assert seconds == pytest.approx(3200 / 50 + 40 * (1000 / 4000 + CHECKPOINT_SECONDS)) and "earlier runs" in basis
    more, _ = expected_head_seconds(recipe(views=0), 5, 1000, 200, CPU)
    assert more - seconds == pytest.approx(37 * 1000 / 50)


def test_an_evaluation_side_of_its_own_and_the_heads_rate_at_the_last_phase_count():
    asked = recipe(views=3, evaluation_scale=1.25)
    for side, rate in ((128, 50.0), (160, 30.0)):
        remember(speed_name(asked, side, CPU), {"forward": rate})
    remember(speed_name(asked, 128, CPU), {"head": 4000.0})
    seconds, basis = expected_head_seconds(asked, 5, 1000, 200, CPU)
    assert seconds == pytest.approx(3000 / 50 + 200 / 30 + 40 * (1000 / 4000 + CHECKPOINT_SECONDS))
    assert "earlier runs" in basis


def test_the_heads_rate_says_nothing_of_a_net_trained_whole(monkeypatch):
    monkeypatch.setattr(timing, "matrix_rate", lambda: 1e9)
    remember_rates(recipe(), {128: 4000.0}, CPU)
    assert "rough guess" in expected_seconds(recipe(freeze=False), 5, 1000, 0, CPU)[1]
    assert "rough guess" in expected_head_seconds(recipe(), 5, 1000, 200, CPU)[1]
    assert expected_head_seconds(recipe(), 5, 1000, 200, GPU) is None


def test_minutes_are_spent_on_views_and_all_of_it_fits():
    for minutes, rate in ((2, 50.0), (10, 50.0), (10, 30.0)):
        found = fitted(minutes, lambda side, rate=rate: (rate, 1.0))
        views, head = found.training.views, 40 * (1000 / 10 * STEP_SECONDS + CHECKPOINT_SECONDS)
        left = minutes * 60 - FINISHING - 1.0 - head
        assert found.total_epochs == 40 and found.evaluation_side == 128
        assert (views * 1000 + 200) / rate <= left < ((views + 1) * 1000 + 200) / rate
    assert fitted(600, lambda side: (50.0, 1.0)).training.views == 40  # an epoch has one view at most


def test_sides_shrink_only_where_no_view_fits():
    def timer(side):
        return 16.0 * (128 / side) ** 2, 1.0

    assert fitted(2, timer).evaluation_side == 96
    with pytest.raises(RecipeError, match=r"2 minutes are too short for one view of 1,200 photos by mobilenetv2"):
        fitted(2, timer, keeps_sides=True)
    with pytest.raises(RecipeError, match="give at least"):
        fitted(0.5, timer)


@pytest.mark.parametrize("minutes", [0.5, 1, 2])
@pytest.mark.parametrize("phases", [[(128, 40)], [(96, 300), (128, 300)]])
def test_the_least_time_that_is_named_suffices(minutes, phases):
    asked = recipe(phases=[{"side": side, "epochs": epochs} for side, epochs in phases])

    def timer(side):
        return 8.0 * (128 / side) ** 2, 5.0

    noun = "1 minute is" if minutes == 1 else f"{minutes:g} minutes are"
    with pytest.raises(RecipeError, match=f"^{noun} too short") as refused:
        fitted(minutes, timer, keeps_sides=True, asked=asked)
    least = float(re.search(r"give at least (\d+\.\d)", str(refused.value))[1])
    assert fitted(least, timer, keeps_sides=True, asked=asked).training.views >= 1
    assert least < 1.6 * (FINISHING + 2400 / 8) / 60 + 1


def test_the_first_batch_of_each_side_and_the_heads_own_rate_are_counted():
    asked = recipe(evaluation_scale=1.25)
    alone = fitted(10, lambda side: (50.0, 0.0), asked=asked).training.views
    assert fitted(10, lambda side: (50.0, 40.0), asked=asked).training.views == alone - 4  # 80 s at 20 s a view
    remember(speed_name(asked, 128, CPU), {"head": 1000.0})
    assert fitted(10, lambda side: (50.0, 0.0), asked=asked).training.views == alone - 1  # 24 s more for 40 epochs


def test_views_that_were_asked_for_are_the_most():
    assert (
        fitted(10, lambda side: (50.0, 1.0), most_views=4).training.views
        == 4
        < fitted(10, lambda side: (50.0, 1.0)).training.views
    )
    assert fitted(2, lambda side: (50.0, 1.0), most_views=4).training.views == 3


def test_the_evaluation_side_stays_one_that_the_net_can_have():
    asked = recipe(name="xception", evaluation_scale=0.6)  # whose least side is 71 px

    def timer(side):
        return 12.0 * (128 / side) ** 2, 1.0

    with pytest.raises(RecipeError, match="too short"):
        fitted(1.4, timer, asked=asked)  # at 71 px there would be time
    assert fitted(1.4, timer, asked=recipe(name="xception")).evaluation_side == 71


def test_only_sides_that_seem_to_fit_are_timed():
    timed = []

    def timer(side):
        timed.append(side)
        return 5.0 * (128 / side) ** 2, 1.0

    assert fitted(2, timer).evaluation_side == 64  # 1,200 photos in 71 s
    assert timed == [128, 64]


def test_a_short_time_cuts_the_heads_epochs():
    found = fitted(1, lambda side: (1e5, 1.0), asked=recipe(epochs=400))
    assert 1 <= found.total_epochs < 400 and found.training.views == found.total_epochs
