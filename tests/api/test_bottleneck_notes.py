"""What a report says in sentences."""

from fireweed.api.reporting import bottleneck_notes, norms_notes
from fireweed.settings import TrainingSettings


def rows(*shares):
    return [
        {"epoch": float(i + 1), "images_per_second": 1020.4 + i, "share_of_seconds_waited": share}
        for i, share in enumerate(shares)
    ]


def test_waiting_for_photos_is_told_with_its_figure_only_where_it_matters():
    assert bottleneck_notes(rows(0.05, 0.0)) == []
    assert bottleneck_notes([{"epoch": 1.0, "images_per_second": 9.0}]) == []  # of an older version
    (note,) = bottleneck_notes(rows(0.383, 0.02))
    assert "bottleneck in epoch 1: 38% of its training time" in note and "(1,020 photos/s)" in note
    (note,) = bottleneck_notes(rows(0.2, 0.5, 0.02))
    assert "in 2 of 3 epochs, most in epoch 2: 50%" in note and "(1,021 photos/s)" in note


def test_an_accuracy_that_the_norms_changed_is_told_beside_the_one_before():
    anew, after = TrainingSettings(norm_photos=100), {"accuracy": 0.677}
    history = [{"val_accuracy": 0.5}, {"val_accuracy": 0.968}]
    (note,) = norms_notes(anew, history, after)
    assert "was 96.8%, and is 67.7% with norm statistics computed anew" in note
    assert norms_notes(anew, history, {"accuracy": 0.96}) == []
    assert norms_notes(TrainingSettings(), history, after) == []
    assert norms_notes(anew, [{"loss": 1.0}], after) == [] and norms_notes(anew, [], after) == []
