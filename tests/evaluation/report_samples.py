"""Layers, answers and contents of reports that the tests of evaluation share."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fireweed.data.catalog import Unreadable
from fireweed.evaluation.metrics import evaluate_probabilities
from fireweed.evaluation.report import ReportContents, ShownPhoto

EVIL_CLASS = "<svg onload=alert(1)>"
EVIL_PHOTO = '"><img src=x onerror=alert(1)>.jpg'
EVIL_LABEL = "</script><script>alert(1)</script>"
LONG_NAME = "Donaudampfschifffahrtsgesellschaftskapitaensblumenstrauss60x"
CLASSES = ("Gänseblümchen", "роза", "郁金香", EVIL_CLASS, EVIL_LABEL, LONG_NAME)


@dataclass(frozen=True)
class LayerSample:
    name: str
    kind: str
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...] = (96, 96, 8)
    parameters: int = 0
    multiply_adds: int = 0
    receptive_field_px: int = 1
    weight_shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class CostSample:
    parameters: int
    trainable_parameters: int
    multiply_adds: int


def conv(name: str, source: str, kernel: int = 3, filters: int = 8, kind: str = "Conv2D") -> LayerSample:
    size = kernel * kernel * filters
    shapes = ((kernel, kernel, filters, filters),)
    return LayerSample(name, kind, (source,), (96, 96, filters), size, size * 96 * 96, 3, shapes)


def fire(name: str, source: str) -> list[LayerSample]:
    return [
        conv(f"{name}_squeeze", source, 1, 4),
        LayerSample(f"{name}_squeeze_norm", "BatchNormalization", (f"{name}_squeeze",)),
        conv(f"{name}_1x1", f"{name}_squeeze_norm", 1),
        conv(f"{name}_3x3", f"{name}_squeeze_norm", 3),
        LayerSample(f"{name}_1x1_norm", "BatchNormalization", (f"{name}_1x1",)),
        LayerSample(f"{name}_3x3_norm", "BatchNormalization", (f"{name}_3x3",)),
        LayerSample(name, "Concatenate", (f"{name}_1x1_norm", f"{name}_3x3_norm"), (96, 96, 16)),
    ]


def residual(name: str, source: str) -> list[LayerSample]:
    """As in the middle of Xception: activation, separable convolution, norm, twice, added to what went in."""
    return [
        LayerSample(f"{name}_act1", "Activation", (source,)),
        conv(f"{name}_sep1", f"{name}_act1", kind="SeparableConv2D"),
        LayerSample(f"{name}_norm1", "BatchNormalization", (f"{name}_sep1",)),
        LayerSample(f"{name}_act2", "Activation", (f"{name}_norm1",)),
        conv(f"{name}_sep2", f"{name}_act2", kind="SeparableConv2D"),
        LayerSample(f"{name}_norm2", "BatchNormalization", (f"{name}_sep2",)),
        LayerSample(name, "Add", (f"{name}_norm2", source)),
    ]


def net(*blocks: list[LayerSample]) -> list[LayerSample]:
    photo = [LayerSample("photo", "InputLayer", (), (96, 96, 3)), LayerSample("scaling", "Rescaling", ("photo",))]
    body = [layer for block in blocks for layer in block]
    last = body[-1].name if body else "scaling"
    gap = LayerSample("gap", "GlobalAveragePooling2D", (last,), (8,))
    return [*photo, *body, gap, LayerSample("classes", "Dense", ("gap",), (5,), 45, 40, 96, ((8, 5), (5,)))]


def answers(classes: int, photos: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return made-up probabilities (photos, classes), mostly right, and labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(photos) % classes
    logits = random.normal(size=(photos, classes))
    logits[np.arange(photos), labels] += 2.5
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), labels


def history(epochs: int = 4) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "side": 96 if epoch <= epochs // 2 else 128,
            "steps": 10,
            "loss": 2.0 / epoch,
            "accuracy": 1 - 0.6 / epoch,
            "val_loss": 2.2 / epoch,
            "val_accuracy": 1 - 0.7 / epoch,
            "learning_rate": 0.001 / epoch,
            "images_per_second": 120.0,
            "seconds": 9.5,
        }
        for epoch in range(1, epochs + 1)
    ]


def contents(classes: tuple[str, ...] = CLASSES, count: int = 90, **changes: Any) -> ReportContents:
    probabilities, labels = answers(len(classes), count)
    picture = np.random.default_rng(1).integers(0, 255, (80, 60, 3), dtype=np.uint8)
    best = probabilities.argmax(axis=1)
    shown = [
        ShownPhoto(f"{EVIL_CLASS}/{EVIL_PHOTO}", picture, classes[t], classes[p], float(row[p]))
        for t, p, row in zip(labels, best, probabilities, strict=True)
    ]
    facts: dict[str, Any] = {
        "title": f"squeezenet on {EVIL_CLASS}",
        "summary": f"90 photos from {EVIL_PHOTO}",
        "classes": classes,
        "history": history(),
        "learning_rates": np.linspace(0.001, 0.0001, 40),
        "evaluation": evaluate_probabilities(probabilities, labels, classes),
        "photos": shown[:12],
        "mistakes": [photo for photo in shown if photo.true != photo.predicted],
        "layers": net(fire("fire1", "scaling"), residual(EVIL_CLASS, "fire1")),
        "total_cost": CostSample(120_613, 119_301, 633_000_000),
        "split_counts": {name: {"train": 60, "validation": 15, "test": 8} for name in classes},
        "best_epoch": "The weights are the averaged ones of the last epoch.",
        "recipe_toml": f'[data]\npath = "{EVIL_LABEL}"\n',
        "environment": {"packages": {"keras": "3.15.1"}, "device": None, "cores": ["a", EVIL_LABEL]},
        "notes": [f"left out: {EVIL_PHOTO}"],
        "unreadable": [Unreadable(EVIL_PHOTO, "cut off")],
    }
    return ReportContents(**(facts | changes))
