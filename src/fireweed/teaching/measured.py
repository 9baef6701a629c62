"""Figures of measurements/ that the labs show beside the reader's own; they travel with the package."""

import json
from importlib import resources
from typing import Any

SOURCE = "accuracy/recipes.json"  # below measurements/


def measured(recipe: str) -> dict[str, Any]:
    """Return what was measured of a recipe on the photos of `flowers`: mean, least, most, seeds, photos, interval_95.

    Raises:
        KeyError: nothing was measured of it.
    """
    figures: dict[str, Any] = json.loads(resources.files(__package__).joinpath("measured.json").read_text("utf-8"))
    return figures[recipe]


def drawn_from(study: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that the labs use of a study of recipes, as benchmarks/accuracy.py writes it."""
    return {variant["name"]: _figures(variant) for variant in study["variants"]}


def _figures(variant: dict[str, Any]) -> dict[str, Any]:
    validation = variant["validation"]
    wanted = ("mean", "least", "most", "seeds", "photos", "interval_95")
    return {name: validation[name] for name in wanted}
