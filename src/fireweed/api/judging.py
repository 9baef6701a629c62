"""The figures of a model on labelled photos, with what it said of each."""

from typing import Any

import numpy as np

from fireweed.evaluation.metrics import evaluate_probabilities


def evaluation_of(
    probabilities: np.ndarray, labels: np.ndarray, names: list[str], classes: tuple[str, ...]
) -> dict[str, Any]:
    """Return the figures of `evaluate_probabilities` and, as "predictions", what was said of each photo."""
    evaluation = evaluate_probabilities(probabilities, labels, classes)
    evaluation["predictions"] = [
        {"path": name, "true": classes[label], "class": classes[int(row.argmax())], "probability": float(row.max()),
         "probabilities": {c: float(p) for c, p in zip(classes, row, strict=True)}}
        for name, label, row in zip(names, labels, probabilities, strict=True)
    ]  # fmt: skip
    return evaluation
