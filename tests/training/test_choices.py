"""XLA or not: by measurement, tried only where the trial can pay, and never under a wrong pretext."""

import pytest

from fireweed.errors import RecipeError
from fireweed.recipe import checked
from fireweed.training.choices import choose_compile, quicker, trial_seconds

HOUR = 3600.0


def recipe(compile="auto", phases=1):
    table = [{"side": 32 + i, "epochs": 1} for i in range(phases)]
    return checked({"training": {"compile": compile, "phases": table}})


def never(limit):
    raise AssertionError("timed without need")


def figures(none, xla, first_xla=30.0):
    return {"step none": none, "step xla": xla, "first none": 5.0, "first xla": first_xla, "tried seconds": 60.0}


def test_what_was_asked_for_is_done_and_nothing_is_timed():
    for compile in ("xla", "none"):
        chosen = choose_compile(recipe(compile), "tensorflow", "cpu", {}, 10 * HOUR, never)
        assert chosen.compile == compile and "as asked" in chosen.sentence


def test_jax_has_xla_only():
    assert choose_compile(recipe(), "jax", "cpu", {}, 10 * HOUR, never).compile == "xla"
    with pytest.raises(RecipeError, match="--compile none"):
        choose_compile(recipe("none"), "jax", "gpu", {}, None, None)


def test_a_tpu_compiles_by_itself():
    for cores in (1, 8):
        chosen = choose_compile(recipe(), "tensorflow", "tpu", {}, 10 * HOUR, never, cores)
        assert chosen.compile == "none" and "TPUs have no other" in chosen.sentence


def test_a_short_training_tries_nothing():
    chosen = choose_compile(recipe(), "tensorflow", "cpu", {}, 600.0, never)
    assert chosen.compile == "none" and "fireweed bench" in chosen.sentence


def test_a_long_training_tries_both_within_a_fiftieth_of_its_time():
    limits = []

    def trial(limit):
        limits.append(limit)
        return figures(12.0, 27.0)

    chosen = choose_compile(recipe(), "tensorflow", "cpu", {}, HOUR, trial)
    assert limits == [pytest.approx(72.0)]
    assert chosen.compile == "xla" and chosen.sentence == "engine: XLA (27 against 12 images/s, measured now)"
    assert trial_seconds(100 * HOUR) == 120.0 and trial_seconds(999.0) == 0.0 and trial_seconds(None) == 0.0


def test_what_is_remembered_is_not_tried_again():
    chosen = choose_compile(recipe(), "tensorflow", "cpu", figures(27.0, 12.0), 10 * HOUR, never)
    assert chosen.compile == "none" and chosen.sentence == "engine: no XLA (27 against 12 images/s, remembered)"


def test_xla_that_was_not_ready_is_tried_again_only_with_more_time():
    known = {"step none": 27.0, "first none": 5.0, "tried seconds": 72.0}
    chosen = choose_compile(recipe(), "tensorflow", "cpu", known, HOUR, never)
    assert chosen.compile == "none" and "not ready within 72 s" in chosen.sentence
    longer = choose_compile(recipe(), "tensorflow", "cpu", known, 2 * HOUR, lambda limit: figures(10.0, 20.0))
    assert longer.compile == "xla"


def test_compiling_again_in_each_phase_is_part_of_the_price():
    known = figures(20.0, 25.0, first_xla=65.0)  # a fifth less, a minute to compile
    assert quicker(known, 1000.0, 1) == "xla"
    assert quicker(known, 1000.0, 4) == "none"
    assert quicker(known, 100.0, 1) == "none"
    assert quicker(figures(20.0, 20.3, first_xla=5.0), 1e5, 1) == "none", "within the noise"
