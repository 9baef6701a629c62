"""What a classifier's answers are worth: figures ready for JSON, where one that does not exist is None."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fireweed.errors import ModelError
from fireweed.text import readable, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

# Keras's own bounds on a probability, so that our loss is the one that training shows.
_SMALLEST_PROBABILITY = 1e-7
_RELIABILITY_BINS = 10
_MATRIX_CLASSES_IN_A_TERMINAL = 10


def evaluate_probabilities(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Judge the answers of a classifier and return every figure as plain values ready for JSON.

    probabilities: (photos, classes), each row summing to 1.
    labels:        (photos,), the position of the true class.

    In the result `confusion` has true classes as rows; `per_class` has precision None for a class that was never
    predicted, and all None for one without photos that was never predicted; the `macro` averages run over the classes
    that have photos, a precision that does not exist counting 0; `top5_accuracy` is there only with more than 5
    classes.

    Raises:
        ModelError: some answers are not numbers, as those of a net whose training diverged.
    """
    from sklearn.metrics import confusion_matrix

    answers = np.asarray(probabilities, np.float64)
    truth = np.asarray(labels, np.int64)
    _check(answers, truth, len(classes))
    predicted = answers.argmax(axis=1)
    right = predicted == truth
    numbers = list(range(len(classes)))
    matrix = confusion_matrix(truth, predicted, labels=numbers) if len(truth) else np.zeros((len(classes),) * 2, int)
    per_class = _per_class(truth, predicted, classes)
    result = {
        "photos": len(truth),
        "accuracy": _mean(right),
        "interval_95": wilson_interval(int(right.sum()), len(truth)),
        "loss": _mean(_losses(answers, truth)),
        "macro": _macro(per_class),
        **_calibration(answers.max(axis=1, initial=0.0), right),
        "classes": list(classes),
        "confusion": matrix.tolist(),
        "per_class": per_class,
    }
    if len(classes) > 5:
        result["top5_accuracy"] = _top5_accuracy(answers, truth)
    return result


def wilson_interval(successes: int, trials: int) -> list[float | None]:
    """Return the 95% interval [low, high] of a share by Wilson's score method; [None, None] of no trials.

    Unlike the plain plus-minus it stays within 0 and 1 and holds for few photos and for shares near 1
    (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).
    """
    if trials == 0:
        return [None, None]
    z = 1.959963984540054
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == trials else centre + half
    return [low, high]


