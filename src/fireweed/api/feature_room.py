"""The disk that the features of a frozen net take, and as many views as there is room for."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from fireweed.data.catalog import Catalog
from fireweed.data.feature_file import FeatureFile
from fireweed.errors import FireweedError
from fireweed.models.pretrained import split_frozen
from fireweed.models.registry import build_model
from fireweed.recipe import Recipe
from fireweed.reporting import Reporter
from fireweed.resolving import Resolved, view_of_epochs
from fireweed.text import counted

MOST_OF_DISK = 0.5  # of what is free, that a recipe's own number of views may fill


def fit_views_to_disk(resolved: Resolved, catalog: Catalog, folder: Path) -> Resolved:
    """Return the recipe of a frozen net with no more views than half of the free disk takes, but one at least.

    folder: where the features are to lie.
    """
    recipe = resolved.recipe
    photos, validated = len(catalog.part("train")), len(catalog.part("validation"))
    each = feature_bytes(recipe, len(catalog.classes))
    room = MOST_OF_DISK * shutil.disk_usage(folder).free - validated * each(recipe.evaluation_side)

    def needed(views: int) -> int:
        sides = recipe.side_of_epochs
        seen = set(view_of_epochs(recipe.with_training(views=views).training))
        return sum(photos * each(sides[epoch]) for epoch in seen)

    most = max(phase.epochs for phase in recipe.training.phases)
    asked = min(recipe.training.views or most, most)
    views = next((views for views in range(asked, 1, -1) if needed(views) <= room), 1)
    if views == asked:
        return resolved
    note = (
        f"{counted(views, 'view')} of the photos instead of {asked}, whose features would take "
        f"{_size(needed(asked))}, over half of the disk that is free; --set training.views={asked} asks for them"
    )
    return replace(resolved, recipe=recipe.with_training(views=views), notes=(*resolved.notes, note))


def feature_bytes(recipe: Recipe, classes: int) -> Callable[[int], int]:
    """Return a function from a side to the bytes that a photo's features take at it."""
    import keras

    freeze = recipe.model.freeze
    backbone, _ = split_frozen(build_model(recipe.model.name, classes, freeze=freeze), freeze)
    numbers = keras.DTypePolicy(recipe.training.precision).compute_dtype
    size = 4 if numbers == "float32" else 2

    @cache  # Keras goes through the whole net for it, and epochs share a few sides
    def bytes_at(side: int) -> int:
        return size * math.prod(backbone.compute_output_shape((1, side, side, 3)))

    return bytes_at


def check_room(files: list[FeatureFile], missing: list[list[int]], folder: Path, reporter: Reporter) -> None:
    """Say how much disk the features take.

    Raises:
        FireweedError: there is less than is missing.
    """
    needed = sum(file.block_bytes * len(blocks) for file, blocks in zip(files, missing, strict=True))
    total = sum(file.block_bytes * file.blocks for file in files)
    views = counted(len(files) - 1, "view")
    free = shutil.disk_usage(folder).free
    if needed > free:
        less = (
            "train on fewer views (--set training.views=N)" if len(files) > 2
            else "keep less of a photo (a smaller --side, or --freeze, which keeps the mean of each channel)"
        )  # fmt: skip
        raise FireweedError(
            f"the features of {views} take {_size(needed)} more in {folder}, where {_size(free)} are free; make room, "
            f"or {less}"
        )
    if needed:
        reporter.say(f"features of {views} take {_size(total)} of disk until the run has finished")


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
