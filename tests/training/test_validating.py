"""Validation does not take longer than training where many photos are kept for it and few are trained on."""

import csv
from dataclasses import replace

import pytest
from test_train import BATCH, STEPS, by_clock, data, lasting, net, recipe

from fireweed.reporting import Reporter
from fireweed.training.train import train

PHOTOS = BATCH * STEPS


def run(folder, asked, stop_at=None, budget=None):
    """Train on PHOTOS photos, with so many kept for validation that each second epoch is validated."""
    folder.mkdir(exist_ok=True)
    said = []
    reporter = Reporter(is_silent=True)
    reporter.say = said.append
    return train(net(), asked, replace(data(stop_at), validated=2 * PHOTOS), folder, reporter, budget), said


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
    assert resumed.resumed_at == 2 + stop_at // STEPS


def test_by_the_clock_each_second_epoch_is_validated_too(tmp_path, monkeypatch):
    outcome, said = run(tmp_path, recipe(), budget=by_clock(monkeypatch.setattr))
    assert len(outcome.history) > 2
    assert ["val_loss" in row for row in outcome.history] == [row["epoch"] % 2 == 0 for row in outcome.history]
    assert any("not every epoch is validated" in line for line in said)