def format_evaluation(evaluation: Mapping[str, Any]) -> "RenderableType":
    """Return the result of `evaluate_probabilities` as lines and tables for a terminal, printed by rich."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(line) for line in _headlines(evaluation)]
    if evaluation["photos"]:
        parts.append(_class_table(evaluation))
        if len(evaluation["classes"]) <= _MATRIX_CLASSES_IN_A_TERMINAL:
            parts.append(_matrix_table(evaluation))
    return Group(*parts)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage, or a dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def _check(answers: np.ndarray, truth: np.ndarray, classes: int) -> None:
    if answers.shape != (len(truth), classes) or truth.ndim != 1:
        raise ValueError(
            f"expected probabilities of shape (photos, {classes}) and as many labels; "
            f"received {answers.shape} and {truth.shape}"
        )
    if len(truth) and (truth.min() < 0 or truth.max() >= classes):
        raise ValueError(f"labels must lie in 0..{classes - 1}; received {truth.min()}..{truth.max()}")
    broken = int((~np.isfinite(answers)).any(axis=1).sum())
    if broken:
        raise ModelError(
            f"the net's answers to {broken} of {len(truth)} photos are not numbers (NaN or infinite): its training "
            "diverged; train again with a lower learning rate"
        )


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _losses(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    given = answers[np.arange(len(truth)), truth] / np.maximum(answers.sum(axis=1), _SMALLEST_PROBABILITY)
    return -np.log(np.clip(given, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY))


def _top5_accuracy(answers: np.ndarray, truth: np.ndarray) -> float | None:
    # A stable sort of the negatives breaks ties as argmax does, so that top 5 never misses what top 1 found.
    best = np.argsort(-answers, axis=1, kind="stable")[:, :5]
    return _mean((best == truth[:, None]).any(axis=1))


def _per_class(truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    from sklearn.metrics import precision_recall_fscore_support

    numbers = list(range(len(classes)))
    if not len(truth):
        none = dict.fromkeys(("precision", "recall", "f1"))
        return [{"class": name, "photos": 0, **none} for name in classes]
    figures = precision_recall_fscore_support(truth, predicted, labels=numbers, zero_division=np.nan)
    precision, recall, f1 = ([None if np.isnan(v) else float(v) for v in column] for column in figures[:3])
    return [
        {"class": name, "photos": int(photos), "precision": p, "recall": r, "f1": f}
        for name, photos, p, r, f in zip(classes, figures[3], precision, recall, f1, strict=True)
    ]


def _macro(per_class: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    rows = [row for row in per_class if row["photos"]]
    return {
        figure: sum(row[figure] or 0.0 for row in rows) / len(rows) if rows else None
        for figure in ("precision", "recall", "f1")
    }


def _calibration(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Compare how sure the answers were with how often they were right, in bins of equal width.

    The expected calibration error is the mean distance of the two, weighted by photos (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599). Bins without photos are left out.
    """
    bins = np.minimum((confidence * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    points = []
    for number in np.unique(bins):
        here = bins == number
        points.append(
            {
                "from": float(number / _RELIABILITY_BINS),
                "to": float((number + 1) / _RELIABILITY_BINS),
                "photos": int(here.sum()),
                "confidence": float(confidence[here].mean()),
                "accuracy": float(right[here].mean()),
            }
        )
    error = sum(p["photos"] * abs(p["confidence"] - p["accuracy"]) for p in points) / max(len(right), 1)
    return {"expected_calibration_error": error if len(right) else None, "reliability": points}


def _headlines(evaluation: Mapping[str, Any]) -> list[str]:
    if not evaluation["photos"]:
        return ["no photos to evaluate on"]
    low, high = evaluation["interval_95"]
    lines = [
        f"accuracy {percent(evaluation['accuracy'])} (95% interval {percent(low)} to {percent(high)}) "
        f"on {evaluation['photos']:,} photos"
    ]
    details = [
        f"loss {evaluation['loss']:.3f}",
        f"macro F1 {percent(evaluation['macro']['f1'])}",
        f"expected calibration error {percent(evaluation['expected_calibration_error'])}",
    ]
    if evaluation.get("top5_accuracy") is not None:
        details.insert(0, f"top-5 accuracy {percent(evaluation['top5_accuracy'])}")
    return [*lines, ", ".join(details)]


def _class_table(evaluation: Mapping[str, Any]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", max_width=32, overflow="ellipsis", no_wrap=True)
    for heading in ("photos", "precision", "recall", "F1"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in evaluation["per_class"]:
        figures = [percent(row[figure]) for figure in ("precision", "recall", "f1")]
        table.add_row(Text(shortened(readable(row["class"]), 32)), f"{row['photos']:,}", *figures)
    return table


def _matrix_table(evaluation: Mapping[str, Any]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names = [readable(name) for name in evaluation["classes"]]
    columns = max(4, 62 // len(names) - 2)  # so that the whole matrix keeps within 80 columns
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("true \\ predicted", no_wrap=True)
    for name in names:
        table.add_column(Text(shortened(name, columns)), justify="right", no_wrap=True)
    for position, (name, row) in enumerate(zip(names, evaluation["confusion"], strict=True)):
        cells = [Text(str(count), style="bold" if column == position else "") for column, count in enumerate(row)]
        table.add_row(Text(shortened(name, 16)), *cells)
    return table
