import numpy as np
from report_samples import answers, history

from fireweed.evaluation.confusion import about_balance, findings, matrix_of
from fireweed.evaluation.metrics import evaluate_probabilities


def evaluation_of(classes: int, photos: int) -> dict:
    probabilities, labels = answers(classes, photos)
    return evaluate_probabilities(probabilities, labels, [f"class {i}" for i in range(classes)])


def test_cells_hold_the_counts_with_true_classes_as_rows() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [2])
    chosen = np.eye(3)[[0, 0, 0, 0, 1, 1, 1, 1, 1, 0]]
    matrix = matrix_of(evaluate_probabilities(chosen, labels, ["a", "b", "c"]))
    assert [[cell.count for cell in row] for row in matrix.rows] == [[4, 2, 0], [0, 3, 0], [1, 0, 0]]
    assert matrix.rows[0][1].title == "a: 2 of 6 predicted as b"
    assert [cell.is_right for cell in matrix.rows[1]] == [False, True, False]
    assert not matrix.has_upright_names
    assert matrix.note == ""


def test_of_many_classes_those_confused_most_are_shown_and_it_is_said() -> None:
    evaluation = evaluation_of(200, 400)
    matrix = matrix_of(evaluation)
    assert len(matrix.names) == len(matrix.rows) == 48
    assert "48 of 200 classes" in matrix.note
    wrong = np.array(evaluation["confusion"])
    np.fill_diagonal(wrong, 0)
    errors = wrong.sum(axis=0) + wrong.sum(axis=1)
    shown = [int(name.removeprefix("class ")) for name in matrix.names]
    assert shown == sorted(shown)
    assert min(errors[shown]) >= max(np.delete(errors, shown))
    assert len(matrix_of(evaluation_of(43, 90)).names) == 43


def test_findings_name_what_stands_out() -> None:
    labels = np.array([0] * 20 + [1] * 20)
    predicted = [0] * 20 + [0] * 12 + [1] * 8
    chosen = np.full((40, 2), 0.02)
    chosen[np.arange(40), predicted] = 0.98
    rows = [*history(3), {"accuracy": "0.99", "val_accuracy": "0.70"}]
    said = " ".join(findings(evaluate_probabilities(chosen, labels, ["rose", "tulip\x1b"]), rows))
    assert "tulip\\x1b taken for rose (12 of 20)" in said
    assert "Found least often: tulip\\x1b, 40% of its 20 photos" in said
    assert "98% sure and 70% right: it is too sure" in said
    assert "right on 99% of the training photos and on 70%" in said
    assert "40 validation photos are few" in said


def test_an_accuracy_that_one_class_makes_is_called_so() -> None:
    labels = np.array([0] * 98 + [1] * 2)
    evaluation = evaluate_probabilities(np.eye(2)[np.zeros(100, int)], labels, ["healthy", "rust\x1b"])
    said = "Always saying healthy would be right for 98.0% of the photos; of each class 50.0% are found"
    assert about_balance(evaluation).startswith(said) and findings(evaluation, [])[0].startswith(said)
    assert about_balance(evaluate_probabilities(np.eye(2)[labels], labels[::-1], ["a", "b\x1b"])).count("\x1b") == 0
    labels = np.array([0] * 60 + [1] * 40)
    assert not about_balance(evaluate_probabilities(np.eye(2)[labels], labels, ["a", "b"]))


def test_findings_of_a_perfect_result_and_of_none() -> None:
    perfect = evaluate_probabilities(np.eye(2)[[0, 1] * 100], np.array([0, 1] * 100), ["a", "b"])
    assert findings(perfect, []) == ["No validation photo was predicted wrong."]
    assert findings(evaluate_probabilities(np.zeros((0, 2)), np.zeros(0), ["a", "b"]), []) == []
