"""Validation does not take longer than training where many photos are kept for it and few are trained on."""

import csv
from dataclasses import replace

import pytest
from test_train import BATCH, STEPS, data, lasting, net, recipe

from fireweed.reporting import Reporter
from fireweed.training.train import train
from fireweed.training.validating import validate_every

PHOTOS = BATCH * STEPS


def run(folder, asked, stop_at=None):
    """Train on PHOTOS photos, with so many kept for validation that each second epoch is validated."""
    folder.mkdir(exist_ok=True)
    said = []
    reporter = Reporter(is_silent=True)
    reporter.say = said.append
    return train(net(), asked, replace(data(stop_at), validated=2 * PHOTOS), folder, reporter), said


@pytest.mark.parametrize(("validated", "every"), [(0, 1), (24, 1), (100, 1), (101, 2), (694, 7)])
def test_no_more_photos_are_validated_than_trained_on(validated, every):
    settings = recipe().training
    assert validate_every(settings, 100, validated) == every
    assert validate_every(settings.model_copy(update={"patience": 3}), 100, validated) == 1
    assert validate_every(settings.model_copy(update={"keep": "best"}), 100, validated) == 1


def test_the_last_epoch_is_validated_and_of_others_the_history_says_that_they_were_not(tmp_path):
    outcome, said = run(tmp_path, recipe(phases=[{"side": 8, "epochs": 3}, {"side": 12, "epochs": 2}]))
    assert ["val_accuracy" in row for row in outcome.history] == [False, True, False, True, True]
    assert all({"loss", "accuracy", "seconds"} <= set(row) for row in outcome.history)
    with open(tmp_path / "history.csv", newline="") as file:
        assert [row["val_loss"] != "" for row in csv.DictReader(file)] == [False, True, False, True, True]
    assert any("12 photos to train on, 24 of validation" in line for line in said)
    epochs = [line for line in said if line.startswith("epoch ")]
    assert ["validation" in line for line in epochs] == [False, True, False, True, True]


@pytest.mark.parametrize("stop_at", [1, 4])
def test_it_goes_on_where_it_was_stopped(tmp_path, stop_at):
    whole, _ = run(tmp_path / "whole", recipe())
    with pytest.raises(Exception):  # noqa: B017 - tf.data makes its own kind of it
        run(tmp_path / "stopped", recipe(), stop_at=STEPS * 2 + stop_at)
    resumed, _ = run(tmp_path / "stopped", recipe())
    assert lasting(resumed.history) == lasting(whole.history)
    assert ["val_loss" in row for row in resumed.history] == [False, True, False, True]
