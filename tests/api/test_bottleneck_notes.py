"""What a report says in sentences."""

from fireweed.api.reporting import bottleneck_notes


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
