"""Timed steps are real training steps of a copy, compiled as asked."""

import keras
import pytest
from tensorflow.python.framework import config

from fireweed.recipe import checked
from fireweed.training import stepping
from fireweed.training.stepping import time_steps
from fireweed.training.train import compile_model

RECIPE = checked({"model": {"name": "conv 4 | gap"}, "training": {"batch": 4}})


def test_steps_are_timed_until_there_were_enough(monkeypatch):
    counted = []

    def made(seconds):
        counted.append(seconds)
        return seconds

    times = iter([9.0, 1.0, 2.0, 4.0, 1.0, 1.0])
    monkeypatch.setattr(stepping, "make_step", lambda *arguments: lambda: made(next(times)))
    speed = time_steps(RECIPE, 3, 8, "none", least_steps=2, most_steps=4, enough_seconds=6.5)
    assert counted == [9.0, 1.0, 2.0, 4.0], "stops as soon as seven seconds went by"
    assert speed == stepping.Speed(images_per_second=4 / 2.0, first_step_seconds=9.0)


def test_steps_of_a_copy_train_and_take_time():
    speed = time_steps(RECIPE, 3, 8, "none")
    assert 1 < speed.images_per_second < 1e6 and 0 < speed.first_step_seconds < 100


@pytest.mark.parametrize(("asked", "is_compiled"), [("xla", True), ("none", False), ("auto", False)])
def test_the_choice_reaches_keras(asked, is_compiled, monkeypatch):
    # Keras leaves XLA out of deterministic trainings, and one in this process may have been: that is never undone.
    monkeypatch.setattr(config, "is_op_determinism_enabled", lambda: False)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    compile_model(model, keras.optimizers.SGD(1.0), asked)
    assert model.jit_compile is is_compiled
