import re

import numpy as np
import pytest
from report_samples import history

from fireweed.evaluation.curves import (
    accuracy_curve,
    calibration_diagram,
    learning_rate_curve,
    loss_curve,
    side_changes,
)


def line(markup: str, kind: str) -> list[tuple[float, float]]:
    (points,) = re.findall(rf'class="line {kind}" points="([^"]*)"', markup)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_both_lines_are_drawn_and_better_is_higher() -> None:
    drawn = str(accuracy_curve(history(5)))
    for kind in ("training", "validation"):
        heights = [y for _, y in line(drawn, kind)]
        assert len(heights) == 5
        assert heights == sorted(heights, reverse=True)  # y grows downwards
    assert [x for x, _ in line(drawn, "training")] == sorted({x for x, _ in line(drawn, "training")})


def test_change_of_side_is_marked_where_it_happens() -> None:
    assert side_changes(history(4)) == [(1.0, "96 px"), (3.0, "128 px")]
    assert ">128 px<" in loss_curve(history(4))
    assert side_changes([row | {"side": 96} for row in history(4)]) == []
    assert "px<" not in loss_curve([row | {"side": 96} for row in history(4)])


def test_rows_read_as_text_and_figures_that_do_not_exist_leave_gaps() -> None:
    rows = [{key: str(value) for key, value in row.items()} for row in history(6)]
    rows[2]["val_loss"] = "nan"
    rows[3]["loss"] = "nan"
    drawn = str(loss_curve(rows))
    assert "nan" not in drawn
    assert drawn.count("<polyline") == 4  # each of the two lines in two pieces
    assert "<svg" in accuracy_curve(history(1))
    assert loss_curve([]) == ""
    assert loss_curve([{"epoch": 1, "loss": None, "val_loss": float("inf")}]) == ""


def test_a_line_joins_the_epochs_that_were_validated() -> None:
    rows = [dict(row) for row in history(6)]
    for epoch in (0, 2, 3):
        del rows[epoch]["val_loss"]
    drawn = str(loss_curve(rows))
    assert drawn.count("<polyline") == 2
    assert len(line(drawn, "validation")) == 3 and len(line(drawn, "training")) == 6


def test_one_bad_epoch_does_not_flatten_the_loss() -> None:
    rows = history(8)
    rows[0]["val_loss"] = 500.0
    heights = [y for _, y in line(str(loss_curve(rows)), "training")]
    assert heights[-1] - heights[0] > 50
    assert "validation: 500.000" in loss_curve(rows)


def test_learning_rate_of_a_million_steps_stays_small_and_keeps_its_peak() -> None:
    rates = np.full(1_000_000, 0.001)
    rates[654_321] = 0.005
    drawn = str(learning_rate_curve(rates, [row | {"steps": 10_000} for row in history(100)]))
    assert len(drawn) < 40_000
    points = line(drawn, "rate")
    assert min(y for _, y in points) < min(y for _, y in points[:100]) - 50
    assert learning_rate_curve(np.zeros(0), []) == ""
    assert "<svg" in learning_rate_curve(np.zeros(5), [])


def test_the_learning_rate_is_drawn_by_the_epochs_of_the_other_curves_however_many_steps_each_had() -> None:
    rates = np.where(np.arange(60) < 20, 0.002, 0.001)  # the first epoch has twenty of the steps, the second forty
    cut = [row | {"steps": steps} for row, steps in zip(history(2), (20, 40), strict=True)]
    points = line(str(learning_rate_curve(rates, cut)), "rate")
    middle = (points[0][0] + points[-1][0] * 60 / 59) / 2
    assert points[20][0] == pytest.approx(middle, rel=0.01) and points[19][1] < points[20][1] == points[-1][1]
    planned = np.append(rates, np.full(30, 0.5))  # an epoch that patience left out
    assert learning_rate_curve(planned, cut) == learning_rate_curve(rates, cut)
    older = [{name: value for name, value in row.items() if name != "steps"} for row in history(2)]
    assert line(str(learning_rate_curve(rates, older)), "rate")[30][0] == pytest.approx(middle, rel=0.01)


def test_calibration_bar_says_its_counts() -> None:
    point = {"from": 0.9, "to": 1.0, "photos": 40, "confidence": 0.96, "accuracy": 0.75}
    drawn = calibration_diagram([point])
    assert "90% to 100% sure: 30 of 40 right (75.0%)" in drawn
    assert drawn.count('class="whisker"') == 1
