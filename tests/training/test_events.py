"""What is written for TensorBoard without TensorFlow is what TensorBoard reads."""

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fireweed.training.events import EpochEvents


def test_tensorboard_reads_the_figures_of_each_epoch_by_part(tmp_path):
    events = EpochEvents(tmp_path, lambda: 0.25)
    for epoch, loss in enumerate((2.0, 1.0)):
        events.on_epoch_end(epoch, {"loss": loss, "val_loss": loss * 2})
    events.on_train_end()
    train, validation = (EventAccumulator(str(tmp_path / part)).Reload() for part in ("train", "validation"))
    assert [(e.step, e.value) for e in train.Scalars("epoch_loss")] == [(0, 2.0), (1, 1.0)]
    assert [e.value for e in validation.Scalars("epoch_loss")] == [4.0, 2.0]
    assert train.Scalars("epoch_learning_rate")[1].value == pytest.approx(0.25)
    assert validation.Tags()["scalars"] == ["epoch_loss"]
