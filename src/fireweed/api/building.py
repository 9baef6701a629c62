"""Models and batches for one training, made from a resolved recipe."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fireweed.data.catalog import Catalog
from fireweed.data.pipeline import Batches, SquareCache
from fireweed.data.plan import Plan
from fireweed.errors import RunError
from fireweed.models.registry import build_model, find_entry
from fireweed.recipe import Recipe
from fireweed.resolving import planned_changes

if TYPE_CHECKING:
    import keras

    from fireweed.training.train import TrainingInput


def seed_everything(seed: int, deterministic: bool, precision: str) -> None:
    """Set Keras's seeds and precision; `deterministic` leaves TensorFlow only operations that repeat exactly."""
    import keras

    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_dtype_policy(precision)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def build_for_training(recipe: Recipe, classes: int, has_checkpoint: bool = False) -> tuple["keras.Model", str]:
    """Return the recipe's net for the sides of all its phases, and a sentence on the weights it starts from.

    has_checkpoint: a checkpoint will replace all weights, so that none need be loaded.
    """
    side = recipe.evaluation_side if find_entry(recipe.model.name).has_flatten else None
    settings = recipe.model
    if has_checkpoint:
        return build_model(settings.name, classes, side, freeze=settings.freeze, dropout=settings.dropout), ""
    if settings.weights in ("none", "imagenet"):
        model = build_model(settings.name, classes, side, weights=settings.weights, freeze=settings.freeze,
                            dropout=settings.dropout)  # fmt: skip
        return model, "" if settings.weights == "none" else f"{settings.name} starts from ImageNet weights"
    from fireweed.bundle import load_weights

    model = build_model(settings.name, classes, side, freeze=settings.freeze, dropout=settings.dropout)
    return model, load_weights(model, Path(settings.weights))


def build_for_keeping(recipe: Recipe, trained: "keras.Model", classes: int) -> "keras.Model":
    """Return a fresh plain net in float32 with the evaluation side and the trained weights."""
    import keras

    settings = recipe.model
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    try:
        model = build_model(settings.name, classes, recipe.evaluation_side, freeze=settings.freeze,
                            dropout=settings.dropout)  # fmt: skip
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    for ours, theirs in zip(model.weights, trained.weights, strict=True):
        if ours.shape != theirs.shape:
            raise RunError(f"the trained weight {theirs.path} does not fit the net it is to be saved in")
        ours.assign(theirs)
    return model


class TrainingParts:
    """The training and validation photos of a run, cached, planned and ready to be batched.

    class_weights: factor of each class in the loss, or None.
    """

    def __init__(self, recipe: Recipe, catalog: Catalog, class_weights: Sequence[float] | None) -> None:
        training, validation = catalog.part("train"), catalog.part("validation")
        classes = len(catalog.classes)
        settings = recipe.training
        self.validation_labels = validation.labels()
        largest = max(phase.side for phase in settings.phases)
        is_cropped = recipe.augment.crop != (1.0, 1.0)  # else the margin would only blur the photos
        side = round(largest * recipe.data.margin) if is_cropped else largest
        self.training_cache = SquareCache(training.photos, side, recipe.data.fit)
        self.validation_cache = SquareCache(validation.photos, recipe.evaluation_side, recipe.data.fit)
        self._plan = Plan(
            settings.seed, [photo.key for photo in training.photos], training.labels(), settings.batch,
            planned_changes(recipe.augment), class_weights,
        )  # fmt: skip
        self._training = Batches(
            self.training_cache, training.labels(), classes, settings.batch, settings.label_smoothing
        )
        self._validation = Batches(self.validation_cache, self.validation_labels, classes, settings.batch)
        self.photos, self.steps = len(training), self._training.steps

    def input(self) -> "TrainingInput":
        """Return the batches as the training takes them."""
        from fireweed.training.train import TrainingInput

        return TrainingInput(
            photos=self.photos,
            steps=self.steps,
            batches=lambda side, first, last: self._training.training(self._plan, side, first, last),
            validation=self._validation.evaluation(),
            failure=lambda: self._training.failure or self._validation.failure,
        )

    def validation_squares(self) -> list[np.ndarray]:
        """Return the validation photos as the net sees them, each uint8 (side, side, 3)."""
        return self.validation_cache.gather(np.arange(len(self.validation_labels)))

    def close(self) -> None:
        self.training_cache.close()
        self.validation_cache.close()
        gc.collect()
