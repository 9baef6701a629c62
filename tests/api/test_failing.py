"""A run that goes wrong leaves a model that works; one that is begun anew leaves the one before."""

import numpy as np
import pytest

from fireweed.api import TrainRequest, open_trained, train_run
from fireweed.errors import FireweedError
from fireweed.reporting import Reporter
from fireweed.training import train as module

OPTIONS = {"data": "drawn", "model": "conv 4 | gap", "epochs": 3, "side": 16, "compile": "none",
           "settings": ("training.batch=64", "training.optimizer=sgd")}  # fmt: skip


def test_a_run_whose_loss_is_no_number_leaves_the_last_good_model_and_begins_anew_beside_it(tmp_path, monkeypatch):
    out = tmp_path / "run"

    def lost_in_second_epoch(recipe, steps):
        return np.repeat(np.array([1e-3, np.inf, 1e-3], np.float32), steps)

    monkeypatch.setattr(module, "learning_rates", lost_in_second_epoch)
    with pytest.raises(FireweedError, match=r"epoch 2.*The last good model, that after epoch 1, is .*model\.keras"):
        train_run(TrainRequest(out=str(out), **OPTIONS), Reporter(is_silent=True))
    assert not (out / "report.html").exists()
    answer = open_trained(out).evaluate()
    assert 0 <= answer["accuracy"] <= 1
    monkeypatch.undo()

    folder = train_run(TrainRequest(out=str(out), start_over=True, **OPTIONS), Reporter(is_silent=True))
    assert folder.path == out and len(folder.history()) == 3 and folder.is_finished
    assert len(open_trained(tmp_path / "run-before-1").history) == 1
