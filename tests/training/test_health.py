"""A training that comes to nothing ends with a reason, and leaves the last good weights."""

import functools
import itertools

import numpy as np
import pytest
import test_train as t

from fireweed.training import clock, health
from fireweed.training import train as module
from fireweed.training.health import DivergedError, StuckError, is_stuck


def rows(count, loss=lambda epoch: 1.61, accuracy=0.2, val_accuracy=0.2):
    return [
        {"steps": 100, "loss": loss(epoch), "accuracy": accuracy, "val_accuracy": val_accuracy}
        for epoch in range(count)
    ]


def test_chance_is_told_from_learning():
    assert is_stuck(rows(10), 0.2, np.log(5), 1000, 200)
    assert is_stuck(rows(10, accuracy=0.22), 0.2, np.log(5), 1000, 200)
    assert not is_stuck(rows(10, accuracy=0.25), 0.2, np.log(5), 1000, 200)
    assert is_stuck(rows(10, accuracy=0.25), 0.2, np.log(5), 50, 50), "of 50 photos a quarter may be right by chance"
    assert not is_stuck(rows(10, val_accuracy=0.5), 0.2, np.log(5), 1000, 200), (
        "strong augmentation hides it in training"
    )
    assert not is_stuck(rows(10, loss=lambda epoch: 1.61 - 0.01 * epoch), 0.2, np.log(5), 1000, 200)
    assert not is_stuck(rows(4), 0.2, np.log(5), 1000, 200), "too few steps to say"


def test_a_net_that_gives_up_frequent_photos_for_rare_ones_learns():
    """Of 95 photos in 100 of one class, classes weighed alike: log 2 is the loss of chance."""
    below = {"accuracy": 0.94, "val_accuracy": 0.95, "loss": lambda epoch: 0.3 - 0.0004 * epoch}
    assert not is_stuck(rows(15, **below), 0.95, np.log(2), 1500, 300)
    assert is_stuck(rows(15, **below | {"loss": lambda epoch: 0.69}), 0.95, np.log(2), 1500, 300)


def test_a_net_that_learns_nothing_ends_and_says_so_again(tmp_path, monkeypatch):
    monkeypatch.setattr(health, "LEAST_STEPS", 5)
    asked = t.recipe(chance_epochs=2, average=0.0, schedule={"kind": "constant", "peak": 1e-12})
    given = t.data()
    given.chance, given.validated, given.photos = 0.5, 8, 12
    for _ in range(2):
        with pytest.raises(StuckError, match="learned nothing for 2 epochs, up to epoch 2") as error:
            module.train(t.net(), asked, given, tmp_path, t.Reporter(is_silent=True))
        assert error.value.outcome.kept_epoch == 2 and len(error.value.outcome.history) == 2


def lost_in_second_epoch(monkeypatch):
    def rates(recipe, steps):
        lost = np.inf if recipe.training.schedule.peak == 1e-2 else 1e-3
        return np.repeat(np.array([1e-3, lost, 1e-3, 1e-3], np.float32), t.STEPS)

    monkeypatch.setattr(module, "learning_rates", rates)


def test_the_last_good_weights_are_there_after_a_loss_that_is_no_number(tmp_path, monkeypatch):
    lost_in_second_epoch(monkeypatch)
    model = t.net()
    with pytest.raises(DivergedError, match=r"epoch 2: the learning rate .*peak=0\.0025") as error:
        t.run(tmp_path, t.recipe(optimizer="sgd"), model, checkpoint_minutes=1e-9)
    outcome = error.value.outcome
    assert len(outcome.history) == 1 and outcome.model is model
    assert all(np.isfinite(np.array(weight)).all() for weight in model.weights)


def test_where_the_recipe_says_so_it_goes_back_and_on_at_half_the_rate(tmp_path, monkeypatch):
    lost_in_second_epoch(monkeypatch)
    outcome, _ = t.run(tmp_path, t.recipe(optimizer="sgd", retries=1))
    assert len(outcome.history) == 4 and all(np.isfinite(row["loss"]) for row in outcome.history)
    assert outcome.notes[0] == "the loss was not a number in epoch 2; gone back, at half the rate"
    again, _ = t.run(tmp_path, t.recipe(optimizer="sgd", retries=1))
    assert again.notes == outcome.notes, "what was lowered is kept in the checkpoint"


def test_before_any_checkpoint_it_begins_again_with_the_first_weights(tmp_path, monkeypatch):
    def rates(recipe, steps):
        first = 1e-3 if recipe.training.schedule.peak < 1e-2 else np.inf
        return np.full(4 * t.STEPS, first, np.float32)

    monkeypatch.setattr(module, "learning_rates", rates)
    outcome, model = t.run(tmp_path / "lowered", t.recipe(optimizer="sgd", retries=2))
    _, same = t.run(tmp_path / "low", t.recipe(optimizer="sgd", schedule={"kind": "cosine", "peak": 5e-3}))
    assert len(outcome.history) == 4
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, same.weights, strict=True))


def test_weights_that_are_no_numbers_from_the_first_step_on_are_told(tmp_path):
    model = t.net()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    with pytest.raises(DivergedError, match=r"very first step.*damaged") as error:
        t.run(tmp_path, t.recipe(), model)
    assert error.value.outcome is None


def test_by_the_clock_a_fall_back_takes_none_of_the_time_that_is_left(tmp_path, monkeypatch):
    def rates(recipe, steps):
        is_first = recipe.training.schedule.peak == 1e-2
        return np.repeat(np.array([1e-3, np.inf if is_first else 1e-3], np.float32), 50)

    ticks = itertools.count()
    monkeypatch.setattr(clock, "learning_rates", rates)
    monkeypatch.setattr(module, "ClockCourse", functools.partial(clock.ClockCourse, now=lambda: float(next(ticks))))
    budget = clock.Budget(seconds=400.0, began=0.0, finishing=20.0, between=3.0, steps=(6.0, 6.0))
    outcome, _ = t.run(tmp_path, t.recipe(optimizer="sgd", retries=1), budget=budget)
    assert any("gone back, at half the rate" in note for note in outcome.notes)
    assert 340 < next(ticks) <= 400
