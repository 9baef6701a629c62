import io
import json
import math

import numpy as np
import pytest
from report_samples import answers
from rich.console import Console

from fireweed.errors import ModelError
from fireweed.evaluation.metrics import evaluate_probabilities, format_evaluation, wilson_interval


def sure(predicted: list[int], classes: int, probability: float = 0.9) -> np.ndarray:
    """Return probabilities (photos, classes) of which the predicted class has `probability`."""
    rows = np.full((len(predicted), classes), (1 - probability) / (classes - 1), np.float32)
    rows[np.arange(len(predicted)), predicted] = probability
    return rows


def printed(evaluation: dict) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(format_evaluation(evaluation))
    return console.export_text()


@pytest.fixture
def swapped() -> dict:
    """True: a six times, b three times, c once; of the a two are taken for b, and the c for a."""
    labels = np.array([0] * 6 + [1] * 3 + [2])
    return evaluate_probabilities(sure([0, 0, 0, 0, 1, 1, 1, 1, 1, 0], 3), labels, ["a", "b", "c"])


def test_rows_of_the_confusion_matrix_are_true_classes(swapped: dict) -> None:
    assert swapped["confusion"] == [[4, 2, 0], [0, 3, 0], [1, 0, 0]]
    assert [sum(row) for row in swapped["confusion"]] == [row["photos"] for row in swapped["per_class"]] == [6, 3, 1]


def test_precision_of_a_class_never_predicted_is_null_not_nan(swapped: dict) -> None:
    a, b, c = swapped["per_class"]
    assert [a["recall"], b["recall"], c["recall"]] == pytest.approx([2 / 3, 1, 0])
    assert [a["precision"], b["precision"]] == pytest.approx([0.8, 0.6])
    assert c["precision"] is None
    assert c["f1"] == 0
    assert swapped["macro"]["recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert swapped["macro"]["precision"] == pytest.approx((0.8 + 0.6 + 0) / 3)


def test_printed_table_agrees_with_the_json(swapped: dict) -> None:
    lines = [line.split() for line in printed(swapped).splitlines()]
    assert ["a", "6", "80.0%", "66.7%", "72.7%"] in lines
    assert ["c", "1", "–", "0.0%", "0.0%"] in lines
    assert lines.index(["true", "\\", "predicted", "a", "b", "c"]) < lines.index(["a", "4", "2", "0"])


def test_no_top5_figure_with_five_classes_or_fewer() -> None:
    for classes in (2, 5):
        probabilities, labels = answers(classes, 12)
        names = [str(i) for i in range(classes)]
        evaluation = evaluate_probabilities(probabilities, labels, names)
        assert "top5_accuracy" not in evaluation
        assert "top-5" not in printed(evaluation)


def test_top5_counts_the_true_class_among_the_five_best() -> None:
    row = [0.3, 0.2, 0.15, 0.14, 0.11, 0.1]
    evaluation = evaluate_probabilities(np.array([row, row]), np.array([4, 5]), list("abcdef"))
    assert evaluation["top5_accuracy"] == 0.5
    tied = evaluate_probabilities(np.full((6, 6), 1 / 6), np.arange(6), list("abcdef"))
    assert tied["accuracy"] == pytest.approx(1 / 6)
    assert tied["top5_accuracy"] == pytest.approx(5 / 6)


def test_wilson_interval_is_the_published_one() -> None:
    # Newcombe 1998 (Statistics in Medicine 17), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)]
    for successes, trials, low, high in published:
        assert wilson_interval(successes, trials) == pytest.approx([low, high], abs=5e-5)
    assert wilson_interval(20, 20)[1] == 1.0
    assert wilson_interval(0, 0) == [None, None]


def test_loss_is_that_of_keras_and_finite_for_a_sure_mistake() -> None:
    evaluation = evaluate_probabilities(np.array([[1.0, 0.0], [0.25, 0.75]]), np.array([1, 1]), ["a", "b"])
    assert evaluation["loss"] == pytest.approx((-math.log(1e-7) - math.log(0.75)) / 2)


def test_calibration_error_of_answers_too_sure() -> None:
    labels = np.array([0] * 6 + [1] * 4)
    evaluation = evaluate_probabilities(sure([0] * 10, 2, 0.95), labels, ["a", "b"])
    assert evaluation["expected_calibration_error"] == pytest.approx(0.35)
    (point,) = evaluation["reliability"]
    assert (point["photos"], point["accuracy"]) == (10, pytest.approx(0.6))
    assert point["confidence"] == pytest.approx(0.95)
    assert (point["from"], point["to"]) == (0.9, 1.0)


def test_json_never_holds_nan_even_without_photos() -> None:
    for photos in (0, 1, 7):
        probabilities, labels = answers(7, photos)
        evaluation = evaluate_probabilities(probabilities, labels, [str(i) for i in range(7)])
        assert json.loads(json.dumps(evaluation, allow_nan=False)) == evaluation
        assert evaluation["photos"] == photos
        assert printed(evaluation)
    assert "no photos" in printed(evaluate_probabilities(np.zeros((0, 2)), np.zeros(0), ["a", "b"]))


def test_macro_average_leaves_out_classes_without_photos() -> None:
    evaluation = evaluate_probabilities(sure([0, 1], 3), np.array([0, 1]), ["a", "b", "unseen"])
    assert evaluation["macro"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert evaluation["per_class"][2] == {"class": "unseen", "photos": 0, "precision": None, "recall": None, "f1": None}


def test_answers_that_are_not_numbers_are_an_error_in_words() -> None:
    probabilities, labels = answers(3, 5)
    probabilities[2, 1] = np.nan
    with pytest.raises(ModelError, match=r"1 of 5 photos.*diverged.*lower learning rate"):
        evaluate_probabilities(probabilities, labels, list("abc"))


def test_labels_and_probabilities_must_fit() -> None:
    probabilities, labels = answers(3, 5)
    with pytest.raises(ValueError, match="shape"):
        evaluate_probabilities(probabilities, labels, list("abcd"))
    with pytest.raises(ValueError, match=r"0\.\.2"):
        evaluate_probabilities(probabilities, labels + 1, list("abc"))


def test_terminal_gets_no_control_characters_and_no_broken_table() -> None:
    names = ["red\x1b[31m", "[bold]x[/bold]", "郁金香", "x" * 60, "\udcff"]
    probabilities, labels = answers(5, 40)
    text = printed(evaluate_probabilities(probabilities, labels, names))
    assert "\x1b" not in text
    assert "red\\x1b[31m" in text
    assert "[bold]x[/bold]" in text
    assert "\\udcff" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_matrix_of_many_classes_is_left_to_the_report() -> None:
    probabilities, labels = answers(40, 80)
    text = printed(evaluate_probabilities(probabilities, labels, [f"class {i}" for i in range(40)]))
    assert "class 39" in text
    assert "true \\ predicted" not in text
