"""The confusion matrix made ready to be shown, and what stands out in it, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fireweed.evaluation.curves import number
from fireweed.evaluation.metrics import percent
from fireweed.text import readable

_MOST_CLASSES = 48
_UPRIGHT_NAMES_FROM = 9
_FEW_PHOTOS = 100
_MOSTLY_ONE_CLASS = 2 / 3  # of the photos, from which on an accuracy says little by itself
_FINDINGS_ABOUT_PAIRS = 3


@dataclass(frozen=True)
class Cell:
    """How many photos of one class were taken for another, and their share of the class's photos."""

    count: int
    share: float
    is_right: bool
    title: str


@dataclass(frozen=True)
class Matrix:
    """The matrix as rows of cells; `note` says which classes were left out, if any."""

    names: list[str]
    rows: list[list[Cell]]
    has_upright_names: bool
    note: str


def matrix_of(evaluation: Mapping[str, Any]) -> Matrix:
    """Return the matrix with true classes as rows; of many classes, those that are confused most."""
    counts = np.asarray(evaluation["confusion"], np.int64)
    classes = [readable(name) for name in evaluation["classes"]]
    chosen = _most_confused(counts)
    note = ""
    if len(chosen) < len(classes):
        note = f"The {len(chosen)} of {len(classes)} classes confused most; the evaluation file holds them all."
    totals = np.maximum(counts.sum(axis=1), 1)
    rows = [[_cell(counts, totals, classes, true, guess) for guess in chosen] for true in chosen]
    return Matrix([classes[i] for i in chosen], rows, len(chosen) >= _UPRIGHT_NAMES_FROM, note)


def findings(evaluation: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say in sentences what stands out: pairs confused, the weakest class, doubtful confidence, few photos."""
    if not evaluation["photos"]:
        return []
    said = [note] if (note := about_balance(evaluation)) else []
    said += _about_pairs(evaluation) + _about_weakest(evaluation) + _about_confidence(evaluation) + _about_fit(history)
    if evaluation["photos"] < _FEW_PHOTOS:
        low, high = evaluation["interval_95"]
        said.append(
            f"{evaluation['photos']} validation photos are few: the true accuracy may lie anywhere between "
            f"{percent(low, 0)} and {percent(high, 0)}."
        )
    return said


def about_balance(evaluation: Mapping[str, Any]) -> str:
    """Return a sentence on what the accuracy is worth where most photos are of one class; else nothing."""
    largest = max(evaluation["per_class"], key=lambda row: row["photos"])
    share = largest["photos"] / max(evaluation["photos"], 1)
    if share < _MOSTLY_ONE_CLASS:
        return ""
    return (
        f"Always saying {readable(largest['class'])} would be right for {percent(share)} of the photos; of each class "
        f"{percent(evaluation['macro']['recall'])} are found, on average over the classes."
    )


def _most_confused(counts: np.ndarray) -> list[int]:
    if len(counts) <= _MOST_CLASSES:
        return list(range(len(counts)))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    errors = wrong.sum(axis=0) + wrong.sum(axis=1)
    return sorted(int(i) for i in np.argsort(-errors, kind="stable")[:_MOST_CLASSES])


def _cell(counts: np.ndarray, totals: np.ndarray, classes: Sequence[str], true: int, guess: int) -> Cell:
    count = int(counts[true, guess])
    words = "predicted right" if true == guess else f"predicted as {classes[guess]}"
    title = f"{classes[true]}: {count:,} of {int(counts[true].sum()):,} {words}" if count else ""
    return Cell(count, float(count / totals[true]), true == guess, title)


def _about_pairs(evaluation: Mapping[str, Any]) -> list[str]:
    counts = np.asarray(evaluation["confusion"], np.int64)
    classes = [readable(name) for name in evaluation["classes"]]
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return ["No validation photo was predicted wrong."]
    order = np.argsort(-wrong, axis=None, kind="stable")[:_FINDINGS_ABOUT_PAIRS]
    pairs = [divmod(int(flat), len(classes)) for flat in order]
    said = [
        f"{classes[true]} taken for {classes[guess]} ({wrong[true, guess]:,} of {counts[true].sum():,})"
        for true, guess in pairs
        if wrong[true, guess] >= min(2, wrong.max())
    ]
    return ["Confused most: " + "; ".join(said) + "."]


def _about_weakest(evaluation: Mapping[str, Any]) -> list[str]:
    rows = [row for row in evaluation["per_class"] if row["photos"] >= 5]
    weakest = min(rows, key=lambda row: row["recall"], default=None)
    if weakest is None or weakest["recall"] > evaluation["accuracy"] - 0.05:
        return []
    found = f"{percent(weakest['recall'], 0)} of its {weakest['photos']:,} photos"
    return [f"Found least often: {readable(weakest['class'])}, {found}."]


def _about_confidence(evaluation: Mapping[str, Any]) -> list[str]:
    sure = sum(p["photos"] * p["confidence"] for p in evaluation["reliability"]) / evaluation["photos"]
    right = evaluation["accuracy"]
    if abs(sure - right) < 0.05:
        return []
    verdict = "it is too sure of itself" if sure > right else "it is right more often than it says"
    return [f"On average the net was {percent(sure, 0)} sure and {percent(right, 0)} right: {verdict}."]


def _about_fit(history: Sequence[Mapping[str, Any]]) -> list[str]:
    last = history[-1] if history else {}
    train, validation = number(last.get("accuracy")), number(last.get("val_accuracy"))
    if train is None or validation is None or train - validation < 0.1:
        return []
    return [
        f"In the last epoch it was right on {percent(train, 0)} of the training photos and on {percent(validation, 0)} "
        "of those it had not seen: more photos or more augmentation may help."
    ]
