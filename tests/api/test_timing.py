"""Estimates go by what was measured here, say on what grounds, and never mix machines or settings."""

import dataclasses

import pytest

from fireweed.api import timing
from fireweed.api.timing import (
    CHECKPOINT_SECONDS,
    expected_seconds,
    is_finish_known,
    main_side,
    multiply_adds,
    remember_finish,
    remember_rates,
    seconds_to_finish,
    speed_name,
)
from fireweed.devices import DeviceChoice
from fireweed.devices.machine import Found
from fireweed.recipe import checked
from fireweed.remembered import remember

CPU = DeviceChoice("cpu", 1, "Plain CPU", "tensorflow", "float32", found=(Found("cpu", "Plain CPU", 1, cores=2),))
GPU = DeviceChoice("gpu", 1, "NVIDIA H100", "jax", "mixed_bfloat16", found=CPU.found)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FIREWEED_CACHE", str(tmp_path))


def recipe(compile="none", **model):
    return checked({"model": {"name": "conv 4 | gap", **model}, "training": {
        "phases": [{"side": 16, "epochs": 3}, {"side": 32, "epochs": 2}], "batch": 8, "precision": "float32",
        "compile": compile}})  # fmt: skip


def test_finished_runs_say_how_long_the_next_one_takes():
    remember_rates(recipe(), {16: 100.0, 32: 25.0}, CPU)
    assert expected_seconds(recipe(), 5, 1000, 0, CPU) == (
        pytest.approx(3 * 10 + 2 * 40 + 5 * CHECKPOINT_SECONDS),
        "from earlier runs here",
    )


def test_validation_counts_as_often_as_it_takes_place():
    remember_rates(recipe(), {16: 100.0, 32: 25.0}, CPU)

    def added(photos, validated):
        seconds = [expected_seconds(recipe(), 5, photos, number, CPU)[0] for number in (validated, 0)]
        return seconds[0] - seconds[1]

    assert added(1000, 600) == pytest.approx(5 * 600 / 75), "a photo takes a third of a step's time"
    assert added(100, 600) == pytest.approx(5 * 600 / 75 / 6), "few photos to train on: every sixth epoch"


def test_the_end_of_a_run_is_guessed_once_and_then_remembered():
    guess = seconds_to_finish(recipe(), 5, 100, 0.02, CPU)
    assert 3 < guess < 4
    assert not is_finish_known(recipe(), CPU)
    remember_finish(recipe(), 100, 30.0, CPU)
    assert is_finish_known(recipe(), CPU) and not is_finish_known(recipe(), GPU)
    assert seconds_to_finish(recipe(), 5, 100, 0.02, CPU) == 30.0
    assert seconds_to_finish(recipe(), 5, 600, 0.02, CPU) == pytest.approx(40.0)
    assert seconds_to_finish(recipe(), 5, 100, 0.02, GPU) == guess


def test_timed_steps_serve_where_no_run_was():
    remember_rates(recipe(), {16: 100.0}, CPU)
    remember(speed_name(recipe(), 32, CPU), {"step none": 50.0})
    assert expected_seconds(recipe(), 5, 1000, 0, CPU) == (
        pytest.approx(3 * 10 + 2 * 20 + 5 * CHECKPOINT_SECONDS),
        "from steps timed here",
    )


def test_a_guess_is_called_one_and_made_for_cpus_only(monkeypatch):
    monkeypatch.setattr(timing, "matrix_rate", lambda: 1e9)
    seconds, basis = expected_seconds(recipe("xla"), 5, 1000, 0, CPU)
    each = [multiply_adds("conv 4 | gap", 5, side) for side in (16, 32)]
    steps = 1000 * 3 / 0.3e9 * (3 * each[0] + 2 * each[1])
    assert seconds == pytest.approx(steps + 5 * CHECKPOINT_SECONDS, rel=1e-6)
    assert "rough guess" in basis
    assert expected_seconds(recipe(), 5, 1000, 0, GPU) is None


def test_a_guess_goes_by_what_such_nets_reach(monkeypatch):
    monkeypatch.setattr(timing, "matrix_rate", lambda: 1e9)
    monkeypatch.setattr(timing, "multiply_adds", lambda *net: 1_000_000)
    with_bf16 = dataclasses.replace(CPU, found=(Found("cpu", "Newer CPU", 1, cores=2, features=("BF16",)),))

    def rate(name, precision, choice, library="avx2"):
        monkeypatch.setattr(timing, "library_name", lambda: library)
        asked = recipe(name=name)
        return timing.guessed_rate(asked.with_training(precision=precision), 5, 96, choice, passes=1)

    wide = [rate("xception", *of) for of in (("mixed_bfloat16", with_bf16), ("float32", CPU), ("mixed_bfloat16", CPU))]
    assert wide == sorted(wide, reverse=True) and wide[0] == pytest.approx(1000)
    assert rate("squeezenet", "float32", CPU) > 2 * rate("squeezenet", "float32", CPU, "none")
    assert rate("mobilenetv2", "float32", CPU) == rate("mobilenetv2", "float32", CPU, "none")


def test_rates_with_xla_say_nothing_of_steps_without(monkeypatch):
    monkeypatch.setattr(timing, "matrix_rate", lambda: 1e9)
    remember_rates(recipe("xla"), {16: 100.0, 32: 25.0}, CPU)
    assert "rough guess" in expected_seconds(recipe(), 5, 1000, 0, CPU)[1]
    assert "earlier runs" in expected_seconds(recipe("xla"), 5, 1000, 0, CPU)[1]


def test_another_machine_or_setting_has_another_name():
    other_chip = dataclasses.replace(CPU, found=(Found("cpu", "Plain CPU", 1, cores=2, features=("AVX2",)),))
    fewer_cores = dataclasses.replace(CPU, found=(Found("cpu", "Plain CPU", 1, cores=1),))
    larger = recipe().model_copy(update={"training": recipe().training.model_copy(update={"batch": 16})})
    names = [speed_name(recipe(), 16, choice) for choice in (CPU, GPU, other_chip, fewer_cores)]
    names += [speed_name(recipe(), 32, CPU), speed_name(larger, 16, CPU), speed_name(recipe(freeze=True), 16, CPU)]
    assert len(set(names)) == len(names)


def test_the_main_side_is_where_the_time_goes():
    assert main_side(recipe().training.phases) == 32
