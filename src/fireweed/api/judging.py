"""The figures of a model on labelled photos, with what it said of each."""

from typing import Any

import numpy as np

from fireweed.evaluation.metrics import evaluate_probabilities

MOST_CLASSES = 20


def evaluation_of(
    probabilities: np.ndarray, labels: np.ndarray, names: list[str], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Return the figures of `evaluate_probabilities` and, as "predictions", what was said of each photo.

    With many classes only the most probable ones of each photo are kept, so that the file stays readable.
    """
    evaluation = evaluate_probabilities(probabilities, labels, classes)
    evaluation["predictions"] = [
        {
            "path": name,
            "true": classes[label],
            "class": classes[int(row.argmax())],
            "probability": float(row.max()),
            "probabilities": {classes[i]: float(row[i]) for i in _shown(row)},
        }
        for name, label, row in zip(names, labels, probabilities, strict=True)
    ]
    return evaluation


def _shown(row: np.ndarray) -> np.ndarray:
    if len(row) <= MOST_CLASSES:
        return np.arange(len(row))
    return np.argsort(-row, kind="stable")[:MOST_CLASSES]
